"""Typed client of Railway's public GraphQL API, its documents and its errors."""
