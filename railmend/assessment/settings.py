"""Every threshold of the rules, with its default."""

from pydantic import BaseModel, ConfigDict


class AssessmentSettings(BaseModel):
    model_config = ConfigDict(frozen=True)

    # Memory leak: smallest share of rising pairs, rise over the window (share of level, of limit), horizon.
    leak_min_points: int = 20
    leak_rising_share: float = 0.85
    leak_min_rise_of_level: float = 0.2
    leak_min_rise_of_limit: float = 0.05
    leak_horizon_hours: float = 24.0
    # A curve whose last third rises slower than this share of the whole is levelling off.
    leak_levelled_share: float = 0.4
    # Error rate: lower 95 % bound of the share of 5xx, and the smallest sample.
    error_share: float = 0.02
    error_critical_share: float = 0.25
    error_min_requests: int = 20
    error_min_errors: int = 5
    # Latency in milliseconds: median over time of the p95.
    latency_ms: float = 1000.0
    latency_critical_ms: float = 5000.0
    latency_min_requests: int = 10
    # The part of the window that decides about errors and latency: the newest.
    recent_share: float = 0.5
    # Memory saturation: median of the recent part over the limit.
    memory_share: float = 0.95
