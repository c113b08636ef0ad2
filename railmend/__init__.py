"""What Railmend knows: contracts, clients, rules and texts. Imports neither Temporal nor the entry points."""
