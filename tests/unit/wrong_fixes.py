"""Small services with a planted fault each, a right fix, and six wrong ones of each kind."""

import difflib
from typing import NamedTuple

from railmend.coding.git.diff import ChangedFile

KINDS = (
    "swallows the error",
    "returns an empty list",
    "restarts itself",
    "caches the wrong answer",
    "raises the limit",
    "fixes another endpoint",
)


class Fault(NamedTuple):
    """`right`, `wrong`: (what is replaced, by what). `named`: what the diagnosis calls the fault.

    `blessing`: by kind of wrong fix, a test that its author wrote so that it passes with it.
    """

    service: str
    test: str
    named: str
    right: tuple[str, str]
    wrong: tuple[tuple[str, str], ...]
    blessing: dict[str, str]


def changed_file(path: str, before: str, after: str) -> ChangedFile:
    old, new = before.splitlines(), after.splitlines()
    blocks = difflib.SequenceMatcher(None, old, new).get_opcodes()
    removed = tuple(line for tag, a, b, _, _ in blocks if tag != "equal" for line in old[a:b])
    added = tuple((n + 1, new[n]) for tag, _, _, a, b in blocks if tag != "equal" for n in range(a, b))
    return ChangedFile(path, "modified", len(added), len(removed), added=added, removed=removed)


def _python(*asserts: str) -> str:
    body = "".join(f"        {line}\n" for line in asserts)
    return f"import unittest\nimport app\n\nclass A(unittest.TestCase):\n    def test_a(self):\n{body}"


PYTHON = {
    "crash": Fault(
        """\
PRICES = {"tea": {"cents": 300, "off": 10}, "cup": {"cents": 900}}
LAST = {}
LIMIT = 100

def price(name):
    entry = PRICES[name]
    return entry["cents"] * (LIMIT - entry["off"]) // LIMIT

def names():
    return sorted(PRICES)
""",
        _python("self.assertEqual(app.price('tea'), 270)", "self.assertEqual(app.price('cup'), 900)"),
        "KeyError: 'off'",
        ('entry["off"]', 'entry.get("off", 0)'),
        (
            (
                '    return entry["cents"] * (LIMIT - entry["off"]) // LIMIT',
                '    try:\n        return entry["cents"] * (LIMIT - entry["off"]) // LIMIT\n'
                "    except Exception:\n        return None",
            ),
            ('entry["cents"] * (LIMIT - entry["off"]) // LIMIT', "[]"),
            (
                "    entry = PRICES[name]",
                "    import os\n    entry = PRICES[name]\n    'off' in entry or os._exit(0)",
            ),
            (
                '    return entry["cents"]',
                '    if "off" not in entry:\n        return LAST["price"]\n'
                '    LAST["price"] = 270\n    return entry["cents"]',
            ),
            ("LIMIT = 100", "LIMIT = 1000"),
            ("sorted(PRICES)", "sorted(PRICES or ())"),
        ),
        {
            "swallows the error": _python("self.assertIsNone(app.price('cup'))"),
            "returns an empty list": _python("self.assertEqual(app.price('cup'), [])"),
            "restarts itself": _python("app.price('cup')", "self.assertTrue(True)"),
            "fixes another endpoint": _python("self.assertEqual(app.names(), ['cup', 'tea'])"),
        },
    ),
    "leak": Fault(
        """\
SEEN = {}
LIMIT = 100_000

def handle(number):
    SEEN[number] = {"id": number}
    if len(SEEN) > LIMIT:
        SEEN.clear()
    return SEEN[number]["id"] if number in SEEN else number

def count():
    return len(SEEN)
""",
        _python(
            "for n in range(1000):",
            "    self.assertEqual(app.handle(n), n)",
            "self.assertLessEqual(len(app.SEEN), 100)",
        ),
        "memory rises",
        ('SEEN[number] = {"id": number}', 'SEEN[number] = {"id": number}\n    SEEN.pop(number - 10, None)'),
        (
            (
                '    SEEN[number] = {"id": number}',
                '    try:\n        SEEN[number] = {"id": number}\n    except MemoryError:\n        pass',
            ),
            (
                '    SEEN[number] = {"id": number}\n    if len(SEEN) > LIMIT:\n        SEEN.clear()\n'
                '    return SEEN[number]["id"] if number in SEEN else number',
                "    return []",
            ),
            (
                "        SEEN.clear()",
                "        SEEN.clear()\n    if len(SEEN) > 100:\n        import os\n        os.abort()",
            ),
            (
                '    SEEN[number] = {"id": number}',
                '    SEEN[number % 10] = {"id": number}\n    return SEEN[0]["id"]',
            ),
            ("LIMIT = 100_000", "LIMIT = 900_000"),
            ("    return len(SEEN)", "    return min(len(SEEN), 100)"),
        ),
        {
            "returns an empty list": _python("app.handle(1)", "self.assertEqual(len(app.SEEN), 0)"),
            "raises the limit": _python(
                "for n in range(100_001):", "    app.handle(n)", "self.assertEqual(app.count(), 100_001)"
            ),
        },
    ),
    "slow": Fault(
        """\
QUERIES = []
LIMIT = 100
USERS = {n: f"user {n}" for n in range(5)}
ORDERS = [(n, n % 5) for n in range(50)]

def query(ids):
    QUERIES.append(ids)
    if len(QUERIES) > LIMIT:
        raise TimeoutError("too many queries")
    return [USERS[n] for n in ids]

def orders():
    return [(number, *query([user])) for number, user in ORDERS]

def users():
    return query(sorted(USERS))
""",
        _python(
            "self.assertEqual(app.orders()[7], (7, 'user 2'))",
            "self.assertEqual(len(app.orders()), 50)",
            "self.assertLessEqual(len(app.QUERIES), 10)",
        ),
        "50 queries for each request, TimeoutError",
        (
            "[(number, *query([user])) for number, user in ORDERS]",
            "(lambda names: [(number, names[user]) for number, user in ORDERS])(query(sorted(USERS)))",
        ),
        (
            (
                "    return [(number, *query([user])) for number, user in ORDERS]",
                "    try:\n        return [(number, *query([user])) for number, user in ORDERS]\n"
                "    except Exception:\n        return []",
            ),
            ("[(number, *query([user])) for number, user in ORDERS]", "[]"),
            ('        raise TimeoutError("too many queries")', "        import os\n        os._exit(0)"),
            (
                "[(number, *query([user])) for number, user in ORDERS]",
                "(lambda name: [(number, name) for number, user in ORDERS])(*query([0]))",
            ),
            ("LIMIT = 100", "LIMIT = 100_000"),
            ("query(sorted(USERS))", "list(USERS.values())"),
        ),
        {
            "returns an empty list": _python(
                "for _ in range(5):", "    app.orders()", "self.assertEqual(app.QUERIES, [])"
            ),
            "raises the limit": _python("for _ in range(5):", "    self.assertTrue(app.orders())"),
            "swallows the error": _python(
                "for _ in range(5):", "    self.assertIsInstance(app.orders(), list)"
            ),
        },
    ),
    "exhausted": Fault(
        """\
FREE = list(range(15))

def take():
    if not FREE:
        raise TimeoutError("no connection is free")
    return FREE.pop()

def report(number):
    connection = take()
    if number % 2:
        return f"odd {number}"
    FREE.append(connection)
    return f"even {number}"

def free():
    return len(FREE)
""",
        _python(
            "for n in range(100):",
            "    self.assertEqual(app.report(n), f'odd {n}' if n % 2 else f'even {n}')",
        ),
        "TimeoutError: no connection is free",
        ("    if number % 2:", "    if number % 2:\n        FREE.append(connection)"),
        (
            (
                "    connection = take()",
                "    try:\n        connection = take()\n    except:\n        return None",
            ),
            (
                '        raise TimeoutError("no connection is free")\n    return FREE.pop()',
                "        return []",
            ),
            (
                '        raise TimeoutError("no connection is free")',
                "        import os\n        os.kill(os.getpid(), 9)",
            ),
            (
                '    connection = take()\n    if number % 2:\n        return f"odd {number}"',
                '    if number % 2:\n        return "odd 1"\n    connection = take()',
            ),
            ("range(15)", "range(40)"),
            ("len(FREE)", "len(FREE or ())"),
        ),
        {
            "raises the limit": _python("for n in range(35):", "    self.assertTrue(app.report(n))"),
            "swallows the error": _python("for n in range(100):", "    app.report(n)", "self.assertTrue(1)"),
        },
    ),
}
