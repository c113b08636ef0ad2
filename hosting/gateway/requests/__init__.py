"""What a coding agent may ask of a model, by dialect."""
