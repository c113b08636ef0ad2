"""What people read: pull requests, reports, the Web UI's Markdown; and the client that posts them."""
