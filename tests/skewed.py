"""Run a program of this repository as on a machine whose clock is wrong.

`python -m tests.skewed SECONDS PROGRAM ARGUMENTS`: whatever the process reads of the time of day is off by
so many seconds. The monotonic clock goes on as it is, as on such a machine.
"""

import runpy
import sys
from datetime import UTC, datetime, timedelta

import time_machine

if __name__ == "__main__":
    _, seconds, program, *arguments = sys.argv
    time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(seconds)), tick=True).start()
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
