"""Take pictures for the docs from a demo left running with `--keep`: `python -m tools.screenshots`.

Needs Chromium on this machine (CHROMIUM names another one). Writes docs/images/*.png.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# The Web UI draws itself after the page has loaded.
DRAW_MILLISECONDS = 12_000


def browser() -> str:
    """Return the path of a browser; without one, end the process with code 2 and a sentence."""
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        if name and (path := shutil.which(name)):
            return path
    sys.stderr.write("Chromium is not installed here: install it, or set CHROMIUM to its path.\n")
    raise SystemExit(2)


def shoot(address: str, file: Path, size: str) -> None:
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser(),
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            # Containers forbid Chromium's own sandbox; it only opens pages of this machine.
            "--no-sandbox",
            f"--user-data-dir={profile}",
            f"--window-size={size}",
            f"--virtual-time-budget={DRAW_MILLISECONDS}",
            f"--screenshot={file}",
            address,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    sys.stdout.write(f"{file}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ui", required=True, help="address of the Temporal Web UI, as the demo prints it")
    parser.add_argument("--incident", required=True, help="workflow ID of an investigation")
    parser.add_argument(
        "--run-id", required=True, help="its run ID, as `starter.py show ID --json` prints it"
    )
    parser.add_argument("--pull-request", required=True, help="address of a pull request")
    parser.add_argument("--report", type=Path, help="a page of `starter.py report`")
    options = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    runs = f"{options.ui}/namespaces/default/workflows"
    query = quote("RailmendService = 'checkout'")
    shoot(f"{runs}?query={query}", IMAGES / "runs.png", "1300,600")
    incident = f"{runs}/{quote(options.incident, safe='')}/{options.run_id}/user-metadata"
    shoot(incident, IMAGES / "incident.png", "1700,1300")
    shoot(options.pull_request, IMAGES / "pull-request.png", "1100,1300")
    if options.report:
        shoot(options.report.absolute().as_uri(), IMAGES / "report.png", "1200,1300")


if __name__ == "__main__":
    main()
