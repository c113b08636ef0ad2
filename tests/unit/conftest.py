"""What all tests of one process share."""

import subprocess
from collections.abc import Iterator

import pytest

from railmend.source.reading_process import CodeReaderProcess


@pytest.fixture(scope="session", autouse=True)
def one_code_reader() -> Iterator[None]:
    """Hand the process that read one batch of files to the next: beginning one takes a tenth of a second.

    One that failed, or is a stand-in, is ended as ever.
    """
    begin, end = CodeReaderProcess._begin, CodeReaderProcess._end
    ordinary = CodeReaderProcess()._module
    idle: list[subprocess.Popen[bytes]] = []

    def begin_or_take(reader: CodeReaderProcess) -> subprocess.Popen[bytes]:
        if reader._module != ordinary or not idle:
            return begin(reader)
        reader._process = idle.pop()
        return reader._process

    def end_or_leave(reader: CodeReaderProcess) -> None:
        if reader._process and reader._module == ordinary and not reader._failures:
            idle.append(reader._process)
            reader._process = None
        end(reader)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CodeReaderProcess, "_begin", begin_or_take)
        patch.setattr(CodeReaderProcess, "_end", end_or_leave)
        yield
    for process in idle:
        process.kill()
        process.communicate()
