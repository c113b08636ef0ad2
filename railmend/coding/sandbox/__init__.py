"""What the coding package needs of a sandbox, and the bounds of what runs in it."""
