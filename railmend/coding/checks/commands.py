"""Command lines of CI configuration, package scripts and Makefiles: known test runners and installers.

The text is hostile. Nothing here runs it, and what is taken is run in the sandbox alone; what no table names
is not taken at all, so that no deployment, release or upload is.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from railmend.coding.checks.programs import (
    BUILD_SCRIPT,
    BUILD_TARGET,
    BUILDS,
    CONTAINED,
    CONTAINERS,
    ELSEWHERE,
    FILLS,
    FORBIDDEN,
    INSTALLS,
    OTHER_TESTS,
    PYTHON_WRAPPERS,
    RECIPES,
    SCRIPTED,
    TEST_SCRIPT,
    TESTS,
    ecosystem_of,
)

MAX_RUN, MAX_LINE, MAX_WORDS = 4000, 300, 40


# Words that a shell reads as they are, or as names of files.
PLAIN = re.compile(r"^[\w./*@:=,+%-]+$")


class Purpose(StrEnum):
    INSTALL = "install"
    BUILD = "build"
    FILL = "fill"  # what creates the tables that tests need
    TEST = "test"


@dataclass(frozen=True)
class CheckCommand:
    """A known command. `directory`: below that of its step. `script`: what it stands for, by another name."""

    purpose: Purpose
    words: tuple[str, ...]
    directory: str = ""
    script: tuple[str, str] | None = None
    ecosystem: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def installs_project(self) -> bool:
        """Return whether it installs what the project names, and not some tools alone."""
        named = any(word.startswith((".", "-r", "-e", "--group", "--requirement")) for word in self.words)
        return self.purpose is Purpose.INSTALL and (named or not self.words[0].startswith("pip"))

    @property
    def line(self) -> str:
        return " ".join(word if PLAIN.match(word) else shlex.quote(word) for word in self.words)


SHELL_WORDS = frozenset(
    {"if", "for", "while", "case", "until", "function", "select", "{", "set", "export", "cat"}
)
ENDINGS = frozenset("|>&()<")
VARIABLE = re.compile(r"^([A-Z][A-Z0-9_]{0,60})=([^$`]{0,200})$")
# A word whose value only the run knows.
UNKNOWN = re.compile(r"\$(?:\w+|\{\w+\})")
VALUED = frozenset(
    {"--group", "--extra", "--python", "-p", "--package", "--with", "--directory", "--only-group"}
)


def commands(run: str) -> Iterator[CheckCommand]:
    """Give the known commands of one step's script, in order; none of a script that decides or loops."""
    if len(run) > MAX_RUN or "<<" in run:
        return
    directory = ""
    for line in _lines(run):
        before = directory
        for words in _split(line):
            if words[:1] == ["cd"] and len(words) == 2 and not words[1].startswith(("/", "~", "-")):
                directory = join(directory, words[1])
            elif inner := _in_image(words):
                yield from (_in(directory, command) for command in commands(inner))
            elif (command := known(words)) is not None:
                yield _in(directory, command)
        directory = before if line[0] == "(" else directory


def _in(directory: str, command: CheckCommand) -> CheckCommand:
    return replace(command, directory=join(directory, command.directory))


def _in_image(words: Sequence[str]) -> str:
    """Return the script that runs in a container, which stands for the work tree; empty: it needs more."""
    plain = re.match(
        r"docker run (?:--rm |-i |-t |-it |--name \S+ )*[\w./:-]+ (?:ba)?sh -\w*c$", " ".join(words[:-1])
    )
    return words[-1] if plain else ""


def join(directory: str, other: str) -> str:
    """Return a path below the repository, without dots; one that would leave it ends at its root."""
    parts: list[str] = []
    for part in f"{directory}/{other}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _lines(run: str) -> list[list[str]]:
    """Return the words of each line; none where one of them decides or loops."""
    found: list[list[str]] = []
    for line in re.sub(r"\\\s*\n\s*", " ", run).splitlines():
        if not (line := line.strip()) or line.startswith("#"):
            continue
        try:
            lexer = shlex.shlex(line[: 4 * MAX_LINE], posix=True, punctuation_chars=True)
            lexer.whitespace_split, lexer.commenters = True, ""
            words = list(lexer)
        except ValueError:
            return []
        if words and words[0] in SHELL_WORDS - {"set", "export", "cat"}:
            return []
        found += [words] if words else []
    return found


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    """Give each command of a line, up to its first pipe or redirection."""
    command: list[str] = []
    cut = False
    for word in (*words, ";"):
        if word in ("&&", ";"):
            if command:
                yield command
            command, cut = [], False
        elif word[:1] == "(" and not command:
            continue
        elif word[:1] in ENDINGS:
            if word[0] == ">" and command[-1:] in (["1"], ["2"]):
                command.pop()
            cut = True
        elif not cut:
            command.append(word)


def known(words: Sequence[str]) -> CheckCommand | None:
    """Return one command as what it is for; None: no runner, installer or script that is known."""
    words = list(words)
    variables = []
    if words[:1] == ["env"]:
        words.pop(0)
    while words and (match := VARIABLE.match(words[0])):
        variables.append((match[1], match[2]))
        words.pop(0)
    kept = [word for word in words if not ("${{" in word and word.startswith("-"))]
    packages = kept[:2] == ["go", "test"] and kept[-1] == "$"  # `$(go list ./... | grep -v x)`
    words = [word for word in kept[: -1 if packages else None] if not UNKNOWN.fullmatch(word)]
    open_ended = words != kept
    line = " ".join(words)
    if not words or len(words) > MAX_WORDS or len(line) > MAX_LINE or re.search(r"[$`]|\{\{|\}\}", line):
        return None
    words = _unwrapped(words)
    line = " ".join(words)
    fills = next((name for name, pattern in FILLS.items() if pattern.match(line)), "")
    if not words or (FORBIDDEN.search(line) and not fills):
        return None
    found = CheckCommand(Purpose.FILL, tuple(words), ecosystem=fills) if fills else None
    found = found or _install(words) or _files(words) or _runner(words) or _script(words)
    if found is None or (open_ended and found.purpose is not Purpose.TEST):
        return None
    if open_ended and found.ecosystem == "go":  # what it leaves out is often which packages
        found = replace(found, words=(*(word for word in found.words if "..." not in word), "./..."))
    return replace(found, variables=tuple(variables))


def _unwrapped(words: list[str]) -> list[str]:
    """Drop what only chooses an environment: `uv run --group dev`, `poetry run`, `npx cross-env A=b`."""
    while words:
        if words[0] in PYTHON_WRAPPERS and words[1:2] == ["run"]:
            words = _after_options(words[2:])
        elif words[0] in ("time", "command", "cross-env", "dotenv") and len(words) > 1:
            words = [word for word in words[1:] if word != "--"]
        else:
            return words
    return words


def _after_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in VALUED else 1 :]
    return words


def _install(words: list[str]) -> CheckCommand | None:
    program, rest = words[0], words[1:]
    if program in ("python", "python3") and rest[:2] == ["-m", "pip"]:
        program, rest = "pip", rest[2:]
    ecosystem = INSTALLS.get((program, rest[0] if rest else "-"))
    if ecosystem is None or {"-g", "--global", "--user"} & set(rest):
        return None
    if program == "go" and not re.match(r"mod download\b|install \S+@\S+$", " ".join(rest)):
        return None
    return CheckCommand(Purpose.INSTALL, (program, *_own_version(rest)), ecosystem=ecosystem)


def _own_version(words: list[str]) -> list[str]:
    """Leave out which Python is meant: there is one in the sandbox."""
    at = next((index for index, word in enumerate(words) if word == "--python"), None)
    return words if at is None else [*words[:at], *words[at + 2 :]]


def _files(words: list[str]) -> CheckCommand | None:
    """Recognise what lays files in place before tests: `cp .env.example .env`, `npx prisma generate`."""
    inside = all(PLAIN.match(word) and ".." not in word and word[0] != "/" for word in words[1:])
    if (words[0] in ("cp", "mkdir", "touch") and inside) or BUILDS.match(" ".join(words)):
        return CheckCommand(Purpose.BUILD, tuple(words))
    return None


def _runner(words: list[str]) -> CheckCommand | None:
    """Recognise a runner, also behind `npx`, `pnpm exec`, `bundle exec`, `php`, `python -m`."""
    if not (rest := _behind(words)):
        return None
    program = rest[0].removeprefix("./").rsplit("/", 1)[-1]
    line = " ".join(rest)
    if program in CONTAINERS:
        contained = CONTAINED.search(line) and "-d" not in rest
        return CheckCommand(Purpose.TEST, tuple(words), ecosystem=ecosystem_of(line)) if contained else None
    if program in ("tox", "nox"):
        return CheckCommand(Purpose.TEST, tuple(words), script=("tox", ""), ecosystem="python")
    ecosystem = TESTS.get((program, "*")) or _by_verb(program, rest)
    if ecosystem == "go" and program == "go":
        if any(word.startswith("-run") for word in rest):
            return None  # one that names its tests is a part of them
        if not {"-v", "-json", "-test.v"} & set(rest):  # it says how many tests ran only when asked
            words = [*words[: words.index("test") + 1], "-v", *words[words.index("test") + 1 :]]
    return CheckCommand(Purpose.TEST, tuple(words), ecosystem=ecosystem) if ecosystem else None


def _behind(words: list[str]) -> list[str]:
    """Drop what only finds and starts a program."""
    rest = list(words)
    while rest:
        if rest[0] in ("npx", "bunx") or re.fullmatch(r"php[\d.]*|ruby", rest[0]):
            rest = _after_options(rest[1:])
        elif " ".join(rest[:2]) in ("pnpm exec", "yarn exec", "npm exec", "bundle exec", "bun x"):
            rest = _after_options(rest[2:])
        elif rest[0] in ("python", "python3", "coverage"):
            after = rest[2:] if rest[0] == "coverage" and rest[1:2] == ["run"] else rest[1:]
            while after and after[0].startswith("-") and after[0] not in ("-m", "--module"):
                after = after[2 if after[0] in ("-W", "-X") else 1 :]
            rest = after[1:] if after[:1] in (["-m"], ["--module"]) else after
        else:
            break
    return rest


def _by_verb(program: str, rest: Sequence[str]) -> str:
    """Return the ecosystem of a program that tests by one of its verbs; empty: this is another."""
    verbs = [word for word in rest[1:] if not word.startswith(("-", "+", "db:"))]
    if program == "node":
        verbs = ["--test"] if "--test" in rest else []
    if program == "turbo" and verbs[:1] == ["run"]:
        verbs = verbs[1:]
    verb = verbs[0] if verbs else "-"
    return TESTS.get((program, verb)) or TESTS.get((program, verb.split(":")[0])) or ""


def _script(words: list[str]) -> CheckCommand | None:
    """Recognise a script by a name that says what it is for; what it does is looked up later."""
    program, rest = words[0], [word for word in words[1:] if word != "--"]
    if program in ("bash", "sh") and rest and "/" in rest[0]:
        program = rest[0]
    path, name = program, ""
    if program in SCRIPTED:
        name = _script_name(program, rest)
    elif "/" in program and not program.startswith(("/", "~")):
        program, name = "file", re.sub(r"\.(?:sh|bash|py|rb)$", "", program.rsplit("/", 1)[-1])
    test = TEST_SCRIPT.match(name.rsplit(":", 1)[-1] if program == "task" else name) or name == "t"
    if test and not OTHER_TESTS.search(name.replace("_", "-")):
        purpose = Purpose.TEST
    elif (BUILD_TARGET if program in RECIPES else BUILD_SCRIPT).match(name) and program != "file":
        purpose = Purpose.BUILD
    else:
        return None
    key = path if program == "file" else "test" if name == "t" else name
    return CheckCommand(purpose, tuple(words), script=(program, key), ecosystem=SCRIPTED.get(program, ""))


def _script_name(program: str, rest: list[str]) -> str:
    """Return the script that a manager or `make` runs; empty: it runs none, or one of another directory."""
    if program in RECIPES and any(word.startswith(("-C", "-f")) for word in rest):
        return ""
    said = re.sub(rf"(?:^| )(?:{ELSEWHERE}) \S+|(?:^| )-\S*|(?:^| )\S*=\S*", "", " ".join(rest)).split()
    names = [word for word in said if word not in ("run", "run-script")]
    if program == "deno":
        return names[1] if names[:1] == ["task"] and names[1:] else ""
    names = names[2:] if program == "yarn" and names[:1] == ["workspace"] else names
    return names[0] if names else ""
