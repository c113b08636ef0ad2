"""Red, then green, in the sandbox: what counts as proof, and what never does."""

import asyncio
from pathlib import Path

import pytest

from railmend.coding.proof import start
from railmend.coding.sandbox.interface import OUTPUT
from railmend.coding.settings import CheckSettings
from railmend.contracts.incident import Cause
from railmend.contracts.proof import ProofOutcome, ProofVerdict
from railmend.contracts.repair import RepairRequest
from tests import samples
from tests.integration.coding_stage import KEY, NAME, CodingRoom
from tests.unit.test_workspace import run

pytestmark = pytest.mark.integration
FAILED, NOT_HAD = ProofVerdict.FAILED, ProofVerdict.NOT_HAD

SHOP = """\
PRICES = {"tea": {"cents": 300, "off": 10}, "cup": {"cents": 900}}


def price(name):
    entry = PRICES[name]
    return entry["cents"] * (100 - entry["off"]) // 100


def names():
    return sorted(PRICES)
"""
LINE = 'entry["cents"] * (100 - entry["off"]) // 100'
TEST = """\
import unittest
import shop


class Regression(unittest.TestCase):
    def test_a_price_without_a_discount(self):
        self.assertEqual(shop.price("cup"), 900)

    def test_a_price_with_one(self):
        self.assertEqual(shop.price("tea"), 270)
"""
RIGHT = SHOP.replace('entry["off"]', 'entry.get("off", 0)')


def swallowed(answer: str) -> str:
    return SHOP.replace(
        f"    return {LINE}",
        f"    try:\n        return {LINE}\n    except Exception:\n        return {answer}",
    )


# All kinds, in more languages: tests/unit/wrong_fixes.py
WRONG_FIXES = {
    "swallows the error": swallowed("None"),
    "restarts itself": f"import os, sys\n{SHOP}".replace(f"return {LINE}", "os._exit(0)"),
}


def diagnosed() -> RepairRequest:
    """A repair whose diagnosis names a KeyError."""
    repair = samples.repair()
    incident = repair.incidents[0]
    cause = Cause(text="price() raises KeyError for what has no discount", evidence=("E1",))
    diagnosis = incident.diagnosis.model_copy(update={"causes": (cause,)})
    incident = incident.model_copy(update={"diagnosis": diagnosis})
    return repair.model_copy(update={"incidents": (incident,)})


def serving(health_check: str) -> RepairRequest:
    """A repair whose service is started as its files say."""
    repair = diagnosed()
    incident = repair.incidents[0]
    served = {"root_directory": "", "health_check": health_check, "start_command": None}
    service = incident.request.service.model_copy(update=served)
    request = incident.request.model_copy(update={"service": service})
    incident = incident.model_copy(update={"request": request})
    return repair.model_copy(update={"incidents": (incident,)})


async def shop(folder: Path, change: dict[str, str], **more: object) -> CodingRoom:
    """Return a room whose tree holds a change of the shop, which has one passing test."""
    kept = "import unittest\nimport shop\nclass A(unittest.TestCase):\n    def test_a(self):\n"
    kept += '        self.assertEqual(shop.names(), ["cup", "tea"])\n'
    files = {"shop.py": SHOP, "tests/__init__.py": "", "tests/test_shop.py": kept}
    room = CodingRoom(folder, files, repair=diagnosed(), **more)  # type: ignore[arg-type]
    await room.changed()
    for name, text in change.items():
        (room.tree / name).write_text(text)
    return room


async def test_a_right_fix_with_its_test_is_proven_and_leaves_nothing(tmp_path: Path) -> None:
    room = await shop(tmp_path, {"shop.py": RIGHT, "tests/test_regression.py": TEST})
    proof = await room.proof()
    assert proof.proven, proof
    assert proof.rows[0].reason == "Without the change: KeyError: 'off'"
    assert await room.changed() == ["shop.py", "tests/test_regression.py"]
    assert not list((tmp_path / "repairs").glob("*.checkout"))


async def test_a_proof_that_is_interrupted_is_measured_again_and_leaves_nothing(tmp_path: Path) -> None:
    held = TEST.replace("import shop\n", "import shop, time\nprint('held', flush=True)\ntime.sleep(HOLD)\n")
    room = await shop(tmp_path, {"shop.py": RIGHT, "tests/test_regression.py": held.replace("HOLD", "60")})
    proving = asyncio.create_task(room.proof())
    outputs = [tmp_path / "repairs" / f"{KEY}.checkout" / "run" / OUTPUT]
    while not any(each.exists() and "held" in each.read_text() for each in outputs):
        assert not proving.done()
        await asyncio.sleep(0.05)
    proving.cancel()
    await asyncio.wait({proving})
    assert not list((tmp_path / "repairs").glob("*.checkout"))
    (room.tree / "tests/test_regression.py").write_text(held.replace("HOLD", "0"))
    assert (await room.proof()).proven


@pytest.mark.parametrize("fix", WRONG_FIXES.values(), ids=WRONG_FIXES)
async def test_a_wrong_fix_is_not_proven(fix: str, tmp_path: Path) -> None:
    room = await shop(tmp_path, {"shop.py": fix, "tests/test_regression.py": TEST})
    proof = await room.proof()
    assert proof.rows[0].base == "fails 3 of 3"
    assert not proof.proven, proof


async def test_a_follow_up_is_proved_with_what_it_follows_on_the_base_of_both(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, {"shop.py": SHOP}, repair=diagnosed())
    room.branch, origin = diagnosed().branch, tmp_path / NAME
    run(origin, "checkout", "-qb", room.branch)
    (origin / "shop.py").write_text(RIGHT)
    (origin / "test_regression.py").write_text(TEST)
    run(origin, "add", "-A")
    run(origin, "commit", "-qm", "the fix")
    await room.changed()
    (room.tree / "shop.py").write_text(f"# as the reviewer wants it\n{RIGHT}")
    assert (await room.proof()).proven
    (room.tree / "shop.py").write_text(swallowed("900"))
    proof = await room.proof()
    assert (proof.rows[0].base, proof.proven) == ("fails 3 of 3", False), "it undoes what was proven"


TESTS_THAT_SHOW_NOTHING = {
    "passes without the change": (
        TEST.replace('"cup"), 900', '"tea"), 270'),
        FAILED,
        "does not show the fault",
    ),
    "asserts nothing": (TEST.replace("self.assertEqual(", "print("), NOT_HAD, "asserts nothing"),
    "needs what only the change has": (
        TEST.replace('shop.price("cup")', 'shop.full_price("cup")'),
        NOT_HAD,
        "a reason that was not diagnosed: AttributeError: module 'shop' has no attribute 'full_price'",
    ),
    "cannot be imported": (
        TEST.replace("import shop", "import shop, shop_new"),
        NOT_HAD,
        "could not be loaded",
    ),
    "is flaky on the base": (
        TEST.replace(
            "import shop\n",
            "import shop, pathlib\nRAN = pathlib.Path.home() / 'ran'\n"
            "if RAN.exists(): shop.PRICES['cup']['off'] = 0\nRAN.touch()\n",
        ),
        FAILED,
        "flaky without the change",
    ),
}


@pytest.mark.parametrize(
    ("test", "verdict", "why"), TESTS_THAT_SHOW_NOTHING.values(), ids=TESTS_THAT_SHOW_NOTHING
)
async def test_a_test_that_shows_nothing_is_no_proof(
    test: str, verdict: ProofVerdict, why: str, tmp_path: Path
) -> None:
    new = RIGHT + '\n\ndef full_price(name):\n    return PRICES[name]["cents"]\n'
    room = await shop(tmp_path, {"shop.py": new, "shop_new.py": "", "tests/test_regression.py": test})
    row, _ = (await room.proof()).rows
    assert (row.verdict, row.shows_fault) == (verdict, False)
    assert why in row.reason


LIES = {
    "prints a count and ends": (
        "import os\nprint('Ran 2 tests in 0.001s\\n\\nOK', flush=True)\ngetattr(os, '_ex' + 'it')(0)\n"
    ),
    "prints a count beside the runner's": "print('Ran 2 tests in 0.001s\\n\\nOK')\n",
    "forks": "import os\nfor _ in range(10_000):\n    os.fork() or os.system('sleep 60')\n",
    "floods the log": "while True:\n    print('Ran 2 tests in 0.001s\\n\\nOK\\n' * 10_000)\n",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_service_that_lies_is_not_proven(lie: str, tmp_path: Path) -> None:
    settings = CheckSettings(seconds=4)
    room = await shop(tmp_path, {"shop.py": lie + SHOP, "tests/test_regression.py": TEST}, settings=settings)
    proof = await room.proof()
    assert proof.rows[0].base == "fails 3 of 3", "the base is measured where the change has never run"
    assert not proof.proven, proof


async def test_without_a_test_it_is_said_in_the_agents_words(tmp_path: Path) -> None:
    room = await shop(tmp_path, {"shop.py": RIGHT})
    row, _ = (await room.proof("Mended it.\nNOT REPRODUCED: it needs two machines.")).rows
    assert (row.verdict, row.reason) == (NOT_HAD, "Not reproduced. The agent says: it needs two machines.")
    row, start = (await room.proof("Mended it.")).rows
    assert (row.verdict, row.reason) == (NOT_HAD, "The change has no regression test.")
    assert (start.verdict, start.base, start.change) == (NOT_HAD, "not tried", "not tried")


async def test_a_changes_own_settings_do_not_choose_how_it_is_proved(tmp_path: Path) -> None:
    change = {
        "shop.py": SHOP,
        "conftest.py": "import shop\nshop.PRICES['cup']['off'] = 0\n",
        "tests/conftest.py": "import shop\nshop.PRICES['cup']['off'] = 0\n",
        "tests/__init__.py": "",
        "tests/test_regression.py": TEST,
    }
    row, _ = (await (await shop(tmp_path, change)).proof()).rows
    assert (row.base, row.change, row.verdict) == ("fails 3 of 3", "fails 3 of 3", FAILED)


NODE_TEST = """\
const test = require('node:test');
const assert = require('node:assert');
const shop = require('../shop.js');
test('a price without a discount', () => { assert.strictEqual(shop.price('cup'), 900); });
"""
NODE_SHOP = """\
const PRICES = {cup: {cents: 900}};
exports.price = (name) => PRICES[name].cents - PRICES[name].off;
"""


async def test_node_without_any_test_is_proved_by_its_own_runner(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, {"package.json": '{"name": "shop"}', "shop.js": NODE_SHOP})
    await room.changed()
    (room.tree / "shop.js").write_text(NODE_SHOP.replace("PRICES[name].off;", "(PRICES[name].off || 0);"))
    (room.tree / "tests").mkdir()
    (room.tree / "tests" / "price.test.js").write_text(NODE_TEST)
    proof = await room.proof()
    assert proof.proven, proof


SERVER = """\
import http.server, os
KEY = os.environ["API_KEY"]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/up" else 404)
        self.end_headers()
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
# As Node and Go do where they are told no address.
EVERYWHERE = SERVER.replace("0.0.0.0", "::").replace(
    "class H", "http.server.HTTPServer.address_family = 10\nclass H"
)
ENDS = "raise SystemExit('no such table: orders')\n"
STARTS = {
    "starts on both": (SERVER, EVERYWHERE, ("starts", "starts", "passed"), "GET /up answers 200."),
    "the change broke it": (SERVER, ENDS, ("starts", "does not start", "failed"), "no such table: orders"),
    "starts on neither": (
        ENDS,
        f"# mended\n{ENDS}",
        ("does not start", "does not start", "not_had"),
        "either",
    ),
    "ends after one answer": (
        SERVER,
        SERVER.replace("serve_forever", "handle_request"),
        ("starts", "does not start", "failed"),
        "exit code 0",
    ),
    "unhealthy": (
        SERVER,
        SERVER.replace("200 if", "500 if"),
        ("starts", "does not start", "failed"),
        "No healthy answer",
    ),
    "is not there": ("", "# mended", ("not tried", "not tried", "not_had"), "not in the sandbox"),
}


@pytest.mark.parametrize(("base", "change", "row", "why"), STARTS.values(), ids=STARTS)
async def test_the_service_is_started_and_only_blamed_for_what_the_base_could_do(
    base: str,
    change: str,
    row: tuple[str, str, str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "FIRST_ANSWER_SECONDS", 6.0)
    repair = serving("/up")
    program = "python3 app.py" if base else "no-such-program"
    room = CodingRoom(tmp_path, {"app.py": base, "Procfile": f"web: {program}\n"}, repair=repair)
    await room.changed()
    (room.tree / "app.py").write_text(change)
    proof = await room.proof()
    _, shown = proof.rows
    told = ProofOutcome.FAILED if row[2] == "failed" else ProofOutcome.UNPROVEN
    assert proof.outcome is told, "a right fix of what cannot start is unproven, and not blamed"
    assert (shown.base, shown.change, shown.verdict.value) == row, shown
    assert why in shown.reason
    assert not shown.shows_fault, "that it starts does not show that the fault is gone"
