"""Railway's GraphQL API over the platform: its types, auth headers, error shapes and limits."""

from railyard.api.server import build_api

__all__ = ["build_api"]
