"""What developers run to keep the repository's generated files up to date."""
