"""How long `starter.py --help` takes: what a person waits for at every Tab and every wrong option."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

STARTER = Path(__file__).resolve().parent.parent / "starter.py"
RUNS = 7


def seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, str(STARTER), "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    print(f"starter.py --help: {median(seconds() for _ in range(RUNS)):.2f} s (median of {RUNS})")


if __name__ == "__main__":
    main()
