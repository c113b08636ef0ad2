"""The ways out of a sandbox: to the model, and to the package registries."""
