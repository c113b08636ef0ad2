"""The sandboxes of coding agents. Parts run on the standard library alone: import nothing here."""
