"""What a command puts off: the libraries behave as before, and what nobody asked for is not run."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In a process of its own: other tests share this one.
SCRIPT = """
import json, sys
from commands import quick_start
if sys.argv[1] == "deferred":
    quick_start.defer()
import temporalio.client
from temporalio.client import Client
unread = [name for name in ("temporalio.workflow._definition", "temporalio.bridge.proto.core_interface_pb2")
          if name in sys.modules]


def refused(work, error):
    try:
        work()
    except error as raised:
        return str(raised)


import temporalio.workflow
import temporalio.bridge.proto.health.v1 as health
said = [temporalio.workflow.ActivityCancellationType(1).name, health.HealthCheckRequest(service="a").service,
         refused(lambda: temporalio.workflow.nothing_of_this_name, AttributeError) is not None]
print(json.dumps([unread, said]))
"""


def run(how: str) -> tuple[list[str], list[object]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], cwd=ROOT, capture_output=True, text=True, check=True
    )
    unread, said = json.loads(done.stdout)
    return unread, said


def test_what_is_put_off_behaves_as_before() -> None:
    (_, before), (unread, deferred) = run("as ever"), run("deferred")
    assert deferred == before
    assert unread == []
