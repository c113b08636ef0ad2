const MOST = 1000;
const kept = new Map();
const pending = new Map();

export async function remember(key, make) {
  if (kept.has(key)) return kept.get(key);
  if (!pending.has(key)) pending.set(key, make().finally(() => pending.delete(key)));
  const value = await pending.get(key);
  kept.set(key, value);
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return value;
}

export function sizes() {
  return { kept: kept.size, pending: pending.size };
}
