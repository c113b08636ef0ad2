"""Durations as people write them."""

import re
from datetime import timedelta

from railmend.settings import ConfigurationError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def interval(text: str, option: str = "--every", least: timedelta = timedelta(0)) -> timedelta:
    """Parse "10m" as ten minutes.

    Raises `ConfigurationError` for anything else, and for less than `least`.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None or int(match[1]) == 0:
        raise ConfigurationError(f"{option} {text!r} is not an interval: write 90s, 10m, 1h or 1d.")
    length = timedelta(seconds=int(match[1]) * UNITS[match[2]])
    if length < least:
        raise ConfigurationError(f"{option} {text} is too short: the minimum is {written(least)}.")
    return length


def written(length: timedelta) -> str:
    """Format as `interval` reads it: ten minutes are "10m"."""
    total = int(length.total_seconds())
    unit = next(unit for unit in reversed(UNITS) if total % UNITS[unit] == 0)
    return f"{total // UNITS[unit]}{unit}"


def seconds(text: str) -> int:
    """Parse as `interval` does; a bare number is seconds."""
    if text.isdecimal():
        text += "s"
    return int(interval(text, "--window").total_seconds())
