"""What a sandbox can reach: the model, and the package registries."""
