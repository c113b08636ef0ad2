"""A reader of code that does what a fault in a native parser would, where the text says so."""

import os
import time

from railmend.source.code_reader import SourceCode, read
from railmend.source.reading_process import serve


def die(path: str, text: str) -> SourceCode | None:
    if text == "abort":
        os.abort()
    if text == "memory":
        bytearray(2 * 1024**3)
    while text == "endless":
        time.sleep(1)
    return read(path, text)


if __name__ == "__main__":
    serve(die)
