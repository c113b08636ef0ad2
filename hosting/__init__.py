"""What a worker process needs around it: dev server, clients, logging, workers."""
