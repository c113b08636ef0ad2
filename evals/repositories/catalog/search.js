const PAGE = 20;

export function words(text) {
  return String(text ?? "").toLowerCase().split(/\W+/).filter(Boolean);
}

export function price(product) {
  return product.offer?.cents ?? product.cents;
}

export function search(products, query) {
  const wanted = words(query);
  const found = products.filter((product) => {
    const own = new Set(words(product.name));
    return wanted.every((word) => own.has(word));
  });
  return found.slice(0, PAGE).map((product) => ({ id: product.id, name: product.name, cents: price(product) }));
}

export function suggest(products, query) {
  const start = String(query).toLowerCase();
  return products.filter((product) => (product.name ?? "").toLowerCase().startsWith(start)).slice(0, 5).map((p) => p.name);
}
