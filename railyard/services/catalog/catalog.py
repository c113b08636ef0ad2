"""The products and how they are shown."""


def _product(number: int) -> dict:
    product = {"id": str(number), "name": f"Tea no. {number}", "price": 300 + 17 * number}
    if number % 3 == 1:  # one product in three is on sale
        product["discount"] = {"percent": 5 + number % 4 * 5}
    return product


PRODUCTS = {product["id"]: product for product in map(_product, range(1, 41))}


def find(product_id: str) -> dict | None:
    return PRODUCTS.get(product_id)


def overview() -> list[dict]:
    return [{"id": product["id"], "name": product["name"]} for product in PRODUCTS.values()]


def detail(product: dict) -> dict:
    percent = product["discount"]["percent"]
    return {
        "id": product["id"],
        "name": product["name"],
        "price": product["price"],
        "discount_percent": percent,
        "price_now": product["price"] * (100 - percent) // 100,
    }
