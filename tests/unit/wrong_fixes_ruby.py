"""The same in Ruby, run by Minitest."""

from tests.unit.wrong_fixes import Fault


def _ruby(*asserts: str) -> str:
    body = "".join(f"    {line}\n" for line in asserts)
    head = 'require "minitest/autorun"\nrequire_relative "app"\n\nclass A < Minitest::Test\n  def test_a\n'
    return f"{head}{body}  end\nend\n"


RUBY = {
    "crash": Fault(
        """\
PRICES = { "tea" => { cents: 300, off: 10 }, "cup" => { cents: 900 } }
LAST = []
LIMIT = 100

def price(name)
  entry = PRICES.fetch(name)
  entry[:cents] * (LIMIT - entry.fetch(:off)) / LIMIT
end

def names
  PRICES.keys.sort
end
""",
        _ruby('assert_equal 270, price("tea")', 'assert_equal 900, price("cup")'),
        "KeyError: key not found: :off",
        ("entry.fetch(:off)", "entry.fetch(:off, 0)"),
        (
            (
                "  entry[:cents] * (LIMIT - entry.fetch(:off)) / LIMIT",
                "  entry[:cents] * (LIMIT - entry.fetch(:off)) / LIMIT\nrescue StandardError\n  nil",
            ),
            (
                "  entry[:cents] * (LIMIT - entry.fetch(:off)) / LIMIT",
                "  []",
            ),
            ("  entry = PRICES.fetch(name)", "  entry = PRICES.fetch(name)\n  exit!(0) unless entry[:off]"),
            (
                "  entry[:cents]",
                "  return LAST.last unless entry[:off]\n  LAST << 270\n  entry[:cents]",
            ),
            ("LIMIT = 100", "LIMIT = 1000"),
            ("PRICES.keys.sort", "PRICES.keys.sort.uniq"),
        ),
        {
            "swallows the error": _ruby('assert_nil price("cup")'),
            "returns an empty list": _ruby('assert_equal [], price("cup")'),
            "restarts itself": _ruby('price("cup")', "assert true"),
            "fixes another endpoint": _ruby('assert_equal ["cup", "tea"], names'),
        },
    ),
    "slow": Fault(
        """\
QUERIES = []
LIMIT = 100
USERS = (0..4).to_h { |n| [n, "user #{n}"] }
ORDERS = (0..49).map { |n| [n, n % 5] }

def query(ids)
  QUERIES << ids
  raise IOError, "too many queries" if QUERIES.size > LIMIT
  ids.map { |n| USERS.fetch(n) }
end

def orders
  ORDERS.map { |number, user| [number, query([user]).first] }
end

def users
  query(USERS.keys)
end
""",
        _ruby(
            'assert_equal [7, "user 2"], orders[7]',
            "assert_equal 50, orders.size",
            "assert_operator QUERIES.size, :<=, 10",
        ),
        "50 queries for each request, IOError",
        (
            "  ORDERS.map { |number, user| [number, query([user]).first] }",
            "  names = USERS.keys.zip(query(USERS.keys)).to_h\n"
            "  ORDERS.map { |number, user| [number, names.fetch(user)] }",
        ),
        (
            (
                "  ORDERS.map { |number, user| [number, query([user]).first] }",
                "  ORDERS.map { |number, user| [number, query([user]).first] }\n"
                "rescue IOError => e\n  warn e\n  []",
            ),
            ("  ORDERS.map { |number, user| [number, query([user]).first] }", "  []"),
            (
                '  raise IOError, "too many queries" if QUERIES.size > LIMIT',
                "  exit!(0) if QUERIES.size > LIMIT",
            ),
            (
                "  ORDERS.map { |number, user| [number, query([user]).first] }",
                "  name = query([0]).first\n  ORDERS.map { |number, _| [number, name] }",
            ),
            ("LIMIT = 100", "LIMIT = 100_000"),
            ("query(USERS.keys)", "USERS.values"),
        ),
        {
            "returns an empty list": _ruby("5.times { orders }", "assert_equal [], QUERIES"),
            "raises the limit": _ruby("5.times { refute_empty orders }"),
            "swallows the error": _ruby("5.times { assert_kind_of Array, orders }"),
        },
    ),
}
