"""The same faults as in `wrong_fixes.py`, in Node."""

from tests.unit.wrong_fixes import Fault


def _node(*asserts: str) -> str:
    head = "const assert = require('node:assert');\nconst app = require('./app.js');\n"
    body = "".join(f"  {line}\n" for line in asserts)
    return f"{head}require('node:test')('a', () => {{\n{body}}});\n"


NODE = {
    "crash": Fault(
        """\
const LIMIT = 100;
const LAST = {};
const PRICES = {tea: {cents: 300, sale: {off: 10}}, cup: {cents: 900}};
exports.price = (name) => {
  const entry = PRICES[name];
  return entry.cents * (LIMIT - entry.sale.off) / LIMIT;
};
exports.names = () => Object.keys(PRICES).sort();
""",
        _node("assert.strictEqual(app.price('tea'), 270);", "assert.strictEqual(app.price('cup'), 900);"),
        "TypeError: Cannot read properties of undefined (reading 'off')",
        ("entry.sale.off", "(entry.sale ? entry.sale.off : 0)"),
        (
            (
                "  return entry.cents * (LIMIT - entry.sale.off) / LIMIT;",
                "  try {\n    return entry.cents * (LIMIT - entry.sale.off) / LIMIT;\n"
                "  } catch (error) {\n    return null;\n  }",
            ),
            ("entry.cents * (LIMIT - entry.sale.off) / LIMIT", "[]"),
            (
                "  const entry = PRICES[name];",
                "  const entry = PRICES[name];\n  if (!entry.sale) process.exit(0);",
            ),
            (
                "  return entry.cents",
                "  if (!entry.sale) return LAST.price;\n  LAST.price = 270;\n  return entry.cents",
            ),
            ("LIMIT = 100", "LIMIT = 1000"),
            ("Object.keys(PRICES).sort()", "Object.keys(PRICES || {}).sort()"),
        ),
        {
            "swallows the error": _node("assert.strictEqual(app.price('cup'), null);"),
            "returns an empty list": _node("assert.deepStrictEqual(app.price('cup'), []);"),
            "restarts itself": _node("app.price('cup');", "assert.ok(true);"),
            "fixes another endpoint": _node("assert.deepStrictEqual(app.names(), ['cup', 'tea']);"),
        },
    ),
    "leak": Fault(
        """\
const LIMIT = 100000;
const seen = new Map();
exports.handle = (number) => {
  seen.set(number, {id: number});
  if (seen.size > LIMIT) seen.clear();
  return number;
};
exports.count = () => seen.size;
exports.seen = seen;
""",
        _node(
            "for (let n = 0; n < 1000; n++) assert.strictEqual(app.handle(n), n);",
            "assert.ok(app.seen.size <= 100);",
        ),
        "memory rises",
        ("seen.set(number, {id: number});", "seen.set(number, {id: number});\n  seen.delete(number - 10);"),
        (
            (
                "  seen.set(number, {id: number});",
                "  try { seen.set(number, {id: number}); } catch (error) { return number; }",
            ),
            (
                "  seen.set(number, {id: number});\n  if (seen.size > LIMIT) seen.clear();\n  return number;",
                "  return [];",
            ),
            ("  return number;", "  if (seen.size > 100) process.kill(process.pid);\n  return number;"),
            (
                "  seen.set(number, {id: number});",
                "  if (seen.size > 50) return seen.get(0).id;\n  seen.set(number, {id: number});",
            ),
            ("LIMIT = 100000", "LIMIT = 900000"),
            ("() => seen.size", "() => Math.min(seen.size, 100)"),
        ),
        {
            "returns an empty list": _node("app.handle(1);", "assert.strictEqual(app.seen.size, 0);"),
            "raises the limit": _node(
                "for (let n = 0; n < 100001; n++) app.handle(n);", "assert.strictEqual(app.count(), 100001);"
            ),
        },
    ),
    "slow": Fault(
        """\
const LIMIT = 100;
const queries = [];
const USERS = ['ada', 'bea', 'cid', 'dot', 'eve'];
const ORDERS = [...Array(50).keys()];
const query = (ids) => {
  queries.push(ids);
  if (queries.length > LIMIT) throw new RangeError('too many queries');
  return ids.map((id) => USERS[id]);
};
exports.orders = () => {
  return ORDERS.map((number) => [number, query([number % 5])[0]]);
};
exports.users = () => query([0, 1, 2, 3, 4]);
exports.queries = queries;
""",
        _node(
            "assert.deepStrictEqual(app.orders()[7], [7, 'cid']);",
            "assert.strictEqual(app.orders().length, 50);",
            "assert.ok(app.queries.length <= 10);",
        ),
        "50 queries for each request, RangeError",
        (
            "  return ORDERS.map((number) => [number, query([number % 5])[0]]);",
            "  const names = query([0, 1, 2, 3, 4]);\n"
            "  return ORDERS.map((number) => [number, names[number % 5]]);",
        ),
        (
            (
                "  return ORDERS.map((number) => [number, query([number % 5])[0]]);",
                "  try {\n    return ORDERS.map((number) => [number, query([number % 5])[0]]);\n"
                "  } catch {\n    return [];\n  }",
            ),
            ("ORDERS.map((number) => [number, query([number % 5])[0]])", "[]"),
            ("throw new RangeError('too many queries')", "process.exit(0)"),
            (
                "  return ORDERS.map((number) => [number, query([number % 5])[0]]);",
                "  const name = query([0])[0];\n  return ORDERS.map((number) => [number, name]);",
            ),
            ("LIMIT = 100", "LIMIT = 100000"),
            ("() => query([0, 1, 2, 3, 4])", "() => USERS.slice()"),
        ),
        {
            "returns an empty list": _node(
                "for (let n = 0; n < 5; n++) app.orders();", "assert.strictEqual(app.queries.length, 0);"
            ),
            "raises the limit": _node("for (let n = 0; n < 5; n++) assert.ok(app.orders());"),
            "swallows the error": _node("for (let n = 0; n < 5; n++) assert.ok(app.orders());"),
        },
    ),
    "exhausted": Fault(
        """\
const SIZE = 15;
const free = [...Array(SIZE).keys()];
const take = () => {
  if (!free.length) throw new Error('no connection is free');
  return free.pop();
};
exports.report = (number) => {
  const connection = take();
  if (number % 2) return `odd ${number}`;
  free.push(connection);
  return `even ${number}`;
};
exports.free = () => free.length;
""",
        _node(
            "for (let n = 0; n < 100; n++) {",
            "  assert.strictEqual(app.report(n), n % 2 ? `odd ${n}` : `even ${n}`);",
            "}",
        ),
        "Error: no connection is free",
        (
            "  const connection = take();",
            "  const connection = take();\n  if (number % 2) free.push(connection);",
        ),
        (
            (
                "  const connection = take();",
                "  let connection;\n  try { connection = take(); } catch (error) { return null; }",
            ),
            ("throw new Error('no connection is free');\n  return free.pop();", "return [];"),
            ("throw new Error('no connection is free')", "process.exit(0)"),
            (
                "  const connection = take();\n  if (number % 2) return `odd ${number}`;",
                "  if (number % 2) return 'odd 1';\n  const connection = take();",
            ),
            ("SIZE = 15", "SIZE = 40"),
            ("() => free.length", "() => (free || []).length"),
        ),
        {
            "raises the limit": _node("for (let n = 0; n < 35; n++) assert.ok(app.report(n));"),
            "swallows the error": _node("for (let n = 0; n < 100; n++) app.report(n);", "assert.ok(true);"),
        },
    ),
}
