"""Numbers as people say them: two digits that matter, in the unit in which they are neither tiny nor huge."""

from math import floor, log10

NOTHING = 1e-6


def rounded(value: float, digits: int = 2) -> str:
    """Round to significant digits, and to a whole number from there on; never as a power of ten."""
    if abs(value) < NOTHING or abs(value) >= 10**digits:
        return f"{value:.0f}"
    return _plain(value, digits - 1 - floor(log10(abs(value))))


def _plain(value: float, places: int) -> str:
    text = f"{value:.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def gigabytes(value: float) -> str:
    """Return memory or disk, given in GB: MB below one."""
    megabytes = value * 1000
    return f"{rounded(megabytes, 3)} MB" if megabytes < 999.5 else f"{rounded(value)} GB"


def duration(minutes: float) -> str:
    """Return how long something lasts or takes; never 0."""
    if minutes < 1:
        return "less than a minute"
    if minutes < 119.5:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{rounded(hours)} h" if hours < 48 else f"{hours / 24:.0f} days"


def milliseconds(value: float) -> str:
    """Return how long a request takes: seconds from one on, minutes from two on."""
    if value < 999.5:
        return f"{rounded(value, 3)} ms"
    return f"{rounded(value / 1000)} s" if value < 119_500 else duration(value / 60_000)


def percent(share: float) -> str:
    """Return a share, 0..1: neither "0%" for some nor "100%" for not all."""
    if 0 < share < 0.001:
        return "less than 0.1%"
    if 0.995 <= share < 1:
        return "more than 99%"
    return _plain(100 * share, 0 if share >= 0.1 else 1) + "%"


def per_minute(rate: float) -> str:
    """Return a rate of requests, given per minute."""
    return f"{rounded(rate)} a minute" if rate >= 1 or not rate else f"one every {rounded(1 / rate)} min"
