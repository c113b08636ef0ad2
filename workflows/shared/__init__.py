"""What several workflows use: policies, plugin, search attributes, clients of the ledger, notifications."""
