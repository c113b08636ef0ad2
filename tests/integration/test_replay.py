"""Production's own requests, asked of a service in the sandbox on both sides of a change."""

import re
import socket
from pathlib import Path

import pytest

from railmend.coding.proof import replay, start
from railmend.coding.proof.load import LoadRecord
from railmend.contracts.proof import RequestSample, SampledRequest
from tests.integration.coding_stage import CodingRoom
from tests.integration.test_proof import serving

pytestmark = pytest.mark.integration
SERVICE = """\
import http.server, json, os, time
SEEN, HTTPX = [], "python-httpx"
PRICES = {"tea": {"cents": 300, "off": 10}, "cup": {"cents": 900}}
def report():
    time.sleep(0.6)
    return {"rows": 3}
def price(name):
    entry = PRICES[name]
    return entry["cents"] - entry["off"]
ROUTES = {
    "/prices/tea": lambda: price("tea"), "/prices/cup": lambda: price("cup"), "/up": lambda: "ok",
    "/names": lambda: sorted(PRICES), "/report": report,
}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 404, ""
        try:
            if self.path in ROUTES:
                status, body = 200, ROUTES[self.path]()
        except KeyError:
            status = 500
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
RIGHT = SERVICE.replace('entry["off"]', 'entry.get("off", 0)')
CUP = ("/prices/cup", "/prices/{name}", 500, False)
HEALTHY = (("/up", "/up", 200, False), ("/names", "/names", 200, False))
SLOW = ("/report", "/report", 200, True)


@pytest.fixture
def asked_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask only until there is an answer to all: what they cost is another test's."""
    monkeypatch.setattr(replay, "LOAD_SECONDS", 0.2)
    monkeypatch.setattr(LoadRecord, "measured", True)


def requests(*rows: tuple[str, str, int, bool]) -> RequestSample:
    return RequestSample(
        requests=tuple(
            SampledRequest(
                method="GET", path=path, route=f"GET {route}", status=status, duration_ms=9, slow=slow
            )
            for path, route, status, slow in rows
        )
    )


CHANGES = {
    "mended": (RIGHT, (CUP, *HEALTHY), "passed", "2 healthy ones of 2 other routes"),
    "breaks another route": (
        RIGHT.replace("lambda: sorted(PRICES)", "lambda: PRICES['names']"),
        (CUP, *HEALTHY),
        "failed",
        "GET /names answered 200, and answers 500",
    ),
    "answers 200 to everything": (
        RIGHT.replace("status, body = 404", "status, body = 200"),
        (CUP, *HEALTHY),
        "failed",
        "a path that does not exist answered 404, and answers 200",
    ),
    "slow, mended": (SERVICE.replace("0.6", "0"), (SLOW, *HEALTHY), "passed", "2 healthy ones"),
    "knows who asks": (
        SERVICE.replace('entry["off"]', 'entry["off"] if HTTPX not in SEEN else 0').replace(
            "        status, body = 404",
            "        SEEN.append(self.headers.get('User-Agent', '')[:12]); status, body = 404",
        ),
        (CUP, *HEALTHY),
        "failed",
        "GET /prices/{name} shows it with the change too",
    ),
    "mended once an unknown path was asked": (
        SERVICE.replace('entry["off"]', 'entry.get("off", 0) if SEEN else entry["off"]').replace(
            "            if self.path in ROUTES:",
            "            if self.path not in ROUTES: SEEN.append(1)\n            if self.path in ROUTES:",
        ),
        (CUP, *HEALTHY),
        "failed",
        "GET /prices/{name} shows it with the change too",
    ),
}


@pytest.mark.usefixtures("asked_briefly")
@pytest.mark.parametrize(("change", "rows", "verdict", "why"), CHANGES.values(), ids=CHANGES)
async def test_requests_blame_a_change_for_what_it_breaks_and_prove_nothing_alone(
    change: str,
    rows: tuple[tuple[str, str, int, bool], ...],
    verdict: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "FIRST_ANSWER_SECONDS", 10.0)
    room = CodingRoom(
        tmp_path, {"app.py": SERVICE, "Procfile": "web: python3 app.py\n"}, repair=serving("/up")
    )
    await room.changed()
    (room.tree / "app.py").write_text(change)
    proof = await room.proof(requests=requests(*rows))
    row = proof.rows[-1]
    assert (row.what, row.verdict.value) == ("production's requests", verdict), row
    assert why in row.reason
    assert not proof.proven, "an answer without an error may be a wrong one"


KEEP = "lambda: KEPT.append('x' * 10**6) or sorted(PRICES)"
LEAK = "KEPT = []\n" + RIGHT.replace("lambda: sorted(PRICES)", KEEP)


async def test_what_requests_cost_is_told_of_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leak shows in no single answer, so the row could not be had; its slope is told all the same."""
    monkeypatch.setattr(start, "FIRST_ANSWER_SECONDS", 10.0)
    monkeypatch.setattr(replay, "LOAD_SECONDS", 0.5)
    files = {"app.py": LEAK, "Procfile": "web: python3 app.py\n"}
    room = CodingRoom(tmp_path, files, repair=serving("/up"))
    await room.changed()
    (room.tree / "app.py").write_text(RIGHT)
    row = (await room.proof(requests=requests(*HEALTHY))).rows[-1]
    assert row.verdict.value == "not_had"
    slope = r"([+-]\S+) KiB \(\S+ to \S+\)"
    told = re.search(rf"failed 0 % .* memory {slope} → {slope}, CPU (\S+) ms \(.* → (\S+) ms", row.reason)
    assert told, row.reason
    grows, after, *cpu = (float(each) for each in told.groups())
    assert 200 < grows < 500, "of three requests one keeps 977 KiB"
    assert after < grows / 2, row.reason
    assert all(0 < each < 1000 for each in cpu), row.reason


@pytest.mark.usefixtures("asked_briefly")
async def test_nothing_leaves_the_sandbox_while_a_service_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "FIRST_ANSWER_SECONDS", 6.0)
    with socket.create_server(("0.0.0.0", 0)) as outside:
        outside.settimeout(0.1)
        calls = f"""
import socket, threading
def call():
    for host in ("127.0.0.1", "{socket.gethostbyname(socket.gethostname())}"):
        try: socket.create_connection((host, {outside.getsockname()[1]}), 1).send(b"it")
        except OSError: pass
threading.Thread(target=call).start()
"""
        files = {"app.py": calls + SERVICE, "Procfile": "web: python3 app.py\n"}
        room = CodingRoom(tmp_path, files, repair=serving("/up"))
        await room.changed()
        (room.tree / "app.py").write_text(calls + RIGHT)
        proof = await room.proof(requests=requests(CUP, *HEALTHY))
        assert proof.rows[-1].verdict.value == "passed", "it was asked"
        with pytest.raises(TimeoutError):
            outside.accept()


HOSTILE = {
    "is mended under a test alone": SERVICE.replace(
        'entry["off"]', 'entry.get("off", 0) if "unittest" in __import__("sys").modules else entry["off"]'
    ),
    "forks": "import os\nfor _ in range(10_000):\n    os.fork() or os.system('sleep 60')\n" + RIGHT,
    "floods the log": RIGHT.replace("def do_GET(self):", "def do_GET(self):\n        print('x' * 10**9)"),
    "lies": RIGHT.replace("self.send_response(status)", "self.wfile.write(bytes(100))"),
    "ends the answer to what failed": RIGHT.replace(
        "        try:", "        if self.path == '/prices/cup': raise SystemExit\n        try:"
    ),
}
TEST = """\
import ast, unittest
from pathlib import Path
SOURCE = Path("app.py").read_text()
class A(unittest.TestCase):
    def test_a(self):
        space = {}
        exec(SOURCE[SOURCE.index("SEEN"):SOURCE.index("ROUTES")].replace("SEEN, HTTPX", "A, B"), space)
        self.assertEqual(space["price"]("cup"), 900)
"""
KEPT = TEST.replace("cup", "tea").replace("900", "290")


@pytest.mark.usefixtures("asked_briefly")
@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_service_is_not_proven(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "FIRST_ANSWER_SECONDS", 4.0)
    monkeypatch.setattr(replay, "ANSWER_SECONDS", 1.0)
    room = CodingRoom(
        tmp_path,
        {
            "app.py": SERVICE,
            "Procfile": "web: python3 app.py\n",
            "test_kept.py": KEPT,
        },
        repair=serving("/up"),
    )
    await room.changed()
    (room.tree / "app.py").write_text(change)
    (room.tree / "test_regression.py").write_text(TEST)
    proof = await room.proof(requests=requests(CUP, *HEALTHY))
    assert proof.rows[0].verdict.value == "passed", "its test is fooled"
    assert not proof.proven, proof
