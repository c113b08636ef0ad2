"""What shows that a change works: it starts, a regression test, production's requests."""
