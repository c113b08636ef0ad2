"""A coding session: OpenCode's server in the sandbox, followed to its end."""
