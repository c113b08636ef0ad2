"""What starter.py offers, by topic. Nothing heavy is imported here: --help answers at once."""
