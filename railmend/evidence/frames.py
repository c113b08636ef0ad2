"""Fold stack traces to the application's own frames; library frames are counted, never shown in bulk."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from railmend.evidence.words import words

MAX_FRAMES = 8  # of one section of a trace
MAX_SECTIONS = 6  # of a chain of causes: the first and the last ones
MAX_TEXT_LINES = 24  # of what is no frame: messages, compiler output
MAX_WIDTH = 400
MAX_SINGLE_LINE = 900  # of an event of one line

PYTHON = re.compile(r'^[\s|+]*File "(?P<path>[^"]+)", line \d+')
JVM = re.compile(
    r"^\s*at (?:[\w.@-]+/(?:[\w.@-]*/)?)?(?P<name>[\w$.<>/-]+)\((?:[^()]*|Native Method)\)(?: ~?\[.*)?$"
)
NODE = re.compile(
    r"^\s*at (?:async )?(?:[^()]{0,200}\()?(?:file://)?(?P<path>/|node:|[A-Za-z]:\\|\.{1,2}/|webpack|internal/)"
    r"(?P<rest>[^():]{0,300}):\d+"
)
NATIVE = re.compile(
    r"^\s*at (?:.*\()?(?:<anonymous>|native|index \d+)\)?,?$|^\s*at (?:async )?(?:new )?[\w.<>\[\] ]+$"
)
DOTNET = re.compile(
    r"^\s*at (?P<name>[\w.`<>\[\]+|,&]{1,300})\(.{0,600}\)(?: in (?P<path>.{1,300}):line \d+)?$"
)
GO_PATH = re.compile(r"^\s+(?P<path>\S+\.(?:go|s)):\d+(?: \+0x[0-9a-f]+)?$")
GO_CALL = re.compile(r"^(?:created by )?[\w./*()$·\[\]{}-]{1,300}(?:\(.*\)| in goroutine \d+)?$")
RUBY = re.compile(
    r"^\s*(?:from )?(?P<path>[^\s:\"']+\.(?:rb|erb|ru|rake|slim|haml)|<internal:[^>]+>|[^\s:]*bin/[\w-]+)"
    r":\d+(?::in .*)?$"
)
RUST_CALL = re.compile(r"^\s*\d+: +(?:0x[0-9a-f]+ - )?(?P<name>\S.*)$")
RUST_PATH = re.compile(r"^\s+at (?P<path>[^\s()]+\.rs):\d+(?::\d+)?$")
PHP = re.compile(r"^#\d+ (?:(?P<path>\S+)\(\d+\): |\{main\}|\[internal function\])")
ELIXIR = re.compile(r"^\s+(?:\((?P<app>\w+)(?: [^)]+)?\) )?(?P<path>[\w/.-]+\.exs?):\d+: ")
OMITTED = re.compile(r"^\s*\.{3} (\d+) (?:more|common frames omitted|frames? .*)$")
POINTERS = re.compile(r"^[\s|>]*[\^~][\s\^~-]*$")
# A frame is of a library by its path, or by the name of its package.
LIBRARY_PATH = re.compile(
    r"site-packages|dist-packages|/lib(?:64)?/python\d|^<(?:frozen|string|__array)|node_modules|^node:|^internal/"
    r"|/go/src/|/pkg/mod/|(?:^|/)vendor/|/gems/|rubygems|^<internal:|/ruby/\d|bundler|/rustc/|\.cargo/|\.rustup/"
    r"|^/usr/(?:lib|share|local/lib)/|/\.pnpm/|/\.yarn/|webpack/runtime|webpack/bootstrap|^/opt/(?:bitnami|nix)"
    r"|^/nix/store|/\.venv/|/virtualenvs/|^library/(?:std|core|alloc)|\.pyx$"
)
LIBRARY_NAME = re.compile(
    r"^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|akka|play|rx|feign|zipkin2?"
    r"|brave|lombok|antlr|junit|reactor|okhttp3|okio|retrofit2|redis\.clients|ch\.qos|freemarker|graphql"
    r"|org\.(?:spring\w*|apache|hibernate|eclipse|jboss|postgresql|slf4j|aspectj|junit|codehaus|glassfish|mongodb"
    r"|thymeleaf|quartz|flywaydb|jooq|mybatis|h2|mariadb|elasticsearch|redisson|gradle|bouncycastle|xnio|reactivestreams)"
    r"|com\.(?:fasterxml|zaxxer|netflix|mysql|google|mongodb|rabbitmq|amazonaws|github|microsoft|oracle|datadog"
    r"|newrelic|squareup|alibaba|baomidou|typesafe|lmax|hazelcast|twitter)"
    r"|io\.(?:netty|lettuce|micrometer|vertx|quarkus|grpc|undertow|reactivex|micronaut|ktor|opentelemetry|jsonwebtoken"
    r"|sentry|projectreactor|smallrye|swagger)|net\.(?:bytebuddy|sf|logstash)|software\.amazon)\."
    r"|^(?:System|Microsoft|Npgsql|MySql|MySqlConnector|StackExchange|Newtonsoft|Dapper|Serilog|Polly|MediatR"
    r"|AutoMapper|FluentValidation|MassTransit|Grpc|Azure|Amazon|Google|RabbitMQ|MongoDB|Hangfire|Quartz)\."
    r"|CGLIB|\$\$Lambda|\$\$Fast|\$\$Enhancer|\$Proxy\d"
    r"|^<?(?:std|core|alloc|tokio|hyper|axum|actix\w*|tower\w*|futures\w*|backtrace|rocket|warp|mio|rayon|reqwest)\b"
    r"|^(?:__?rust|rust_|_start|__libc|clone|start_thread|main$|_main$|<unknown>)"
)
ELIXIR_LIBRARY = words("elixir_libraries")


class Part(Enum):
    APPLICATION = 1
    LIBRARY = 2
    TEXT = 3


@dataclass(slots=True)
class Frame:
    text: str
    part: Part
    count: int = 1


@dataclass(slots=True)
class Section:
    """One exception of a chain: its text and its frames."""

    text: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    innermost_last: bool = False


class Folded(NamedTuple):
    """An event as it is shown.

    `own`: the innermost frame of the application, if a trace has one; `frames`: how many frames of any kind
    there were.
    """

    lines: tuple[str, ...]
    own: str | None
    frames: int


def fold(lines: Sequence[str]) -> Folded:
    """Return an event's lines folded; without a single frame they are only bounded."""
    if len(lines) == 1:
        return Folded((_narrow(lines[0], MAX_SINGLE_LINE),), None, 0)
    sections = list(_sections(lines))
    frames = sum(frame.count for section in sections for frame in section.frames)
    if not frames:
        return Folded(tuple(_bounded([line for line in lines if not POINTERS.match(line)])), None, 0)
    shown: list[str] = []
    kept = _ends(sections)
    for number, section in enumerate(kept):
        if number == MAX_SECTIONS // 2 and len(sections) > len(kept):
            shown.append(f"  ({len(sections) - len(kept)} causes between them left out)")
        shown += _bounded(section.text)
        shown += _show(section)
    return Folded(tuple(shown), _own(sections), frames)


def _ends(sections: list[Section]) -> list[Section]:
    half = MAX_SECTIONS // 2
    return sections if len(sections) <= MAX_SECTIONS else sections[:half] + sections[-half:]


def _own(sections: list[Section]) -> str | None:
    """Return the innermost application frame of the root cause, which is the last section that has one."""
    for section in reversed(sections):
        own = [frame for frame in section.frames if frame.part is Part.APPLICATION]
        if own:
            return own[-1 if section.innermost_last else 0].text.split("\n")[0].strip()
    return None


def _bounded(lines: Sequence[str]) -> list[str]:
    narrowed = [_narrow(line, MAX_WIDTH) for line in lines]
    if len(narrowed) <= MAX_TEXT_LINES:
        return narrowed
    half = MAX_TEXT_LINES // 2
    left_out = f"  ({len(narrowed) - MAX_TEXT_LINES} lines left out)"
    return [*narrowed[:half], left_out, *narrowed[-half:]]


def _narrow(line: str, width: int) -> str:
    """Shorten a line in its middle: nested causes stand at its end."""
    if len(line) <= width:
        return line
    return f"{line[: width * 2 // 3]} … {line[-width // 3 :]}"


def _show(section: Section) -> Iterator[str]:
    """Return the application's frames in their order, with the number of library frames between them."""
    frames = _collapsed(section.frames)
    own = [frame for frame in frames if frame.part is Part.APPLICATION]
    if not own:  # the innermost three show at least where it happened
        single = [frame for frame in frames if frame.count == 1]
        own = single[-3:] if section.innermost_last else single[:3]
    kept = own[-MAX_FRAMES:] if section.innermost_last else own[:MAX_FRAMES]
    shown = {id(frame) for frame in kept}
    skipped = 0
    for frame in frames:
        if id(frame) not in shown:
            skipped += frame.count
            continue
        if skipped:
            yield f"  ({skipped} library frames)" if len(own) <= MAX_FRAMES else f"  ({skipped} more frames)"
            skipped = 0
        yield from _bounded(frame.text.split("\n"))
        if frame.count > 1:
            yield f"  (the same frame {frame.count} times)"
    if skipped:
        yield f"  ({skipped} library frames)"


def _collapsed(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames of a recursion as one with a count."""
    collapsed: list[Frame] = []
    for frame in frames:
        if collapsed and collapsed[-1].text == frame.text and frame.part is Part.APPLICATION:
            collapsed[-1].count += frame.count
        else:
            collapsed.append(Frame(frame.text, frame.part, frame.count))
    return collapsed


def _sections(lines: Sequence[str]) -> Iterator[Section]:
    section = Section()
    position = 0
    while position < len(lines):
        frame, used, innermost_last = _frame(lines, position)
        if frame is None:
            line = lines[position]
            position += 1
            if not line.strip() or POINTERS.match(line):
                continue
            if section.frames and not section.innermost_last:
                yield section
                section = Section()
            elif section.frames:  # Python prints the exception below its frames
                section.text.append(line)
                yield _python(section)
                section = Section()
                continue
            section.text.append(line)
            continue
        section.innermost_last = section.innermost_last or innermost_last
        section.frames.append(frame)
        position += used
    if section.text or section.frames:
        yield section


def _python(section: Section) -> Section:
    """Put the exception's line below the frames, where a reader of Python expects it."""
    *head, exception = section.text
    frames = list(section.frames)
    # As a frame that is always shown, it keeps the trace's own order.
    frames.append(Frame(exception, Part.APPLICATION, 1))
    if not any(frame.part is Part.APPLICATION for frame in section.frames):
        for frame in section.frames[-2:]:
            frame.part = Part.APPLICATION
    return Section(head, frames, innermost_last=True)


def _frame(lines: Sequence[str], index: int) -> tuple[Frame | None, int, bool]:
    """Return a frame that begins here, its number of lines, and whether the innermost comes last."""
    line = lines[index]
    following = lines[index + 1] if index + 1 < len(lines) else ""
    match = PYTHON.match(line)
    if match:
        return _python_frame(lines, index, _part(match["path"]))
    if line.lstrip().startswith("at "):
        return _at_frame(line)
    match = OMITTED.match(line)
    if match:
        return Frame(line, Part.LIBRARY, int(match[1])), 1, False
    path = GO_PATH.match(following)
    if path and GO_CALL.match(line):
        part = Part.LIBRARY if line.startswith(("panic(", "runtime.")) else _part(path["path"])
        return Frame(f"  {line.strip()} {following.strip()}", part), 2, False
    return _numbered(line, following)


def _python_frame(lines: Sequence[str], index: int, part: Part) -> tuple[Frame, int, bool]:
    """Return a frame with the code below it, indented deeper, without the pointers below that."""
    indent = _indent(lines[index])
    used = 1
    text = lines[index]
    while index + used < len(lines) and _indent(lines[index + used]) > indent:
        below = lines[index + used]
        if used == 1 and not POINTERS.match(below) and not PYTHON.match(below):
            text += f"\n{below}"
        elif PYTHON.match(below):
            break
        used += 1
    return Frame(text, part), used, True


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t|+"))


def _at_frame(line: str) -> tuple[Frame | None, int, bool]:
    """`at ...`: the JVM, Node, .NET, and the second line of a Rust frame."""
    match = NODE.match(line)
    if match:
        return Frame(line, _part(match["path"] + match["rest"])), 1, False
    match = DOTNET.match(line)
    if match and match["path"]:
        part = Part.LIBRARY if LIBRARY_NAME.search(match["name"]) else _part(match["path"])
        return Frame(line, part), 1, False
    match = JVM.match(line) or match
    if match:
        part = Part.LIBRARY if LIBRARY_NAME.search(match["name"]) else Part.APPLICATION
        return Frame(line, part), 1, False
    return (Frame(line, Part.LIBRARY) if NATIVE.match(line) else None), 1, False


def _numbered(line: str, following: str) -> tuple[Frame | None, int, bool]:
    match = PHP.match(line)
    if match:
        return Frame(line, _part(match["path"]) if match["path"] else Part.LIBRARY), 1, False
    match = RUST_CALL.match(line)
    if match:
        path = RUST_PATH.match(following)
        library = LIBRARY_NAME.search(match["name"]) or (path and _part(path["path"]) is Part.LIBRARY)
        part = Part.LIBRARY if library else Part.APPLICATION
        return Frame(f"{line} {following.strip()}" if path else line, part), 2 if path else 1, False
    match = ELIXIR.match(line)
    if match:
        return Frame(line, Part.LIBRARY if match["app"] in ELIXIR_LIBRARY else Part.APPLICATION), 1, False
    match = RUBY.match(line)
    if match:
        return Frame(line, _part(match["path"])), 1, False
    return None, 1, False


def _part(path: str) -> Part:
    return Part.LIBRARY if LIBRARY_PATH.search(path) else Part.APPLICATION
