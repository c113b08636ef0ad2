"""The rehearsal's diagnosis of a packet, in the fields of the caller's schema."""

import re
from typing import Any

from railyard.rehearsal.evidence import Item, items, missing_key, symptoms

LABEL = "[rehearsal]"
# What stands in the source at the fault, or near it, by kind of finding.
LOOKS = {"memory_leak": "= {}", "error_rate": '["', "latency": "select"}
# A route on which the edge gives up counts as slow too.
SLOW_ROUTE = re.compile(r"^(\w+ \S+): \d+x .*?p95 (\d+) ms", re.M)
KEPT = re.compile(r"kept in memory")


def diagnose(packet: str) -> dict[str, Any]:
    """Return a diagnosis: `unclear` unless the packet holds a handled finding and the evidence for it."""
    packet_items = items(packet)
    shown = symptoms(packet_items)
    if not shown:
        return _unclear("The evidence shows no trouble that this rehearsal knows.")
    # On a busy machine the edge gives up on slow requests: they show as errors, or as an outage.
    failing = (_missing_key, _slow_query)
    judges = {"memory_leak": (_leak,), "latency": (_slow_query,), "error_rate": failing, "outage": failing}
    for finding in shown:
        for judge in judges[finding.source]:
            answer = judge(finding, packet_items)
            if answer is not None:
                return answer
    kinds = ", ".join(finding.source for finding in shown)
    return _unclear(f"The evidence for {kinds} does not name a cause.")


def next_look(packet: str, looks: int) -> str | None:
    """Return the text to look for in the source before anything is concluded; None: enough was seen."""
    shown = {finding.source for finding in symptoms(items(packet))}
    code = diagnose(packet)["verdict"] == "code"
    return next((text for kind, text in LOOKS.items() if code and not looks and kind in shown), None)


def with_source(answer: dict[str, Any], packet: str) -> dict[str, Any]:
    """Return the answer with the source that was read among the evidence of its first cause."""
    source = [item.id for item in items(packet) if item.kind in ("code", "change")]
    if answer["verdict"] != "code" or not source:
        return answer
    first, *others = answer["causes"]
    evidence = list(dict.fromkeys([*first["evidence"], *source]))
    return answer | {"causes": [first | {"evidence": evidence}, *others]}


def refute(packet: str) -> dict[str, Any]:
    """Play the sceptic: diagnose the same evidence again."""
    again = diagnose(packet)
    survives = again["verdict"] == "code"
    ids = sorted({item_id for cause in again["causes"] for item_id in cause["evidence"]})
    reason = f"{LABEL} The same evidence leads to the same cause." if survives else again["summary"]
    judged = [
        {"cause": number, "survives": survives, "reason": reason, "evidence": cause["evidence"]}
        for number, cause in enumerate(again["causes"], start=1)
    ]
    return {"survives": survives, "reason": reason, "causes": judged if survives else [], "evidence": ids}


def _below(series: str, threshold: float, minutes: int) -> dict[str, Any]:
    return {"series": series, "below": True, "threshold": threshold, "within_minutes": minutes}


def _unclear(why: str) -> dict[str, Any]:
    return _answer("unclear", why, [], [], [], "", "") | {"confidence": 0.2}


def _answer(
    verdict: str,
    summary: str,
    causes: list[tuple[str, list[str]]],
    files: list[str],
    plan: list[str],
    reproduce: str,
    verify: str,
    criteria: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "summary": f"{LABEL} {summary}",
        # The last step but one does it: what comes before looks for the place, the last runs the tests.
        "title": plan[-2:][0] if plan else "",
        "verdict": verdict,
        "confidence": 0.8,
        "assumes": "That the logs and series of the window are those of the running deployment.",
        "causes": [{"text": text, "evidence": ids, "against": []} for text, ids in causes],
        "ruled_out": [],
        "suspected_files": files,
        "suspected_commits": [],
        "plan": plan,
        "reproduce": reproduce,
        "verify": verify,
        "criteria": criteria or [],
        "risk": "Small: one place changes, and the service's own tests cover it." if plan else "",
        "dependency": "",
        "if_not_fixed": "Roll back to the deployment before, and let a person look.",
    }


def _leak(finding: Item, packet_items: list[Item]) -> dict[str, Any] | None:
    logs = [item for item in packet_items if item.kind == "deploy_log" and KEPT.search(item.text)]
    if not logs:
        return None
    return _answer(
        "code",
        "what is kept per request is never dropped",
        [
            ("Memory rises steadily while traffic is even.", [finding.id]),
            ("The service logs that what it keeps in memory only grows.", [item.id for item in logs]),
        ],
        [],
        [
            "Find the container at module level that each request adds to and nothing takes from.",
            "Bound what is kept: drop the oldest beyond a fixed number.",
            "Run the tests.",
        ],
        "Send the service requests with ever new ids and watch its memory.",
        "Memory stays level under the same traffic for 30 minutes after the deployment.",
        [_below("memory_slope_gb_per_hour", 0.05, 30)],
    )


def _missing_key(finding: Item, packet_items: list[Item]) -> dict[str, Any] | None:
    missing = missing_key(packet_items)
    if missing is None:
        return None
    file, function = missing.place.file, missing.place.function
    where = f"{function}()" if function else file
    return _answer(
        "code",
        f"{where} fails where `{missing.key}` is missing",
        [
            (
                f"`{missing.key}` is looked up in {file} although not every record has it.",
                [finding.id, *missing.evidence],
            )
        ],
        [file],
        [
            f"Make `{missing.key}` optional in {file}, {where}: a record without it works as it did before "
            "the field was shown.",
            "Run the tests.",
        ],
        f"Ask for a record without `{missing.key}`.",
        "The share of 5xx falls below 1 % within 15 minutes of the deployment.",
        [_below("error_share", 0.01, 15)],
    )


def _slow_query(finding: Item, packet_items: list[Item]) -> dict[str, Any] | None:
    for item in packet_items:
        routes = SLOW_ROUTE.findall(item.text) if item.kind == "http_log" else []
        slow = [(route, int(p95)) for route, p95 in routes if int(p95) >= 500]
        if not slow:
            continue
        route, p95 = max(slow, key=lambda pair: pair[1])
        return _answer(
            "code",
            f"{route} scans a whole table ({p95} ms)",
            [(f"{route} is slow at low traffic, request after request.", [finding.id, item.id])],
            [],
            [
                "Find the queries behind the route and the columns they select by.",
                "Add an index over these columns where the schema is made, safe to run again.",
                "Run the tests.",
            ],
            f"Time {route}.",
            "The p95 falls below 300 ms within 15 minutes of the deployment.",
            [_below("p95_ms", 300.0, 15)],
        )
    return None
