"""Whether work grows with the text that it is given, and no faster."""

import time
from collections.abc import Callable

# Of processor time; below it a measure says nothing.
LEAST_SECONDS = 0.005


def assert_linear(work: Callable[[int], object], letters: int) -> None:
    """`work`: done for a text of so many letters. Eight times the text may take up to 24 times as long.

    It takes 64 times as long where an expression without bounds goes over the text from each of its places.
    """

    def seconds(size: int) -> float:
        begin = time.process_time()
        work(size)
        return time.process_time() - begin

    assert seconds(letters) <= 24 * max(seconds(letters // 8), LEAST_SECONDS)
