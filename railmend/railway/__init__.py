"""Railway's public GraphQL API: typed client, documents, errors."""
