"""CPU time of commands: what a person waits for at every Tab, every wrong option and every question."""

import os
import resource
import subprocess
import sys
from pathlib import Path

STARTER = Path(__file__).resolve().parent.parent / "starter.py"
COMMANDS = ("--help", "status", "show x", "incidents", "pause", "approve x")
RUNS = 7
# Where no server answers a command has imported what it needs, and ends.
SETTINGS = {
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
    "RAILWAY_PROJECT_ID": "p",
    "RAILWAY_ENVIRONMENT_ID": "e",
    "RAILWAY_TOKEN": "t",
}


def seconds(command: str) -> float:
    """Return what one process used, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, str(STARTER), *command.split()], env=os.environ | SETTINGS, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    for command in COMMANDS:
        least = min(seconds(command) for _ in range(RUNS))
        print(f"starter.py {command}: {least:.2f} s of CPU (least of {RUNS})")


if __name__ == "__main__":
    main()
