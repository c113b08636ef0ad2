"""Files of a repository, read as text and never run: what ships, and which dependencies manifests name."""
