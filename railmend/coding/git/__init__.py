"""A repair's trusted repository, and the work tree that the agent has."""
