"""What Railmend knows: contracts, clients, rules and texts. Imports neither Temporal nor the entry points."""

__version__ = "0.1.0"
