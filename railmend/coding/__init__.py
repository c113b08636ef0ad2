"""Workspace, OpenCode server and session, and the guard over what the agent wrote."""
