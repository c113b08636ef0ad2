"""Production's own requests, asked of a service in the sandbox on both sides of a change."""

from pathlib import Path

import pytest

from railmend.coding.proof import start
from railmend.contracts.proof import RequestSample, SampledRequest
from tests.integration.coding_stage import CodingRoom
from tests.integration.test_proof import serving

pytestmark = pytest.mark.integration
SERVICE = """\
import http.server, json, os, time
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
}


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
