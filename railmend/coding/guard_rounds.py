"""All that Railmend changes in one pull request: its earlier commits, and what it would add now.

People's commits between them count for nothing, in the same files as well: each round is compared with what
the branch held before it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from railmend.coding.guard import summed
from railmend.coding.guard_settings import GuardSettings
from railmend.coding.touched import Touched


def review_rounds(
    earlier: Sequence[Sequence[Touched]], now: Sequence[Touched], settings: GuardSettings
) -> tuple[str, ...]:
    """What the rounds are refused for together; empty where `review` of this round alone says it already.

    Only rules that several small changes can pass by are asked: size and rewritten files. What the earlier
    rounds were refused for among themselves became a draft by setting, and is not told again.
    """
    if not earlier:
        return ()
    known = {**summed(now, settings), **summed(together(earlier), settings)}
    whole = summed(together([*earlier, now]), settings)
    return tuple(f"With the earlier rounds: {said}" for rule, said in whole.items() if rule not in known)


def together(rounds: Iterable[Sequence[Touched]]) -> list[Touched]:
    """One entry for each file; a line that a later round takes back counts for nothing."""
    total: dict[str, Touched] = {}
    for file in (file for files in rounds for file in files):
        first = total.pop(file.path, None)
        joined = file if first is None else _joined(first, file)
        if first is None or joined.additions or joined.deletions:
            total[file.path] = joined
    return list(total.values())


def _joined(first: Touched, then: Touched) -> Touched:
    added = [text for _, text in first.added]
    taken = Counter(added) & Counter(then.removed)
    restored = Counter(first.removed) & Counter(text for _, text in then.added)
    undone = taken.total() + restored.total()
    binary = min(first.additions, then.additions) < 0
    status = "added" if first.status == "added" else then.status
    return replace(
        then,
        status=status,
        additions=-1 if binary else first.additions + then.additions - undone,
        deletions=-1 if binary else first.deletions + then.deletions - undone,
        # The longer one: what people added meanwhile is no part of a rewritten file's share.
        before=max(first.before, then.before, key=len) if first.before and then.before else first.before,
        added=(*_without(first.added, taken), *_without(then.added, restored)),
        removed=(
            *(text for _, text in _without([(0, text) for text in first.removed], restored)),
            *(text for _, text in _without([(0, text) for text in then.removed], taken)),
        ),
    )


def _without(lines: Iterable[tuple[int, str]], gone: Counter[str]) -> list[tuple[int, str]]:
    left, kept = gone.copy(), []
    for number, text in lines:
        if left[text]:
            left[text] -= 1
        else:
            kept.append((number, text))
    return kept
