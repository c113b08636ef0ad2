"""Whether a service starts in the sandbox: how it is started, and the first answers that it gives.

The worker itself asks, over the sandbox's socket: nothing that the service prints is believed.
"""

import asyncio
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import httpx

from railmend.coding.checks.databases import not_had
from railmend.coding.checks.folder import json_object, table
from railmend.coding.proof.load import LoadRecord
from railmend.coding.proof.replay import MOST_LOAD_SECONDS, REPLAY_SECONDS, ask, client
from railmend.coding.sandbox.interface import (
    OUTPUT,
    SERVER_SOCKET,
    CommandResult,
    RepairPaths,
    Sandbox,
    SandboxCommand,
    last,
    listening,
    run_sandboxed,
    short_path,
)
from railmend.coding.sandbox.quota import Quota
from railmend.contracts.proof import Answers, RequestCost, SampledRequest, StartRun
from railmend.evidence.redact import redact
from railmend.railway.parse import one_command

MAX_TEXT = 60_000
INSTRUCTION = re.compile(r"^\s*(FROM|ENV|WORKDIR|RUN|CMD|ENTRYPOINT)\s+(.+)$", re.I)
CONTINUED = re.compile(r"\\[ \t]*\n(?:[ \t]*#.*\n)*")
PAIR = re.compile(r"([A-Za-z_]\w*)=(\"[^\"$`]*\"|[^\s\"'$`]*)(?=\s|$)")
# They lead to what the image has, or say what the sandbox says.
OURS = re.compile(r"(?:\w*PATH|HOME|PORT|LD_\w+|USER|SHELL)$")
GO_BUILD = re.compile(r"\bgo build\b((?:\s+[^\s;&|]+|\s+\"[^\"]*\"|\s+'[^']*')*)")
# Seconds until the first answer; the next one, so much later, shows that it did not end at once.
FIRST_ANSWER_SECONDS, STILL_AFTER_SECONDS = 60.0, 1.0
POLL_SECONDS = 0.2
# Seconds more where it is built first.
BUILD_SECONDS = 120
# What shells and `env` say of a program that is not there.
NOT_FOUND = (126, 127)
# The line in which a program says why it ends; traces, hints and the program's version come below it.
ERROR = re.compile(
    r"[\w.:]*(?:Error|Exception)\b|(?:panic|fatal|error)\b(?: error)?:|thread '.*' panicked at"
    r"|.*\(\w+Error\)$",
    re.I,
)
PROCFILE = re.compile(r"^(\w+)\s*:\s*(.+)$", re.M)
# Variables that code demands, and does without no default, by language.
DEMANDED = re.compile(
    r"os\.environ\[[\"'](\w+)[\"']\](?!\s*=[^=])|\bprocess\.env\.(\w+)\b(?!\s*(?:\|\||\?\?|=[^=]))"
    r"|\bENV\.fetch\([\"'](\w+)[\"']\)|\bos\.Getenv\(\"(\w+)\"\)"
)
# Harmless values of the right shape, by what a name ends or begins with; the first that matches.
SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"POSTGRES|DATABASE_URL|^DB_URL|PG_?URL"), "postgres://railmend@127.0.0.1:5432/railmend"),
    (re.compile(r"REDIS"), "redis://127.0.0.1:6379/0"),
    (re.compile(r"UR[IL]$|ENDPOINT$"), "http://127.0.0.1:9/"),
    (re.compile(r"DOMAIN$"), "healthcheck.railway.app"),
    (re.compile(r"HOST$"), "127.0.0.1"),
    (re.compile(r"PORT$"), "9"),
    (re.compile(r"SECRET|KEY|TOKEN|SALT|PASSWORD"), "0123456789abcdef" * 4),
    (re.compile(r"SECONDS|TIMEOUT|COUNT|SIZE|LIMIT|MAX|MIN|TTL|WORKERS|INTERVAL"), "10"),
    (re.compile(r"DEBUG|ENABLE|DISABLE|USE_"), "false"),
)
Read = Callable[[str], str | None]
# A script that watches files, or builds on demand: what the repository's people use while they write.
DEVELOPMENT = re.compile(
    r"\b(?:nodemon|ts-node-dev|tsx watch|next dev|nuxt dev|vite(?! preview)|(?:node|bun) --watch)\b"
)
NODE_COMMAND = re.compile(r"^(?:export [^;]*; )*(?:npm|pnpm|yarn|bun|node|next|npx)\b")


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
            built = _compiled(rest) or built
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


def _compiled(run: str) -> str:
    """Return what `go build` of an image compiles; empty: it runs none."""
    if (found := GO_BUILD.search(run)) is None:
        return ""
    words = found[1].split()
    plain = [word for word in words if re.fullmatch(r"\.?[\w./-]*", word) and not word.startswith("-")]
    return plain[-1] if plain and words[-1] == plain[-1] and words[-2:-1] != ["-o"] else "."


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[\s;&|<>()]", word) and "'" not in word else word


@dataclass(frozen=True)
class StartCommand:
    """`command`: for a shell, in `directory`. `path`: where it is asked whether it is healthy.

    `build`: what must have been run before; empty: nothing. `release`: what runs before each deployment.
    """

    command: str
    directory: str
    path: str
    healthy: bool  # whether Railway knows the path, and so demands 2xx
    build: str = ""
    release: str = ""


def find_start(
    directory: str, command: str | None, health: str | None, read: Read, release: str | None = None
) -> StartCommand | None:
    """Return how the service of a directory is started: as Railway does, else as its files say."""
    prefix = f"{directory}/" if directory else ""

    def first(readers: Mapping[str, Callable[[str], str | None]]) -> str | None:
        texts = ((read(prefix + name), reader) for name, reader in readers.items())
        return next((said for text, reader in texts if text and (said := reader(text))), None)

    found = command or first(FILES)
    if not found:
        return None
    built = NODE_COMMAND.match(found) and "build" in table(
        json_object(read(f"{prefix}package.json") or ""), "scripts"
    )
    path = f"/{(health or '').lstrip('/')}"
    build, before = "npm run build" if built else "", release or first(RELEASES) or ""
    return StartCommand(found, directory, path, health is not None, build, before)


def _railway(load: Callable[[str], object], key: str = "startCommand") -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        try:
            return one_command(load(text)["deploy"][key])  # type: ignore[index]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None

    return read


def _procfile(process: str) -> Callable[[str], str | None]:
    return lambda text: dict(PROCFILE.findall(text)).get(process)


def _package(text: str) -> str | None:
    scripts = table(json_object(text), "scripts")
    own = [name for name in ("start", "start:prod", "start:production", "serve") if scripts.get(name)]
    finished = [name for name in own if not DEVELOPMENT.search(str(scripts[name]))]
    name = next(iter(finished or own), None)
    return "npm start" if name == "start" else name and f"npm run {name}"


def _python(module: str) -> Callable[[str], str | None]:
    """Return how a module is served: by the framework that it makes an application of."""

    def served(text: str) -> str | None:
        if (
            made := re.search(r"^(\w+)\s*(?::[^=\n]+)?=\s*(FastAPI|Starlette|Flask|Quart)\(", text, re.M)
        ) is None:
            return f"python3 {module}.py" if "__main__" in text else None
        if made[2] in ("FastAPI", "Starlette"):
            return f"python3 -m uvicorn {module}:{made[1]} --host 0.0.0.0 --port $PORT"
        return f"python3 -m {made[2].lower()} --app {module}:{made[1]} run --host 0.0.0.0 --port $PORT"

    return served


def _always(command: str) -> Callable[[str], str]:
    return lambda text: command


# By file, the first that says it: what people wrote about it, then what the builders of Railway take it for.
FILES: Mapping[str, Callable[[str], str | None]] = {
    "railway.json": _railway(json.loads),
    "railway.toml": _railway(tomllib.loads),
    "Procfile": _procfile("web"),
    "Dockerfile": docker_start,
    "package.json": _package,
    "manage.py": _always("python3 manage.py runserver --noreload 0.0.0.0:$PORT"),
    **{f"{module}.py": _python(module) for module in ("main", "app", "server", "wsgi")},
    "bin/rails": _always("bin/rails server -b 0.0.0.0 -p $PORT"),
    "config.ru": _always("bundle exec rackup --host 0.0.0.0 --port $PORT"),
    "app.rb": _always("ruby app.rb"),
    "main.go": _always('go build -o "$HOME/service" . && exec "$HOME/service"'),
    **{f"{name}.js": _always(f"node {name}.js") for name in ("server", "index", "app")},
}

RELEASES: Mapping[str, Callable[[str], str | None]] = {
    "railway.json": _railway(json.loads, "preDeployCommand"),
    "railway.toml": _railway(tomllib.loads, "preDeployCommand"),
    "Procfile": _procfile("release"),
}


def variables(texts: Iterable[str]) -> dict[str, str]:
    """Return harmless values for the variables that code demands."""
    names = {next(filter(None, groups)) for text in texts for groups in DEMANDED.findall(text)}
    return {
        name: next((value for shape, value in SHAPES if shape.search(name)), "railmend")
        for name in sorted(names - {"PORT", "NODE_ENV"})
    }


async def start(
    sandbox: Sandbox,
    launch: SandboxCommand,
    way: StartCommand,
    quota: Quota,
    requests: Sequence[SampledRequest] = (),
    before: float = 0,
) -> tuple[StartRun, list[Answers], RequestCost | None]:
    """Start the service, ask it until it answers twice, then `requests`; nothing of it runs afterwards.

    `before`: seconds that what the launch does first may take.
    """
    first = FIRST_ANSWER_SECONDS + before + (BUILD_SECONDS if way.build else 0)
    record = LoadRecord()
    with listening(launch.paths.sockets, SERVER_SOCKET) as inward:
        launch = replace(launch, listen=inward)
        # Its end comes when it was asked; the rest is in case it does not.
        most = first + REPLAY_SECONDS + MOST_LOAD_SECONDS
        running = asyncio.create_task(run_sandboxed(sandbox, launch, most, quota, used=record.used))
        asking = asyncio.create_task(_answer(launch.paths, way))
        try:
            await asyncio.wait({running, asking}, timeout=first, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                answers = await ask(launch.paths, requests, record) if requests else []
                return asking.result(), answers, record.cost()
            if running.done():
                return _ended(running.result()), [], None
        finally:
            for task in (asking, running):
                task.cancel()
            await asyncio.gather(asking, running, return_exceptions=True)
    said = last(launch.paths.run / OUTPUT, 8000)
    return _ended(CommandResult(None, f"time: longer than {first:.0f} s", said, first)), [], None


async def _answer(paths: RepairPaths, way: StartCommand) -> StartRun:
    """Ask until there are two healthy answers in a row."""
    first: int | None = None
    while True:
        status = await _status(paths, way.path)
        healthy = status is not None and (200 <= status < 400 if way.healthy else status < 500)
        if healthy and first is not None:
            return StartRun(started=True, why=f"GET {way.path} answers {status}.")
        first = status if healthy else None
        await asyncio.sleep(STILL_AFTER_SECONDS if healthy else POLL_SECONDS)


async def _status(paths: RepairPaths, path: str) -> int | None:
    with short_path(paths.sockets, SERVER_SOCKET) as address:
        async with client(address) as asking:
            try:
                return (await asking.get(path)).status_code
            except (httpx.HTTPError, httpx.InvalidURL):
                return None


def telling_line(output: str) -> str:
    """Return the last line that names an error, else the last one; empty without output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return ([line for line in lines if ERROR.match(line)] or lines or [""])[-1]


def _ended(done: CommandResult) -> StartRun:
    line = telling_line(redact(done.output))
    said = f": {line[:160]}" if line else "."
    if lacks := not_had(done.code, done.output):
        return StartRun(started=None, why=lacks)
    if done.code in NOT_FOUND:
        return StartRun(started=None, why=f"What starts it is not in the sandbox{said}")
    if done.reason is not None:
        return StartRun(started=False, why=f"No healthy answer ({done.reason}){said}")
    return StartRun(started=False, why=f"It ended with exit code {done.code}{said}")
