"""Read one source file: its definitions, calls and imports, with their lines. Text in, nothing is run.

Files are read as their grammar sees them, broken ones too: what the parser could not make sense of is left
out, the rest is found. Lines count from 1, and both ends of a span belong to it.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tree_sitter import Node, Parser, QueryCursor

from railmend.source.grammars import Grammar, grammar_of

# A file beyond this is a bundle or data. One of this size takes a fifth of a second.
MAX_BYTES = 512 * 1024
# Ambiguous text can cost a parser far more than its size tells.
MAX_SECONDS = 2.0
MAX_MATCHES = 10_000  # that are open at once
# Code is rarely nested beyond 60 nodes; each step of the search costs time by its depth.
MAX_DEPTH = 300
MAX_ERRORS = 2_000  # nodes in one place
MAX_ARGUMENTS, MAX_ARGUMENT = 8, 300
MAX_CHAIN = 4  # of the calls before a call, those that tell of routes stand first
BUFFER = 64 * 1024
SCRIPT = re.compile(r"(<script\b[^>]*>)(.*?)(?=</script>|\Z)", re.S | re.I)
LAST_NAME = re.compile(r"[\w$]+[?!]?(?=[^\w$]*$)")
# What belongs to the definition that follows it.
ATTACHED = frozenset({"decorator", "attribute_item", "comment", "line_comment", "block_comment"})
WRAPPERS = frozenset(
    {"decorated_definition", "export_statement", "lexical_declaration", "variable_declaration"}
)


@dataclass(frozen=True)
class Definition:
    """A function or class. `start`: with decorators and comments above it; `line`: where its name stands.

    `name`: with its classes, as in `Cart.add`. A function that a call is handed has the call for a name, as
    in `app.get '/cart'`.
    """

    name: str
    kind: Literal["function", "class", "handed"]
    start: int
    line: int
    end: int

    @property
    def last_name(self) -> str:
        return self.name.rpartition(".")[2]

    def has(self, line: int) -> bool:
        return self.start <= line <= self.end


@dataclass(frozen=True)
class FunctionCall:
    """A call, decorator, annotation or attribute. `callee`, `arguments`: as written, cut.

    `start`: the line of its name, which may stand far below the beginning of a chain.
    `chain`: the first calls of one argument that it is called on, as in `scope("/cart").route("/add", add)`.
    """

    callee: str
    arguments: tuple[str, ...]
    start: int
    end: int
    chain: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Return the last part of the callee."""
        return last_name(self.callee)


@dataclass(frozen=True)
class ModuleImport:
    """A module as it is written in the source."""

    module: str
    line: int


@dataclass(frozen=True)
class SourceCode:
    """What `read` found in a file. `statements`: spans of the outermost statements."""

    path: str
    lines: Sequence[str] = field(repr=False)
    definitions: tuple[Definition, ...] = ()
    calls: tuple[FunctionCall, ...] = ()
    imports: tuple[ModuleImport, ...] = ()
    statements: tuple[tuple[int, int], ...] = ()

    def text(self, start: int, end: int) -> str:
        return "\n".join(self.lines[max(start, 1) - 1 : end])

    def function_at(self, line: int) -> Definition | None:
        """Return the innermost function around a line, else the innermost class; None outside of both."""
        around = [definition for definition in self.definitions if definition.has(line)]
        around.sort(key=lambda definition: (definition.kind == "class", definition.end - definition.start))
        return around[0] if around else None

    def statement_at(self, line: int) -> tuple[int, int]:
        """Return the outermost statement around a line, or the line alone."""
        return next(((start, end) for start, end in self.statements if start <= line <= end), (line, line))

    def calls_in(self, start: int, end: int) -> tuple[FunctionCall, ...]:
        return tuple(call for call in self.calls if start <= call.start <= end)


def last_name(reference: str) -> str:
    """Return the last name in a reference such as `self.cart.add` or `Cart::new`."""
    match = LAST_NAME.search(reference)
    return match[0] if match else ""


def read(path: str, text: str) -> SourceCode | None:
    """Return what is in a file; None if no grammar reads it, or if it is too large or takes too long."""
    grammar = grammar_of(path)
    code = _script_alone(text) if path.lower().endswith((".vue", ".svelte")) else text
    data = code.encode(errors="replace")
    if grammar is None or len(data) > MAX_BYTES:
        return None
    until = time.monotonic() + MAX_SECONDS
    try:
        tree = Parser(grammar.language).parse(
            lambda offset, _: data[offset : offset + BUFFER],
            progress_callback=lambda *_: time.monotonic() > until,
        )
    except ValueError:  # the time was up
        return None
    return (
        None if _is_no_code(tree.root_node, until) else _Reading(path, text, data, grammar).of(tree.root_node)
    )


def _is_no_code(root: Node, until: float) -> bool:
    """Tell whether the parser made one long list of what it did not understand: searching it is quadratic."""
    doubtful = [root] if root.has_error else []
    while doubtful:
        node = doubtful.pop()
        if (node.type == "ERROR" and node.child_count > MAX_ERRORS) or time.monotonic() > until:
            return True
        doubtful += [child for child in node.children if child.has_error]
    return False


def _script_alone(text: str) -> str:
    """Return a component's scripts, the lines around them empty."""
    parts, position = [], 0
    for match in SCRIPT.finditer(text):
        parts += ["\n" * text.count("\n", position, match.start(2)), match[2]]
        position = match.end(2)
    return "".join(parts)


class _Reading:
    """One file while it is read."""

    def __init__(self, path: str, text: str, data: bytes, grammar: Grammar) -> None:
        self._path, self._lines, self._data = path, text.split("\n"), data
        self._grammar = grammar
        self._definitions: dict[int, tuple[Node, Definition]] = {}
        self._calls: dict[tuple[int, int], FunctionCall] = {}
        self._imports: dict[tuple[int, str], ModuleImport] = {}
        self._chains: dict[int, tuple[tuple[str, str], ...]] = {}

    def of(self, root: Node) -> SourceCode:
        # Without the progress callback that the binding offers here: it crashes (0.26.1).
        cursor = QueryCursor(self._grammar.query, match_limit=MAX_MATCHES)
        cursor.set_max_start_depth(MAX_DEPTH)
        for _, captures in cursor.matches(root):
            self._take({name: nodes[0] for name, nodes in captures.items()})
        definitions = sorted(
            (self._qualified(node, made) for node, made in self._definitions.values()),
            key=lambda definition: (definition.start, -definition.end),
        )
        return SourceCode(
            self._path,
            self._lines,
            tuple(definitions),
            tuple(sorted(self._calls.values(), key=lambda call: (call.start, -call.end))),
            tuple(self._imports.values()),
            tuple((child.start_point.row + 1, _last_row(child)) for child in root.named_children),
        )

    def _take(self, nodes: dict[str, Node]) -> None:
        for kind in ("function", "class", "handed"):
            if node := nodes.get(kind):
                self._define(kind, node, nodes)
                return
        if node := nodes.get("call"):
            arguments = nodes.get("arguments")
            callee = nodes["callee"]
            self._calls[node.start_byte, node.end_byte] = FunctionCall(
                self._data[max(callee.start_byte, callee.end_byte - MAX_ARGUMENT) : callee.end_byte].decode(
                    errors="replace"
                ),
                tuple(map(self._cut, arguments.named_children[:MAX_ARGUMENTS])) if arguments else (),
                callee.end_point.row + 1,
                _last_row(node),
                self._chain(node),
            )
        elif node := nodes.get("import"):
            module = self._cut(nodes["module"]).strip("\"'`")
            line = node.start_point.row + 1
            self._imports[line, module] = ModuleImport(module, line)

    def _define(self, kind: Any, node: Node, nodes: dict[str, Node]) -> None:
        name = self._cut(nodes["name"])
        if kind == "handed":
            arguments = node.child_by_field_name("arguments")
            name = (
                f"{name.rpartition(chr(10))[2].strip()} {self._cut(arguments.named_children[0])}"
                if arguments
                else name
            )
        elif receiver := nodes.get("receiver"):
            of = re.search(r"(\w+)(?:\[[^\]]*\])?\s*\)$", self._cut(receiver))
            name = f"{of[1]}.{name}" if of else name
        elif name.startswith(("exports.", "module.exports.", "this.")):
            name = name.rpartition(".")[2]
        outer = node
        while outer.parent is not None and outer.parent.type in WRAPPERS:
            outer = outer.parent
        row, above = outer.start_point.row, outer.prev_named_sibling
        while above is not None and above.type in ATTACHED and above.end_point.row >= row - 1:
            if above.prev_named_sibling and _last_row(above.prev_named_sibling) > above.start_point.row:
                break  # a comment behind the statement before
            row, above = above.start_point.row, above.prev_named_sibling
        line = nodes["name"].start_point.row + 1
        key = node.start_byte
        if kind == "handed":  # of a chain of calls, only the name is its own
            line, key = nodes["name"].end_point.row + 1, nodes["name"].end_byte
            row = max(row, line - 1) if line > node.start_point.row + 1 else row
        definition = Definition(name, kind, row + 1, line, _last_row(node))
        self._definitions.setdefault(key, (node, definition))

    def _chain(self, call: Node) -> tuple[tuple[str, str], ...]:
        """Return the calls on whose results a call is called, the first ones."""
        on: list[Node] = []
        node = next(iter(call.named_children), None)
        while node is not None and node.id not in self._chains:
            on.append(node)
            node = next(iter(node.named_children), None)
        chain = self._chains[node.id] if node is not None else ()
        for outer in reversed(on):
            arguments = outer.child_by_field_name("arguments")
            if arguments is not None and arguments.named_child_count == 1 and len(chain) < MAX_CHAIN:
                before = self._data[max(arguments.start_byte - MAX_ARGUMENT, 0) : arguments.start_byte]
                name = last_name(before.decode(errors="replace"))
                chain = (*chain, (name, self._cut(arguments.named_children[0])))
            self._chains[outer.id] = chain
        return chain

    def _qualified(self, node: Node, made: Definition) -> Definition:
        """Put the names of the classes around a definition before its own."""
        names, parent = [made.name], node.parent
        while parent is not None and made.kind != "handed":
            around = self._definitions.get(parent.start_byte)
            if around and around[0] == parent and around[1].kind == "class" and parent != node:
                names.insert(0, around[1].name)
            parent = parent.parent
        name = ".".join(names)
        return Definition(name, made.kind, made.start, made.line, made.end)

    def _cut(self, node: Node) -> str:
        end = min(node.end_byte, node.start_byte + MAX_ARGUMENT)
        return self._data[node.start_byte : end].decode(errors="replace")


def _last_row(node: Node) -> int:
    """Return the number of the node's last line; one that ends with its line break ends above it."""
    row, column = node.end_point
    return row + (0 if column == 0 and row > node.start_point.row else 1)
