"""Find the functions that answer a route: from what frameworks are told in code, and from files' names.

A route is matched by the end of its path, because a prefix is often added elsewhere: by a router that is
mounted, a blueprint, a namespace.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from railmend.source.code_reader import Definition, FunctionCall, SourceCode

# Callees that tell a route, in lower case, with the methods that they answer; () for any.
VERBS: Mapping[str, tuple[str, ...]] = {
    **{verb: (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete", "head", "options")},
    **{f"{verb}mapping": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"map{verb}": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"http{verb}": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"{verb}_async": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **dict.fromkeys(("all", "any", "route", "use", "handle", "handlefunc", "method", "methodfunc"), ()),
    **dict.fromkeys(
        ("path", "re_path", "url", "register", "add_url_rule", "add_route", "requestmapping"), ()
    ),
    **dict.fromkeys(("add_api_route", "add_api_websocket_route", "websocket", "match", "api_route"), ()),
}
# Callees whose string is put before the routes of a file.
PREFIXES = frozenset(
    (
        *("apirouter", "blueprint", "controller", "group", "route", "requestmapping", "namespace", "scope"),
        "prefix",
    )
)
RESOURCES = {
    "index": ("GET", ""), "create": ("POST", ""), "new": ("GET", "/new"), "show": ("GET", "/:id"),
    "edit": ("GET", "/:id/edit"), "update": ("PATCH PUT", "/:id"), "destroy": ("DELETE", "/:id"),
}  # fmt: skip
STRING = re.compile(
    r"^[rbuf@$]*(?P<quote>[\"'`])(?P<text>[^\"'`\n]{0,200})(?P=quote)$|^:(?P<symbol>\w+)$", re.I
)
NAMED_STRING = re.compile(r"^(?:value|path|prefix|url_prefix|url|rule)\s*[=:]\s*(.+)$", re.S)
METHODS = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b")
RAILS = re.compile(r"(?:to:|=>)\s*[\"']([\w/]+)#(\w+)[\"']|^[\"']([\w/]+)#(\w+)[\"']$")
# A part of a path that stands for any value, in code (`:id`, `<int:id>`, `{id}`, `[id]`, `*`) or in a log.
ANY = re.compile(r"^(?:[:*$<{\[(].*|.*[<{*\[].*|\d+|.*\(\?P<.*|[0-9a-f]{8,}(?:-[0-9a-f-]+)?)$", re.I)
# Next.js, Nuxt, SvelteKit: the folder below which files' paths are routes.
PAGES = re.compile(r"(?:^|/)(?:(?:src/)?(?:app|pages)|src/routes|server(?=/(?:api|routes)/))/(.*)$")
PAGE_FILE = re.compile(r"^(?:route|page|index|\+server|\+page(?:\.server)?)$")
SCRIPT = re.compile(r"\.(?:[cm]?[jt]sx?|go|py)$")
NO_REFERENCE = ("function", "func(", "func (", "async", "lambda", "fn(", "{")
LARAVEL = re.compile(r"(\w+)::class\s*,\s*['\"](\w+)['\"]")
QUOTED = re.compile(r"([\"'`])[^\"'`\n]*\1")
KEYWORD = re.compile(r"^(?!view_func|endpoint|handler)\w+\s*=(?![=>])")
NO_NAMES = frozenset(
    ("get", "post", "put", "patch", "delete", "async", "function", "class", "as_view", "self", "this")
)


@dataclass(frozen=True)
class RouteHandler:
    """A route as the code tells it. `methods`: () for any; `handlers`: references to functions, as written.

    `prefixes`: parts that may come before `parts`. `start`, `end`: where it is told, with a handler that
    stands there.
    """

    path: str
    methods: tuple[str, ...]
    parts: tuple[str, ...]
    handlers: tuple[str, ...]
    start: int
    end: int
    prefixes: frozenset[str] = frozenset()


def split_path(path: str) -> tuple[str, ...]:
    """Return the parts of a route's or a request's path, without its query."""
    path = re.sub(
        r"\(\?P?<\w+>[^()]*\)|\\[dw][+*]?", "*", path.partition("?")[0] if "(?" not in path else path
    )
    return tuple(part for part in path.strip("^$ ").split("/") if part and not part.startswith("("))


def routes_of(code: SourceCode) -> tuple[RouteHandler, ...]:
    """Return the routes of one file, in the order of its lines."""
    calls = list(code.calls)
    prefixes = frozenset(part.lower() for call in calls for part in _prefixes(call))
    stem = PurePosixPath(code.path).stem.lower()
    stem = re.sub(r"[._-]?(?:routes?|router|controller|handlers?|views?|api|service)$", "", stem)
    hints = prefixes | {stem, f"{stem}s"} if stem else prefixes
    found = [route for call in calls for route in _declared(code, call, hints)]
    return (*found, *_by_file_name(code))


def _strings(call: FunctionCall) -> Iterator[tuple[int, str]]:
    """Yield position and text of the arguments that are strings or symbols."""
    arguments = call.arguments
    if len(arguments) == 1 and arguments[0].startswith("("):  # one argument list in brackets, of attributes
        arguments = (arguments[0][1:-1],)
    for position, argument in enumerate(arguments):
        if match := NAMED_STRING.match(argument):
            argument = match[1].strip("[]{} ")
        if match := STRING.match(argument.strip()):
            yield position, match["text"] if match["symbol"] is None else match["symbol"]


def _prefixes(call: FunctionCall) -> Iterator[str]:
    if call.name.lower() in PREFIXES:
        for _, text in _strings(call):
            yield from split_path(text)
    for argument in call.arguments:
        if argument.startswith(("prefix", "url_prefix")):
            yield from split_path(argument.partition("=")[2].strip("\"' "))


def _declared(code: SourceCode, call: FunctionCall, hints: frozenset[str]) -> Iterator[RouteHandler]:
    name = call.name.lower()
    strings = list(_strings(call))
    if name in ("resources", "resource", "apiresource") and strings:
        yield from _resources(call, strings[0][1], hints)
        return
    decorated = _decorated(code, call)
    if name not in VERBS or not (strings or decorated):
        return
    position, path = strings[0] if strings else (-1, "")
    if METHODS.fullmatch(path) and len(strings) > 1:  # router.Method("GET", "/x", h)
        position, path = strings[1]
    handlers = tuple(_references(call.arguments[position + 1 :]))
    if decorated:
        handlers = (decorated.name,)
    elif not handlers and call.end == call.start:
        return
    if "://" in path or (not decorated and path and "/" not in path and SCRIPT.search(code.path)):
        return  # a request to elsewhere; or a look-up, as in map.get("key")
    methods = VERBS[name]
    if match := METHODS.match(path):  # Go: "GET /x"
        methods, path = (match[1],), path[match.end() :].strip()
    elif not methods:
        methods = tuple(dict.fromkeys(METHODS.findall(" ".join(call.arguments[position + 1 :]))))
    yield RouteHandler(path, methods, split_path(path), handlers, call.start, call.end, hints)


def _decorated(code: SourceCode, call: FunctionCall) -> Definition | None:
    """Return the function whose decorator, annotation or attribute the call is."""
    if any(other is not call and _holds(other, call) for other in code.calls):
        return None
    around = [d for d in code.definitions if d.start <= call.start < d.line and d.kind != "handed"]
    around += [d for d in code.definitions if d.start == d.line == call.start and code.path.endswith(".java")]
    functions = [definition for definition in around if definition.kind == "function"] or around
    return min(functions, key=lambda definition: definition.end - definition.start, default=None)


def _holds(outer: FunctionCall, inner: FunctionCall) -> bool:
    """Return whether a call stands among the arguments of another."""
    if not outer.start <= inner.start <= inner.end <= outer.end:
        return False
    return any(inner.callee in argument for argument in outer.arguments)


def _references(arguments: Iterable[str]) -> Iterator[str]:
    """Yield what may name a handler: `views.show`, `[UserController::class, 'show']`, `users#show`."""
    for argument in arguments:
        if match := RAILS.search(argument):
            controller, action = match[1] or match[3], match[2] or match[4]
            yield f"{controller.rpartition('/')[2]}_controller.{action}"
        elif match := LARAVEL.search(argument):
            yield f"{match[1]}.{match[2]}"
        elif "=>" not in argument and not argument.startswith(NO_REFERENCE) and not KEYWORD.match(argument):
            names = re.findall(r"[A-Za-z_]\w*", QUOTED.sub("", argument))
            if names := [name for name in names if name.lower() not in NO_NAMES]:
                yield ".".join(names)


def _resources(call: FunctionCall, name: str, hints: frozenset[str]) -> Iterator[RouteHandler]:
    controller = name.strip("/").rpartition("/")[2]
    if call.name == "resource":  # one of its kind: the controller is named in the plural all the same
        controller = re.sub(r"y$", "ie", controller) + "s"
    for action, (methods, ending) in RESOURCES.items():
        if call.name == "resource":
            ending = ending.removeprefix("/:id")
        parts = (*split_path(name), *split_path(ending))
        handler = f"{controller}_controller.{action}"
        yield RouteHandler(
            f"/{name}{ending}", tuple(methods.split()), parts, (handler,), call.start, call.start, hints
        )


def _by_file_name(code: SourceCode) -> Iterator[RouteHandler]:
    """Yield what Next.js, Nuxt and SvelteKit make of a file's path."""
    pure = PurePosixPath(code.path)
    match = PAGES.search(str(pure.with_suffix("")))
    if match is None or pure.suffix not in (".js", ".jsx", ".ts", ".tsx", ".mjs", ".svelte", ".vue"):
        return
    parts = split_path(match[1])
    is_page = parts and PAGE_FILE.match(parts[-1])
    in_app = re.search(r"(?:^|/)(?:app|src/routes)/", code.path)
    if in_app and not is_page:
        return
    methods: tuple[str, ...] = ()
    if is_page:
        parts = parts[:-1]
    elif verb := re.search(r"\.(get|post|put|patch|delete)$", parts[-1] if parts else ""):
        parts, methods = (*parts[:-1], parts[-1][: verb.start()]), (verb[1].upper(),)
    path = "/" + "/".join(parts)
    verbs = [d for d in code.definitions if METHODS.fullmatch(d.name)]
    for definition in verbs:
        yield RouteHandler(
            path, (definition.name,), parts, (definition.name,), definition.start, definition.end
        )
    if not verbs:
        exported = [
            d for d in code.definitions if d.kind != "class" and "default" in code.text(d.line, d.line)
        ]
        start, end = (exported[0].start, exported[0].end) if exported else (1, len(code.lines))
        yield RouteHandler(path, methods, parts, (), start, end)


def matches(route: RouteHandler, method: str, path: str) -> int:
    """Return how well a request fits a route, 0 for not at all: the number of parts that agree, doubled.

    A part that stands for any value agrees half as well as one that is the same.
    """
    if route.methods and method and method not in route.methods and method != "HEAD":
        return 0
    asked, told = split_path(path), route.parts
    if told and told[-1].startswith(("*", "[...", "{*")):
        told = (*told[:-1], *asked[len(told) - 1 :])
    if len(told) > len(asked):
        return 0
    ends = asked[len(asked) - len(told) :]
    points = [_agreement(one, other) for one, other in zip(told, ends, strict=True)]
    if not all(points):
        return 0
    before = asked[: len(asked) - len(told)]
    named = sum(part.lower() in route.prefixes for part in before)
    literal = any(point == 2 for point in points)
    if before and not literal and not named:
        return 0
    return 2 * sum(points) + named + 2 * (not before) + bool(route.methods)


def _agreement(told: str, asked: str) -> int:
    if told.lower() == asked.lower():
        return 2
    return 1 if ANY.match(told) or ANY.match(asked) else 0
