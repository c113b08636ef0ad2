"""What a change may do."""
