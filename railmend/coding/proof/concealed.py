"""Changes that no test of the same author shows to be right: they hide a fault, or answer with nothing."""

import re
from collections.abc import Sequence
from dataclasses import replace

from railmend.coding.git.diff import ChangedFile
from railmend.coding.guard.file_kinds import is_test

# What catches an error of whatever type.
CATCH_ALL = re.compile(
    r"^\s*except(?:\s+\(?(?:Base)?Exception\b.*)?\s*:|\bcatch\s*(?:\(\s*\w*\s*\))?\s*\{"
    r"|\.catch\(\s*(?:\(\s*\w*\s*\)|\w+)\s*=>|\.catch\(\s*(?!(?:next|reject|done|cb|callback)\s*\))[\w.]+\s*\)"
    r"|^\s*rescue\b(?:\s+StandardError\b.*)?\s*(?:=>.*)?$|[^#]\S\s+rescue\s+\S|\brecover\(\)"
    r"|\.catch\(\s*function\b|\(\s*err\w*\s*,\s*req\w*\s*,\s*res\w*\s*,\s*\w+\s*\)\s*(?:=>|\{)"
    r"|^\s*error(?:\s+StandardError|\s+Exception)?\s+do\b"
)
# What makes any test pass, whatever the answer is, with the end of a sentence about it.
HIDES = (
    (
        re.compile(r"contextlib\.suppress\(|\bsuppress\((?:Base)?Exception"),
        "ignores an error.",
    ),
    (
        re.compile(
            r"\bos\.(?:_exit|exec\w+|kill|abort)\(|\bsys\.exit\(|\bprocess\.(?:exit|kill|abort)\(|\bos\.Exit\("
            r"|\bexit!|\bProcess\.(?:kill|exit|abort)\b|\blog\.Fatal|\bsyscall\.(?:Kill|Exec)\("
        ),
        "ends or replaces the process.",
    ),
    (
        re.compile(
            r"uncaughtException|unhandledRejection|\berrorhandler\((?:Exception|500)\)|\bexcepthook\b"
            r"|\brescue_from\s+['\"]?(?:StandardError|Exception)\b"
        ),
        "catches every error of the process.",
    ),
    (
        re.compile(
            r"\b(?:if|unless|and|return)\b.*(?:\brandom\(\)|Math\.random\(\)|\brand\b|rand\.Float64\(\))"
        ),
        "leaves it to chance.",
    ),
    (
        re.compile(
            r"\b(?:if|unless)\b.*(?:process\.env\b|\benviron\b|\b[gG]etenv\(|\bENV\[|\bsys\.modules\b"
            r"|\btesting\.Testing\(|healthcheck\.railway)"
        ),
        "is otherwise where it is tested than in production.",
    ),
    (
        re.compile(r"\bsetrecursionlimit\(|\bsetMaxListeners\(|max-old-space-size|\bsetrlimit\("),
        "raises a limit.",
    ),
)
# What is replaced by what hides it, where the rest of the file may change too.
TURNS = (
    (
        r"\b5\d\d\b",
        r"\b(?:\w*[sS]tatus\w*|code|json|send|[wW]riteHead\w*|\w*Response|halt|abort|Error)\b.*\b(?:20[0-4]|StatusOK)\b"
        r"|,\s*20[0-4]$",
    ),
    (r"\berr\s*:?=(?!=)", r",\s*_\s*:?="),
    (r"\bPromise\.all\(", r"\bPromise\.allSettled\("),
)
SPARES = "answers a case with nothing that had failed, or had another answer: a person must say if it may."
# What tells an error on, at the end of what catches it: throws it again, or answers that the server failed.
TELLS = re.compile(
    r"^(?:(?:return|await|else)\b\s*)*"
    r"(?:raise\b|throw\b|panic\(|(?:next|reject|done|cb|callback)\(\s*(?!null|undefined)(?:new )?\w)"
    r"|\b(?:status\w*|code|abort|halt|head|\w*Response|\w*Exception|[wW]riteHead(?:er)?|AbortWith\w+)\b.*\b5\d\d\b"
    r"|^return\b.*,\s*5\d\d$|\bStatus(?:Internal|Service|BadGateway|Gateway)\w*|internal_server_error|service_unavailable"
)
# In Node nothing but these fails so, and what fails cannot be caught by its type.
NARROW = re.compile(
    r"\b(?:JSON\.parse|decodeURI(?:Component)?|new (?:URL|RegExp)|BigInt|atob|require\.resolve)\("
)
TRY = re.compile(r"\btry\s*\{(.*)")
# What a line answers with; what wraps an answer; and answers that hold nothing, in whatever wraps them.
ANSWER = re.compile(
    r"(?:\breturn\b(?:\s+await\b)?\s*(?:(?:res(?:ponse)?|reply|c|ctx)\.(?=\w+\())?"
    r"|\b(?:res(?:ponse)?|reply|c|ctx)\.(?=\w+\()|\brender\b\s*|=>(?!\s*\{\s*$)\s*)(.*)"
)
WRAPS = r"(?:json|send|end|JSON|jsonify|list|dict|status|(?:JSON|Json|Http|Next)?Response(?:\.json)?)\("
NOTHING = r"(?:\[\](?:[\w.]+\{\})?|\{\}|None|null|undefined|nil|''|\"\"|0|list\(|dict\()"
EMPTY = re.compile(
    rf"(?:{WRAPS}|\.|json:|status:|\d{{3}}\b|http\.Status\w+|[),;}}\s])*"
    rf"(?:(?:{NOTHING}|[Tt]rue|[Ff]alse)[),;}}\s]*)+"
)
FINALLY = re.compile(r"\s*(?:\}\s*)?(?:finally|ensure)\b")
# Where an error is caught.
CATCH = re.compile(r"^\s*(?:except|rescue)\b|\bcatch\s*(?:\([^)]*\))?\s*\{|\.catch\(")
CLOSES = re.compile(r"\s*(?:[)}\]]|end\b|#|//|$)")
# Where a case is told from others, and an answer to it that comes after its condition or before it.
CASE = re.compile(r"(?:\}\s*)?(?:if|unless|elif|elsif|else|case|when|switch)\b")
CASE_AFTER = re.compile(r"\s+(?:if|unless)\b.*$")
CASE_BEFORE = re.compile(r"^(?:\}\s*)?(?:else\s+)?if\b.*?[):{]\s*(?=return\b|res\.)")
# The same as a part of an answer.
OTHERWISE = re.compile(rf"(?:\|\||\?\?|\bor\b|\belse\b|\?.*:)\s*{NOTHING}[),;}}\s]*$")
WRAPPED = re.compile(rf"^{WRAPS}")
# Of lines of Ruby, those whose value goes elsewhere, or that go on below; and comments.
NO_ANSWER = re.compile(
    r"^(?:#|//|[\w.@\[\]:'\"]+\s*(?:\|\|)?=(?![>=~])"
    r"|(?:if|unless|elsif|when|while|until)\b|\")|\bdo(?: \|[^|]*\|)?$|[{,(]$"
)
OR, LIST = r"(?:\|\||\?\?|\bor\b)", r"(?:\[\]|\{\})"
# What goes on with nothing where something was missing, or leaves the case out.
STANDS_IN = re.compile(
    rf"^(?:(?:const|let|var)\s+)?([\w.@]+)\s*(?::?=\s*(?:\1|\(\1\))\s*{OR}|(?:\|\||\?\?)=)\s*{NOTHING}[);]*$"
    rf"|^for\b.*{OR}\s*{NOTHING}[):{{\s]*$|^([\w.]+)\s*=\s*Array\(\2\)$|=.*\)\s*{OR}\s*{LIST}[);]*$"
    rf"|(?:\(\s*[\w.?]+\s*{OR}\s*{NOTHING}\s*\)|\w[?&])\.(?:map|filter|reduce|forEach|each\w*)\b"
    rf"|^[\w.@]+\s*=\s*{LIST}\s+(?:if|unless)\b|^if\b.*[:)]\s*[\w.@]+\s*=\s*{LIST};?$"
    rf"|^[\w.@ ]+=.*(?:\belse|\s:)\s*{LIST};?$"
)
# Of what catches an error, an end after which all goes on.
GOES_ON = re.compile(
    rf"pass|continue;?|next|retry|break;?|.*\bsleep\(.*|[\w.@$]+\s*=\s*{NOTHING};?"
    r"|(?:return\b|[\w.@$]+\s*=).*(?:cache|stale|\blast|previous|fallback).*",
    re.I,
)
NO_BODY = re.compile(r"return|(?:status\(204\)\.)?(?:end|send)\(\)|sendStatus\(20[04]\)|")
STORED = re.compile(r"cache|stale|\blast|_last|previous|fallback", re.I)
PASSED_OVER = re.compile(r"\?\.|&\.")
FALLBACK = re.compile(r"\|\||\?\?|\bor\b|\s:\s")
NUMBER = re.compile(r"\d[\d_]*(?:\.\d+)?")
# Below it, a number that rises is as likely a mistake in counting as a limit.
LEAST_LIMIT = 10
# Of a longer line its beginning is read.
MAX_LINE = 400


def conceals(files: Sequence[ChangedFile]) -> str:
    """Return why no test of the same author shows that the change's answer is right; empty: it may."""
    shipped = [_aligned(file) for file in files if not is_test(file.path)]
    for file in shipped:
        for index, (number, line) in enumerate(file.added):
            if why := _hides(file, index, line):
                return f"{file.path} line {number} {why}"
        if turned := next((each for old, each in TURNS if _turns(file, old, each)), None):
            return f"{file.path} hides a failure: {turned.strip()[:80]}"
        if _answers_nothing(file):
            return f"{file.path} answers with nothing, where it had answered with something."
    if shipped and (risen := [_risen(file) for file in shipped]) and all(risen):
        return f"Only a limit rises, in {risen[0]}: what grows reaches it later."
    return ""


def spares(files: Sequence[ChangedFile]) -> str:
    """Return where a change answers a case with nothing that it did not before; empty: nowhere.

    That may be right. A test that was written for it cannot tell, but what answers production's requests can.
    """
    for file in [_aligned(file) for file in files if not is_test(file.path)]:
        removed = [line.strip() for line in file.removed]
        for index, (number, line) in enumerate(file.added):
            if line.strip() not in removed and _spares(file, index, line, removed):
                return f"{file.path} line {number} {SPARES}"
    return ""


def _aligned(file: ChangedFile) -> ChangedFile:
    """Return the file with each block of added lines from its case on: diffs may split one."""
    blocks: list[list[tuple[int, str]]] = []
    for number, line in file.added:
        if blocks and blocks[-1][-1][0] == number - 1:
            blocks[-1].append((number, line))
        else:
            blocks.append([(number, line)])
    for block in blocks:
        lines = [line for _, line in block]
        if CASE.match(lines[-1].strip()) and _depth(lines[0]) > _depth(lines[-1]):
            lines = [lines[-1], *lines[:-1]]
        block[:] = [(number, line) for (number, _), line in zip(block, lines, strict=True)]
    return replace(file, added=tuple(each for block in blocks for each in block))


def _hides(file: ChangedFile, index: int, line: str) -> str:
    if CATCH.search(line) and any(map(EMPTY.fullmatch, _answers(file.path, _handler(file, index)))):
        return "catches the error, and answers with nothing."
    if FINALLY.match(line) and any(re.match(r"\s*return\b", each) for each in _handler(file, index)):
        return "answers even where it fails."
    if CATCH_ALL.search(line) and not _is_narrow(file, index) and not _tells(_handler(file, index)):
        return "catches every error there, and does not tell it on."
    return next((why for pattern, why in HIDES if pattern.search(line)), "")


def _turns(file: ChangedFile, old: str, new: str) -> str:
    """Return the line that replaces what `old` matches, with what hides it; empty: none does."""
    added = [line for _, line in file.added]
    before, after = (
        sum(re.search(old, line) is not None for line in lines) for lines in (file.removed, added)
    )
    return next((line for line in added if before > after and re.search(new, line.strip(" ;)}"))), "")


def _handler(file: ChangedFile, index: int) -> list[str]:
    """Return the lines of what catches an error: what follows on its line, and what stands deeper below."""
    number, line = file.added[index]
    lines = [" " * 200 + CATCH_ALL.split(line, maxsplit=1)[-1]] if CATCH_ALL.search(line) else []
    for after, (below, text) in enumerate(file.added[index + 1 :], start=1):
        if below != number + after or (text.strip() and _depth(text) <= _depth(line)):
            break
        lines.append(text)
    return lines


def _tells(handler: Sequence[str]) -> bool:
    """Return whether what catches an error ends by telling it on."""
    said = [line for line in handler if not CLOSES.match(line)]
    top = [line for line in said if _depth(line) == min(map(_depth, said))]
    return bool(top) and TELLS.search(top[-1].strip()) is not None


def _is_narrow(file: ChangedFile, index: int) -> bool:
    """Return whether what may fail is one call alone, which can fail in one way."""
    _, line = file.added[index]
    before = [text for _, text in file.added[max(index - 2, 0) : index]]
    inside = TRY.search(line) or (TRY.search(before[0]) if len(before) == 2 else None)
    body = inside and (inside[1].split("catch")[0] if TRY.search(line) else before[1])
    return body is not None and NARROW.search(body) is not None and body.strip("} ").count(";") <= 1


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _answers(path: str, lines: Sequence[str]) -> list[str]:
    """Return what lines answer with; in Ruby any line may."""
    if path.endswith(".rb"):
        return [line[:MAX_LINE].strip().removeprefix("return ") for line in lines if line.strip()]
    return [match[1] for line in lines if (match := ANSWER.search(line[:MAX_LINE]))]


def _answers_nothing(file: ChangedFile) -> bool:
    """Return whether an answer is gone, and all that came in its place is empty."""
    old, new = (_answers(file.path, lines) for lines in (file.removed, [line for _, line in file.added]))
    emptied = bool(new) and all(map(EMPTY.fullmatch, new)) and not all(map(EMPTY.fullmatch, old))
    # Who answers both has looked.
    return emptied and not {"true", "false"} <= {answer.strip(" ;").lower() for answer in new}


def _spares(file: ChangedFile, index: int, line: str, removed: Sequence[str]) -> bool:
    """Return whether a line answers a case with nothing: as a whole, or as a part of its answer."""
    said = line[:MAX_LINE].strip()
    if STANDS_IN.search(said) or _goes_on(file, index, said):
        return True
    plain = CASE_AFTER.sub("", CASE_BEFORE.sub("", said)) if said.count("return") == 1 else said
    for answer in _answers(file.path, [plain]):
        nothing = NO_BODY.fullmatch(answer.strip(" ;")) or EMPTY.fullmatch(answer)
        stored = STORED.search(answer) and not any(map(STORED.search, removed))
        if stored or (nothing and answer.strip(" ;,").lower() not in ("true", "false")):
            return plain != said or _in_case(file, index)
    for answer in () if NO_ANSWER.search(said) else _answers(file.path, [said]):
        fallback = OTHERWISE.search(bare := WRAPPED.sub("", answer))
        if fallback and bare.count("(", 0, fallback.start()) == bare.count(")", 0, fallback.start()):
            return True
        passed = len(PASSED_OVER.findall(answer))
        if passed > max((len(PASSED_OVER.findall(old)) for old in removed), default=0):
            return FALLBACK.search(answer) is None
    return False


def _goes_on(file: ChangedFile, index: int, said: str) -> bool:
    """Return whether a case is left out of a loop, or goes on with nothing for what was missing."""
    if CATCH.search(file.added[index][1]):
        caught = [each.strip() for each in _handler(file, index) if not CLOSES.match(each)]
        return bool(caught) and GOES_ON.fullmatch(caught[-1]) is not None
    if re.search(r"(?:^|[):{]\s*)(?:continue|next(?:\s+(?:if|unless)\b.*)?);?\s*\}?$", said):
        return said not in ("continue", "continue;", "next") or _in_case(file, index)
    stands_in = re.match(rf"([\w.@]+)\s*:?=\s*{NOTHING};?$", said)
    return stands_in is not None and _in_case(file, index) and stands_in[1] in file.added[index - 1][1]


def _in_case(file: ChangedFile, index: int) -> bool:
    """Return whether the line above begins the case that this one answers."""
    number, line = file.added[index]
    above = file.added[index - 1] if index else (0, "")
    return (
        above[0] == number - 1
        and _depth(above[1]) < _depth(line)
        and CASE.match(above[1].strip()) is not None
    )


def _risen(file: ChangedFile) -> str:
    """Return the line in which a number rises, where nothing else changes in the file; empty: more does."""
    added = [line for _, line in file.added]
    if len(added) != len(file.removed):
        return ""
    for old, new in zip(file.removed, added, strict=True):
        before, after = ([float(n.replace("_", "")) for n in NUMBER.findall(line)] for line in (old, new))
        same = NUMBER.sub("", old) == NUMBER.sub("", new)
        rises = all(b >= a for a, b in zip(before, after, strict=True)) if same else False
        if not rises or max(after, default=0.0) < LEAST_LIMIT:
            return ""
    return added[0].strip() if added else ""
