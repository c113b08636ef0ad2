"""Platform that really runs services: clones, starts, restarts, redeploys, measures, sends traffic."""

from railyard.platform.model import Deployment, ServiceSpec, TrafficProfile
from railyard.platform.platform import Platform

__all__ = ["Deployment", "Platform", "ServiceSpec", "TrafficProfile"]
