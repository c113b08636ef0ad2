"""Paths as route templates: what varies from request to request is `{id}`."""

import re

# Numbers, hashes, UUIDs, mails, and long mixtures of letters and digits such as tokens and slugs with an id.
ID = re.compile(
    r"^(?:[\d.,:_-]*\d[\d.,:_-]*|[0-9a-fA-F-]{8,64}|[^/]*@[^/]*|[^/]*%[0-9A-Fa-f]{2}[^/]*"
    r"|(?=[^/]*\d)(?=[^/]*[A-Za-z])[\w.~:=-]{16,}|[A-Za-z]{1,8}[-_:]?\d{3,}[\w-]*)$"
)
VERSION = re.compile(r"^v\d{1,3}$")
HEX_WORD = re.compile(r"^[a-fA-F-]+$")
MAX_DEPTH = 10
MAX_PART = 200


def route(path: str) -> str:
    """`/api/v1/orders/8412/pay?x=1` as `/api/v1/orders/{id}/pay`."""
    parts = path.partition("?")[0].split("/")
    folded = [_part(part) for part in parts[:MAX_DEPTH]]
    return "/".join([*folded, "…"] if len(parts) > MAX_DEPTH else folded)


def _part(part: str) -> str:
    if len(part) > MAX_PART:
        return "{id}"
    if VERSION.match(part) or not ID.match(part) or HEX_WORD.match(part):
        return part
    return "{id}"
