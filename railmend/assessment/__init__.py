"""Turn metric slices into findings. Pure code, no input or output."""
