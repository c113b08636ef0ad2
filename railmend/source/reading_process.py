"""Read source files in a process of its own: what crashes or exhausts a native parser ends no more than that.

One process reads all files of a batch, one after the other, and is replaced when it has died.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from railmend.source import code_reader, plain_reader
from railmend.source.code_reader import Definition, FunctionCall, ModuleImport, SourceCode
from railmend.source.grammars import can_read, is_plain

# The reader gives up after `code_reader.MAX_SECONDS` by itself; these are for what no longer asks the time.
MAX_SECONDS = 6.0
MAX_MEMORY_BYTES = 1024**3
# A file of the largest size, all calls, makes an eighth of it.
MAX_ANSWER_BYTES = 32 * 1024**2
# Whoever kills so many processes is not given more.
MAX_FAILURES = 3
ROOT = Path(__file__).parents[2]


class CodeReaderProcess:
    """Reads like `code_reader.read`, as a context manager. Blocking; for one thread.

    `unread`: paths of files that a grammar was there for, and that could not be read. `module`: what runs.
    """

    def __init__(self, module: str = __name__) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self.unread: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def read(self, path: str, text: str) -> SourceCode | None:
        """Return what is in a file; None if no grammar reads it, or if it could not be read."""
        if not can_read(path):
            return None
        code = None
        if self._failures < MAX_FAILURES and len(text) <= code_reader.MAX_BYTES:
            try:
                code = _decoded(path, text, self._ask(path, text))
            except (OSError, ValueError, TypeError, RecursionError):
                self._failures += 1
                self._end()
        if code is None:
            self.unread[path] = None
        return code

    def _ask(self, path: str, text: str) -> Any:
        """Raise `ValueError` or `OSError` for a process that dies, or is too slow, or says too much."""
        process = self._process or self._begin()
        source, sink = process.stdout, process.stdin
        assert source is not None  # noqa: S101 - pipes were asked for
        assert sink is not None  # noqa: S101
        data = text.encode(errors="surrogatepass")
        timer = Timer(MAX_SECONDS, process.kill)
        timer.start()
        try:
            sink.write(json.dumps([path, len(data)]).encode() + b"\n" + data)
            sink.flush()
            return json.loads(source.readline(MAX_ANSWER_BYTES))
        finally:
            timer.cancel()

    def _begin(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(  # with none of the worker's environment: it holds secrets
            [sys.executable, "-m", self._module],
            cwd=ROOT,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in filter(None, (self._process.stdin, self._process.stdout)):
                with suppress(OSError):  # for what a dead process did not take
                    pipe.close()
        self._process = None


def _decoded(path: str, text: str, answer: Any) -> SourceCode | None:
    if answer is None:
        return None
    definitions, calls, imports, statements = answer
    return SourceCode(
        path,
        text.split("\n"),
        tuple(Definition(*row) for row in definitions),
        tuple(
            FunctionCall(callee, tuple(arguments), start, end, tuple((name, text) for name, text in chain))
            for callee, arguments, start, end, chain in calls
        ),
        tuple(ModuleImport(*row) for row in imports),
        tuple((start, end) for start, end in statements),
    )


def read_any(path: str, text: str) -> SourceCode | None:
    """Read a file with its grammar, or without one."""
    return plain_reader.read(path, text) if is_plain(path) else code_reader.read(path, text)


def serve(read: Callable[[str, str], SourceCode | None] = read_any) -> None:
    """Answer on standard output what standard input asks, until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while header := sys.stdin.buffer.readline():
        path, size = json.loads(header)
        text = sys.stdin.buffer.read(size).decode(errors="surrogatepass")
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime + MAX_SECONDS) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        code = read(path, text)
        rows = code and [
            *([astuple(row) for row in part] for part in (code.definitions, code.calls, code.imports)),
            code.statements,
        ]
        sys.stdout.write(json.dumps(rows) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
