"""Write the table of calls into docs/github.md: `python -m tools.github_reference`."""

import sys
from pathlib import Path

from railmend.publishing.github.calls import table

FILE = Path(__file__).resolve().parent.parent / "docs" / "github.md"
BEGIN, END = "<!-- calls -->", "<!-- end of calls -->"


def updated(text: str) -> str:
    """Return the page with the table between its two marks."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    FILE.write_text(updated(FILE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    main()
