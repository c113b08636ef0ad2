"""Whatever others wrote comes out as text: in a title, a commit, Markdown, a prompt and a message."""

import ast
import inspect
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from hypothesis import example, given, settings
from markdown_it import MarkdownIt
from markdown_it.token import Token

from railmend.diagnosis import conversation, prompt
from railmend.evidence import packet
from railmend.evidence.safe_text import MarkdownText, PlainText, PromptText, SafeText
from railmend.notifying import delivery
from railmend.notifying import text as messages
from railmend.publishing import charts, comments, text
from tests.unit.published_texts import FUNCTIONS, HOSTILE, hostile_texts, notification
from workflows.shared import details

ROOT = Path(__file__).parents[2]
TARGETS = ("SafeText", "PlainText", "MarkdownText", "PromptText", "SlackText")
SPEAKING = {module.__name__ for module in (prompt, packet, conversation)}
PROMPTS = [made for made in FUNCTIONS if made.__module__ in SPEAKING]
MARKDOWN = [made for made in FUNCTIONS if get_type_hints(made)["return"] is MarkdownText]
PLAIN = [made for made in FUNCTIONS if made not in (*PROMPTS, *MARKDOWN)]

# -- what must not come out

SKIPS = re.compile(r"\[(?!\\)[^\[\]\n]*(?:skip|no[ _-]?ci)[^\]\n]*\]|\*\*\*NO_CI|skip-checks\s*:", re.I)
CLOSES = re.compile(
    r"(?:clos\w*|fix\w*|resolv\w*):?\s+(?:[\w./-]*#\d|https?://\S+/(?:issues|pull)/\d|GH-\d)", re.I
)
REFERENCE = re.compile(r"#\d|\bGH-\d", re.I)
MENTION = re.compile(r"(?:^|[^A-Za-z0-9])@\w", re.M)
LINK = re.compile(r"[a-z]://|\bwww\.", re.I)
TRAILER = re.compile(r"^\s*[\w-]+-by\s*:|^\s*(?:BREAKING CHANGE|Change-Id)\s*:", re.M | re.I)
COMMAND = re.compile(r"^[ \t]*/[a-z-]+\s*$", re.M)
TEMPLATE = re.compile(
    r"<[|\uff5c]|\[/?INST\]|<<\s*/?SYS|</?(?:antml:)?(?:function_calls|invoke|start_of_turn|think|system-reminder|s)\b"
    r"|^(?:Human|Assistant|System|User) *:",
    re.I | re.M,
)
OWN_MARKER = re.compile(r"<!-- railmend[ :].*? -->")
SIGNED = "Signed-off-by: Railmend <railmend@users.noreply.github.com>"


STRUCTURE = MarkdownIt("commonmark").enable(["table", "strikethrough"])
READ = MarkdownIt("commonmark").enable(["table"])


def invisible(shown: str) -> Iterator[str]:
    for character in shown:
        if character not in "\n\t" and unicodedata.category(character) in (
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Cn",
            "Zl",
            "Zp",
        ):
            yield f"{ord(character):x}"
        if character in "\ufe0f\u3164\u2800":
            yield f"{ord(character):x}"


def forbidden(shown: str) -> list[str]:
    """What a forge, a CI service or a bot acts on, in code too: a body may become a commit's message."""
    found = [*invisible(shown)]
    for pattern in (SKIPS, CLOSES, MENTION, TRAILER, COMMAND):
        found += pattern.findall(shown)
    return found


def shape(shown: str) -> list[str]:
    """The structure of Markdown, without its words; the summary of a fold is HTML and holds some."""
    types = _types(STRUCTURE.parse(shown))
    return [each.split("<summary>")[0] for each in types if each != "softbreak"]


def _types(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "inline":
            yield from _types(token.children or [])
        elif token.type == "html_inline" and token.content in ("<code>", "</code>"):
            yield from ["code_inline"] if token.content == "<code>" else []
        elif token.type not in ("text", "text_special"):
            yield f"{token.type} {token.content}" if token.type.startswith("html") else token.type


def words(shown: str) -> str:
    """The text of Markdown outside of blocks of code."""
    tokens = READ.parse(shown)
    leaves = [child for token in tokens if token.type == "inline" for child in token.children or []]
    return "\n".join(leaf.content for leaf in leaves if leaf.type.startswith("text"))


all_of = "".join(f"{each} " for each in HOSTILE)
halves = all_of[:600], all_of[600:1200], all_of[1200:]


@pytest.mark.parametrize("made", MARKDOWN, ids=lambda made: made.__name__)
@settings(max_examples=60, deadline=None)
@given(evil=hostile_texts)
@example(evil=all_of)
def test_nothing_live_comes_out_of_markdown(made: Callable[..., object], evil: str) -> None:
    shown = FUNCTIONS[made](evil)
    assert isinstance(shown, MarkdownText)
    hidden = OWN_MARKER.findall(shown)
    rest = OWN_MARKER.sub("", shown)
    assert "<!--" not in rest
    assert len(hidden) == len(OWN_MARKER.findall(FUNCTIONS[made]("x y")))
    assert forbidden(rest) == []
    said = words(rest).replace("Reverts #1", "")
    assert [pattern.findall(said) for pattern in (REFERENCE, LINK, MENTION)] == [[], [], []]


@pytest.mark.parametrize("made", MARKDOWN, ids=lambda made: made.__name__)
@settings(max_examples=60, deadline=None)
@given(evil=hostile_texts.map("x {} x".format))
@example(evil=all_of[:400])
def test_markdown_keeps_its_shape_whatever_is_put_into_it(made: Callable[..., object], evil: str) -> None:
    """Headings, tables, lists, fences, links, tags: those of the template, and none from a value."""
    if made in (text.marker, delivery.issue_marker):
        return
    assert shape(FUNCTIONS[made](evil)) == shape(FUNCTIONS[made]("two <words>"))


@pytest.mark.parametrize("made", PLAIN, ids=lambda made: made.__name__)
@settings(max_examples=60, deadline=None)
@given(evil=hostile_texts)
@example(evil=all_of)
def test_nothing_live_comes_out_of_titles_commits_and_messages(
    made: Callable[..., object], evil: str
) -> None:
    shown = FUNCTIONS[made](evil)
    assert isinstance(shown, SafeText)
    rest = shown.removesuffix(SIGNED)
    assert forbidden(rest) == []
    assert REFERENCE.findall(rest) == []
    assert "<!--" not in shown
    if made is messages.format_slack:
        return
    assert LINK.findall(rest) == []
    assert rest.count("\n") == FUNCTIONS[made]("two words").removesuffix(SIGNED).count("\n")


@settings(max_examples=100, deadline=None)
@given(evil=hostile_texts)
@example(evil=all_of)
def test_slack_gets_no_mention_no_link_and_no_format_of_others(evil: str) -> None:
    sent: Any = messages.format_slack(notification(evil), "https://ui.example/x")
    blocks = [block["text"]["text"] for block in sent["blocks"] if block["type"] == "section"]
    for shown, stars in ((sent["text"], 2), *((block, 0) for block in blocks)):
        assert re.findall(r"<[^>]*>", shown) == ["<https://ui.example/x|Open>"]
        assert shown.count("*") == stars
        assert "`" not in shown
        assert "](" not in shown


@settings(max_examples=60, deadline=None)
@given(evil=hostile_texts)
@example(evil=all_of)
def test_the_webhooks_data_is_inert_wherever_its_receiver_posts_it(evil: str) -> None:
    told = messages.format_webhook(notification(evil), "")
    data = told["data"]
    assert isinstance(data, dict)
    for value in (told["headline"], data["summary"], *data["symptoms"], *data["services"]):
        assert forbidden(value) == []


@pytest.mark.parametrize("made", PROMPTS, ids=lambda made: made.__name__)
@settings(max_examples=60, deadline=None)
@given(evil=hostile_texts)
@example(evil=all_of)
def test_nothing_in_a_prompt_poses_as_a_turn_a_tool_call_or_an_item(
    made: Callable[..., object], evil: str
) -> None:
    shown = FUNCTIONS[made](evil)
    assert isinstance(shown, PromptText) or made is conversation.messages_of
    assert TEMPLATE.findall(shown) == []
    assert list(invisible(shown)) == []
    items = re.findall(r"^\[E\d+\]", shown, re.M)
    own = made is conversation.messages_of  # a model's own turn, which is no packet
    assert own or len(items) == len(re.findall(r"^\[E\d+\]", FUNCTIONS[made]("x"), re.M))


def test_ordinary_words_stay_as_they_are() -> None:
    said = "checkout: memory_leak since 12:30:45, 3.5 GB (of 4) in /app/main.py - 90% of O'Neil's"
    assert (PlainText(said), MarkdownText(said), PromptText(said)) == (said, said, said)
    assert MarkdownText.code("src/app.py") == "`src/app.py`"
    assert MarkdownText.block("@app.route\nx = a[0]") == "```\n@\\app.route\nx = a[0]\n```"


def test_a_text_cannot_be_joined_unescaped() -> None:
    own = MarkdownText.of("**{}**", "a*b")
    assert own == "**a&#42;b**"
    for joined in (own + "<b>", own.joined([own, "<b>"]), MarkdownText(own)):
        assert isinstance(joined, MarkdownText)
        assert "<b>" not in joined
    assert "<b>" + own == "&lt;b&gt;**a&#42;b**"
    assert MarkdownText.of("{}", PlainText("a*b")) == "a&#42;b"  # escaped for another target


def test_what_is_too_long_goes_as_a_whole_so_that_nothing_stays_open() -> None:
    parts = [MarkdownText.block("x" * 900), MarkdownText.of("end")]
    shown = MarkdownText.bounded(parts, 600)
    assert shown == "end\n\n(1 parts are left out: too long for one text.)"


@settings(max_examples=100, deadline=None)
@given(evil=hostile_texts)
@example(evil=all_of)
@example(evil="*" * 400)
@example(evil="\u00e4\U0001f600" * 400)
def test_a_runs_summary_and_details_are_inert_and_never_too_long_for_temporal(evil: str) -> None:
    summary, listed = details.line(evil), details.items([evil] * 100)
    assert len(summary.encode()) <= 400
    assert len(listed.encode()) <= 20_000
    for shown in (summary, listed):
        assert forbidden(shown) == []
        assert [pattern.findall(words(shown)) for pattern in (REFERENCE, LINK, MENTION)] == [[], [], []]


def modules() -> Iterator[ModuleType]:
    yield from (text, comments, charts, messages, prompt, packet, delivery)


def test_every_function_that_publishes_or_prompts_is_tried_above() -> None:
    """A new one is added here with its hostile text, or this test fails."""
    published = {
        function
        for module in modules()
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not function.__name__.startswith("_")
        and re.search("Text|dict|Messages", str(function.__annotations__.get("return")))
    }
    assert published - set(FUNCTIONS) == {messages.format_webhook, delivery.signature_headers}


def calls() -> Iterator[tuple[str, ast.Call, ast.Attribute]]:
    for package in ("railmend", "activities", "hosting", "workflows", "commands"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield str(file.relative_to(ROOT)), node, node.func


def test_templates_are_literal_and_raw_text_is_made_in_one_place() -> None:
    """An f-string as a template would carry its values in unescaped. A name is a constant of the module."""
    constants = ("TASK", "FOLLOW_UP", "REVIEW", "NOT_HELD", "template")
    raw = ("railmend/evidence/safe_text.py", "railmend/notifying/text.py")
    shown = "workflows/shared/details.py"
    wrong = []
    for file, node, called in calls():
        text_of, first = ast.unparse(node), node.args[0] if node.args else None
        owner = ast.unparse(called.value)
        of = (called.attr == "of" and owner in TARGETS) or (called.attr == "show" and owner == "details")
        literal = isinstance(first, ast.Constant) or ast.unparse(first or node) in constants
        unescaped = called.attr == "set_current_details" and not literal and "describe_" not in text_of
        if (
            (of and not literal and "HEADLINES" not in text_of)
            or (called.attr == "_made" and file not in raw)
            or (unescaped and file != shown)
        ):
            wrong.append(f"{file}:{node.lineno} {text_of}")
    assert wrong == []


def test_no_template_lets_a_value_in_as_it_is() -> None:
    files = [*(ROOT / "railmend").rglob("*.j2")]
    assert len(files) > 8
    live = re.compile(r"\|\s*(?:safe|forceescape)\b|autoescape|Markup")
    assert [file.name for file in files if live.search(file.read_text())] == []
