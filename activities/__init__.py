"""The border to the outside world: one class per outside system, clients injected, thin."""
