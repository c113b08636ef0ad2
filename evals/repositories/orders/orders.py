"""What an order is worth, and how it is shown."""
from collections import OrderedDict

DISCOUNTS = {"WELCOME": 10, "SUMMER": 15}
MAX_SUMMARIES = 500
_summaries = OrderedDict()


def create(data):
    lines = [{"sku": str(row["sku"]), "count": int(row["count"]), "cents": int(row["cents"])} for row in data["lines"]]
    return {"id": data["id"], "lines": lines, "code": data.get("code", ""), "version": 1}


def total(order):
    cents = sum(line["count"] * line["cents"] for line in order["lines"])
    percent = DISCOUNTS.get(order["code"], 0)
    return cents - cents * percent // 100


def average_line(order):
    lines = order["lines"]
    return total(order) // len(lines) if lines else 0


def summary(order):
    key = (order["id"], order["version"])
    if key not in _summaries:
        _summaries[key] = {"id": order["id"], "total": total(order), "average": average_line(order)}
        while len(_summaries) > MAX_SUMMARIES:
            _summaries.popitem(last=False)
    return _summaries[key]


def duplicates(orders):
    seen, found = set(), []
    for order in orders:
        if order["id"] in seen:
            found.append(order["id"])
        seen.add(order["id"])
    return found


def report(orders):
    rows = [f"{order['id']},{total(order)}" for order in orders]
    return "\n".join(["id,total", *rows, f"duplicates,{len(duplicates(orders))}"])
