"""The hidden tests of cases: programs that end with 0 once the fault is fixed, and that no agent sees."""

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from evals.case import Case

# In the package of the service, so that it can name what is not exported; of no repository's own.
GO_FILE = "zz_hidden_test.go"


@dataclass(frozen=True)
class Language:
    """`needs`: what must be installed. `command`: a shell command, with `{}` in the place of the program."""

    needs: str
    command: str


LANGUAGES: Mapping[str, Language] = {
    "orders": Language("python3", "python3 -B -c {}"),
    "catalog": Language("node", "node --input-type=module -e {}"),
    "gateway": Language(
        "go",
        f"export GOFLAGS=-mod=mod GOTOOLCHAIN=local; printf %s {{}} > {GO_FILE} && go test -count=1 -v .",
    ),
    "invoices": Language("ruby", "ruby -I. -e {}"),
}


def command(case: Case) -> str | None:
    """Return the shell command of a case's hidden test; None where its language is not installed here."""
    language = LANGUAGES[case.repository]
    if not case.hidden_test or shutil.which(language.needs) is None:
        return None
    return language.command.format(shlex.quote(case.hidden_test))
