"""Runs services for real: clones, starts, restarts, redeploys, measures, and sends them traffic."""

from railyard.platform.model import Deployment, ServiceSpec, TrafficProfile
from railyard.platform.platform import Platform

__all__ = ["Deployment", "Platform", "ServiceSpec", "TrafficProfile"]
