"""Prices a basket and renders the quote."""

LINE = "<tr><td>{name}</td><td>{amount}</td><td>{price:>12.2f}</td></tr>"
# Every quote carries the terms of sale.
TERMS = "<p>" + "Prices include VAT. Offers end when stock runs out. " * 4000 + "</p>"

# A customer who reloads the page gets the same quote again, without pricing it twice.
RENDERED: dict[str, bytes] = {}


def quote(quote_id: str, items: list[dict]) -> bytes:
    """The rendered page of this quote."""
    if quote_id not in RENDERED:
        RENDERED[quote_id] = render(quote_id, items)
    return RENDERED[quote_id]


def render(quote_id: str, items: list[dict]) -> bytes:
    rows = "".join(LINE.format(**item) for item in items)
    total = sum(item["amount"] * item["price"] for item in items)
    return f"<h1>Quote {quote_id}</h1><table>{rows}</table><b>{total:.2f}</b>{TERMS}".encode()


def kept() -> int:
    return len(RENDERED)
