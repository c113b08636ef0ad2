"""How an image would start what it holds, read from its Dockerfile: the sandbox has no images.

The work tree stands for the last stage's WORKDIR. What a stage compiles with Go is compiled at the start.
"""

import json
import re
import shlex
from pathlib import PurePosixPath

MAX_TEXT = 60_000
INSTRUCTION = re.compile(r"^\s*(FROM|ENV|WORKDIR|RUN|CMD|ENTRYPOINT)\s+(.+)$", re.I)
CONTINUED = re.compile(r"\\[ \t]*\n(?:[ \t]*#.*\n)*")
PAIR = re.compile(r"([A-Za-z_]\w*)=(\"[^\"$`]*\"|[^\s\"'$`]*)(?=\s|$)")
# They lead to what the image has, or say what the sandbox says.
OURS = re.compile(r"(?:\w*PATH|HOME|PORT|LD_\w+|USER|SHELL)$")
GO_BUILD = re.compile(r"\bgo build\b((?:\s+[^\s;&|]+|\s+\"[^\"]*\"|\s+'[^']*')*)")


def docker_start(text: str) -> str | None:
    """Return how the last stage starts, for a shell in the work tree; None: it does not say."""
    directory, said, values, built = PurePosixPath("/"), dict[str, str](), dict[str, str](), ""
    for line in CONTINUED.sub(" ", text[:MAX_TEXT]).splitlines():
        if (found := INSTRUCTION.match(line)) is None:
            continue
        name, rest = found[1].upper(), found[2].strip()
        if name == "FROM":
            directory, said, values = PurePosixPath("/"), {}, {}
        elif name == "WORKDIR":
            directory /= rest
        elif name == "ENV":
            values |= {key: value.strip('"') for key, value in PAIR.findall(rest) if not OURS.match(key)}
        elif name == "RUN":
            built = _package(rest) or built
        else:
            said[name] = rest
    entry, command = said.get("ENTRYPOINT", ""), said.get("CMD", "")
    words = [*_words(entry), *(_words(command) if entry[:1] in "[" else ())]
    if not words:
        return None
    before = "".join(f"export {key}={shlex.quote(value)}; " for key, value in values.items())
    return before + _placed(words, str(directory), built)


def _words(said: str) -> list[str]:
    """Return the words of an instruction, each as a shell takes it."""
    try:
        return [_quoted(str(word)) for word in json.loads(said)]
    except (ValueError, TypeError, RecursionError):
        return [said] if said else []


def _placed(words: list[str], directory: str, built: str) -> str:
    """Return the command with the work tree in the place of the image's directory, its own program built."""
    inside = [word.removeprefix(f"{directory}/") if len(directory) > 1 else word for word in words]
    words = [
        f"./{new}" if new != old and not index else new
        for index, (new, old) in enumerate(zip(inside, words, strict=True))
    ]
    if built and "/" in words[0] and not words[0].endswith(".sh"):
        return " ".join([f'go build -o "$HOME/service" {built} && exec "$HOME/service"', *words[1:]])
    return " ".join(words)


def _package(run: str) -> str:
    """Return what `go build` of an image compiles; empty: it runs none."""
    if (found := GO_BUILD.search(run)) is None:
        return ""
    words = found[1].split()
    plain = [word for word in words if re.fullmatch(r"\.?[\w./-]*", word) and not word.startswith("-")]
    return plain[-1] if plain and words[-1] == plain[-1] and words[-2:-1] != ["-o"] else "."


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[\s;&|<>()]", word) and "'" not in word else word
