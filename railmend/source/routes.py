"""Find the functions that answer a route: from what frameworks are told in code, and from files' names.

A route is matched by the end of its path, because a prefix is often added elsewhere: by a router that is
mounted, a blueprint, a namespace.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import PurePosixPath

from railmend.source.code_reader import Definition, FunctionCall, SourceCode

# Callees that tell a route, in lower case, with the methods that they answer; () for any.
VERBS: Mapping[str, tuple[str, ...]] = {
    **{verb: (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete", "head", "options")},
    **{f"{verb}mapping": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"map{verb}": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"http{verb}": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"{verb}_async": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **{f"add_{verb}": (verb.upper(),) for verb in ("get", "post", "put", "patch", "delete")},
    **dict.fromkeys(
        ("all", "any", "route", "use", "handle", "handlefunc", "method", "methodfunc", "register_view"), ()
    ),
    **dict.fromkeys(
        ("path", "re_path", "url", "register", "add_url_rule", "add_route", "requestmapping"), ()
    ),
    **dict.fromkeys(("add_api_route", "add_api_websocket_route", "websocket", "match", "api_route"), ()),
}
# Callees whose string is put before the routes of a file.
PREFIXES = frozenset(
    (
        *("apirouter", "blueprint", "controller", "group", "route", "requestmapping", "namespace", "scope"),
        *("prefix", "pathprefix", "basepath", "nest", "mapgroup"),
    )
)
RESOURCE = ("resources", "resource", "apiResource")
# Flask's and its extensions' own ways to add a class of views, which stands before its paths.
ADDS_VIEWS = re.compile(r"add_(?:\w+_)?(?:resource|view)$")
RESOURCES = {
    "index": ("GET", ""), "create": ("POST", ""), "new": ("GET", "/new"), "show": ("GET", "/:id"),
    "edit": ("GET", "/:id/edit"), "update": ("PATCH PUT", "/:id"), "destroy": ("DELETE", "/:id"),
}  # fmt: skip
LARAVEL_RESOURCES = {**RESOURCES, "create": ("GET", "/create"), "store": ("POST", "")}
STRING = re.compile(
    r"^[rbuf@$]*(?P<quote>[\"'`])(?P<text>[^\"'`\n]{0,200})(?P=quote)$|^:(?P<symbol>\w+)$", re.I
)
NAMED_STRING = re.compile(r"^(?:value|path|prefix|url_prefix|url|rule|routes?)\s*[=:]\s*(.+)$", re.S)
# Litestar and others: the path of a class of views is an attribute of it, which stands at its top.
CLASS_PATH = re.compile(r"^\s+(?:path|prefix|url_prefix|route_base)\s*(?::[^=]*)?=\s*([\"'][^\"']*[\"'])\s*$")
CLASS_TOP = 30
# Django REST: `CartViewSet.as_view({"get": "list"})`.
VIEWS = re.compile(r"[\"'](get|post|put|patch|delete)[\"']\s*:\s*[\"'](\w+)[\"']")
METHODS = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b")
ROUTED = re.compile(r"\b(get|post|put|patch|delete)(?=\()")  # axum, Actix: route("/x", get(show))
ACTION = re.compile(r"(?:action:|:action\s*=>)\s*:(\w+)$")  # Rails: get :sale, action: :cheap
RAILS = re.compile(r"(?:to:|=>)\s*[\"']([\w/]+)#(\w+)[\"']|^[\"']([\w/]+)#(\w+)[\"']$")
# How much a part of a request tells that the route has, that its group has, or its file; its folders less.
SAME, NEAR, TOLD = 4, 3, 2
OTHER = -3  # a word where the route has a parameter: such requests are summed up as a name
MAX_ABOVE = 200  # lines and calls above a definition
MAX_AROUND = 40  # groups that hold one call: nobody nests so many
NAME = "{name}"  # in summaries of HTTP logs, a part with many values
# A part of a path that stands for any value, in code (`:id`, `<int:id>`, `{id}`, `[id]`, `*`) or in a log.
ANY = re.compile(r"^(?:[:*$<{\[(].*|.*[<{*\[].*|\d+|.*\(\?P<.*|[0-9a-f]{8,}(?:-[0-9a-f-]+)?)$", re.I)
OPTIONAL = re.compile(r"\((?:/|\.:)")
# The last part of a path that stands for any number of parts.
OPEN = re.compile(r"^(?:\*|\[\.\.\.|\{\*)|\?\}?$")
# Next.js, Nuxt, SvelteKit: the folder below which files' paths are routes.
PAGES = re.compile(r"(?:^|/)(?:(?:src/)?(?:app|pages)|src/routes|server(?=/(?:api|routes)/))/(.*)$")
PAGE_FILE = re.compile(r"^(?:route|page|index|\+server|\+page(?:\.server)?)$")
SCRIPT = re.compile(r"\.(?:[cm]?[jt]sx?|go|py)$")
NO_REFERENCE = re.compile(r"(?:function|func|async|lambda|fn)\b|\{|.*=>", re.S)
REFERENCE = re.compile(r"[A-Za-z_][\w.]*(?:::\w+)*")
# What is added to a reference to make a handler of it.
MADE = re.compile(r"\.(?:as_view|bind)\b.*|::class\b", re.S)
LARAVEL = re.compile(r"(\w+)(?:::class\s*,\s*['\"]|@)(\w+)['\"]")
QUOTED = re.compile(r"([\"'`])[^\"'`\n]*\1")
KEYWORD = re.compile(r"^(?!view|endpoint|handler)\w+(?:\s*=(?![=>])|:\s)")
HANDLER = re.compile(r"^(?:view|view_func|endpoint|handler)\s*=\s*")
# Whose calls are routes whatever their path looks like, unlike a look-up, as in map.get("key").
ROUTER = re.compile(r"(?i:router|routes?|app|api|server)\.\w+$|\.[A-Z]+$|^(?:re_)?path$")
CLASS = re.compile(r"^[A-Z]\w*(?:\.[A-Z]\w*)*Controller\b")
ASSIGNED = re.compile(r"^\s*(?:(?:const|let|var|val)\s+)?(\w+)\s*:?=[^=]")
NO_NAMES = frozenset(
    ("get", "post", "put", "patch", "delete", "async", "function", "class", "as_view", "self", "this", "to")
)


@dataclass(frozen=True)
class RouteHandler:
    """A route as the code tells it. `methods`: () for any; `handlers`: references to functions, as written.

    `prefixes`: parts that may come before `parts`, and how much each then tells; `group`: those that do, in
    order. `start`, `end`: where it is told, with a handler that stands there.
    """

    path: str
    methods: tuple[str, ...]
    parts: tuple[str, ...]
    handlers: tuple[str, ...]
    start: int
    end: int
    prefixes: Mapping[str, int] = field(default_factory=dict)
    group: tuple[str, ...] = ()


def split_path(path: str) -> tuple[str, ...]:
    """Return the parts of a route's or a request's path, without its query."""
    path = re.sub(
        r"\(\?P?<\w+>[^()]*\)|\\[dw][+*]?", "*", path.partition("?")[0] if "(?" not in path else path
    )
    if path.startswith("^"):  # Django's patterns, with what may be missing
        path = re.sub(r"\([^()]*\)\?|/\?", "", path)
    elif optional := OPTIONAL.search(path):  # Rails
        path = path[: optional.start()] + ("/*" if optional[0] == "(/" else "")
    return tuple(part for part in path.strip("^$ ").split("/") if part and not part.startswith("("))


def routes_of(code: SourceCode) -> tuple[RouteHandler, ...]:
    """Return the routes of one file, in the order of its lines."""
    pure = PurePosixPath(code.path)
    stem = re.sub(r"[._-]?(?:routes?|router|controller|handlers?|views?|api|service)$", "", pure.stem.lower())
    stem = stem or pure.parent.name.lower()  # carts/router.go is about carts, as carts_router.go is
    named = dict.fromkeys((folder.lower() for folder in pure.parts[:-1]), 1)
    named |= dict.fromkeys((stem, f"{stem}s"), NEAR) if stem else {}
    calls = sorted((*code.calls, *_class_paths(code)), key=lambda call: (call.start, -call.end))
    groups, decorated = _groups(code, calls), _decorated(code, calls)
    elsewhere = named | {part.lower(): TOLD for group in groups for part in group.parts}
    found: list[RouteHandler] = []
    for call, around in _with_groups(calls, groups):
        near = (*(part for group in around for part in group.parts), *_chained(call))
        hints = named | {part.lower(): NEAR for part in near} if near else elsewhere
        found += (
            replace(route, group=near)
            for route in _declared(code, call, decorated.get(id(call)), hints, around)
        )
    return (*found, *_by_file_name(code))


@dataclass(frozen=True, eq=False)
class _Group:
    """A call that puts parts before the paths of routes: those in its span, or called on its variable."""

    call: FunctionCall
    parts: tuple[str, ...]
    variable: str
    start: int
    end: int


def _class_paths(code: SourceCode) -> Iterator[FunctionCall]:
    """Yield the paths that classes have as attributes, as calls that span their classes."""
    for each in code.definitions:
        if each.kind == "class" and code.path.endswith(".py"):
            top = code.lines[each.line : min(each.end, each.line + CLASS_TOP)]
            if match := next(filter(None, map(CLASS_PATH.match, top)), None):
                yield FunctionCall("controller", (match[1],), each.start, each.end)


def _groups(code: SourceCode, calls: Sequence[FunctionCall]) -> list[_Group]:
    decorated = {
        line: (each.start, each.end)
        for each in code.definitions
        if each.kind == "class"
        for line in range(each.start, each.line + 1)
    }
    found = []
    for call in calls:
        if parts := tuple(_prefixes(call)):
            match = ASSIGNED.match(code.text(call.start, call.start))
            span = decorated.get(call.start, (call.start, call.end))
            found.append(_Group(call, parts, match[1] if match else "", *span))
    return found


def _with_groups(
    calls: Sequence[FunctionCall], groups: Sequence[_Group]
) -> Iterator[tuple[FunctionCall, list[_Group]]]:
    """Yield each call with the groups around it, outermost first, and those around their variables."""
    order = {group: number for number, group in enumerate(groups)}
    made = {id(group.call): group for group in groups}
    begin = deque(sorted(groups, key=lambda group: group.start))
    within: list[_Group] = []
    named: dict[str, list[_Group]] = {}
    for call in calls:
        while begin and begin[0].start <= call.start:
            within.append(begin.popleft())
        within = [group for group in within if group.end >= call.start][:MAX_AROUND]
        spans = (group for group in within if call.end <= group.end and group.call is not call)
        around = sorted({*spans, *named.get(call.callee.partition(".")[0], ())}, key=order.__getitem__)
        if (group := made.get(id(call))) and group.variable:
            known = (*named.get(group.variable, ()), *around, group)
            named[group.variable] = [*dict.fromkeys(known)][:MAX_AROUND]
        yield call, around


def _strings(call: FunctionCall) -> Iterator[tuple[int, str]]:
    """Yield position and text of the arguments that are strings or symbols."""
    arguments = call.arguments
    if len(arguments) == 1 and arguments[0].startswith("("):  # one argument list in brackets, of attributes
        arguments = (arguments[0][1:-1],)
    for position, argument in enumerate(arguments):
        if match := NAMED_STRING.match(argument):
            argument = match[1].strip("[]{} ")
        argument = argument.partition("=>")[0]  # Ruby: "/cart" => "carts#show"
        if match := STRING.match(argument.strip()):
            yield position, match["text"] if match["symbol"] is None else match["symbol"]


def _prefixes(call: FunctionCall) -> Iterator[str]:
    if call.name.lower() in PREFIXES or call.name in RESOURCE:
        for _, text in _strings(call):
            yield from split_path(text)
    yield from _chained(call)
    for argument in call.arguments:
        if argument.startswith(("prefix", "url_prefix")):
            yield from split_path(argument.partition("=")[2].strip("\"' "))


def _chained(call: FunctionCall) -> tuple[str, ...]:
    """Return the parts that calls before a call put before it: `Route::prefix('cart')->group`."""
    prefixes = (text for name, text in call.chain if name.lower() in PREFIXES or name in RESOURCE)
    found = (STRING.match(text) for text in prefixes)
    return tuple(part for match in found if match for part in split_path(match["text"] or ""))


def _declared(
    code: SourceCode,
    call: FunctionCall,
    decorated: Definition | None,
    hints: Mapping[str, int],
    around: Sequence[_Group],
) -> Iterator[RouteHandler]:
    name = call.name.lower()
    strings = list(_strings(call))
    if call.name in RESOURCE and strings and not code.path.endswith(".rs"):
        yield from _resources(code, call, strings[0][1], hints, around)
        return
    told = strings or decorated or (call.arguments and _chained(call))
    if not told or not (name in VERBS or ADDS_VIEWS.match(name)):
        return
    position, path = strings[0] if strings else (-1, "")
    if METHODS.fullmatch(path) and len(strings) > 1:  # router.Method("GET", "/x", h)
        position, path = strings[1]
    handlers = (decorated.name,) if decorated else _handlers(call, position, path, around)
    if not handlers and call.end == call.start:
        return
    if not (decorated or _is_route(code, call, path)):
        return
    methods, path = _methods(call, position, path)
    parts = split_path(path)
    if name == "register" and parts:  # Django REST: the class says what is below the path
        parts = (*parts, "*")
    route = RouteHandler(path, methods, parts, handlers, call.start, call.end, hints)
    views = [view for argument in call.arguments if "as_view" in argument for view in VIEWS.findall(argument)]
    for verb, view in views:
        yield replace(route, methods=(verb.upper(),), handlers=tuple(f"{each}.{view}" for each in handlers))
    if not views:
        yield route


def _is_route(code: SourceCode, call: FunctionCall, path: str) -> bool:
    """Tell a route from a request to elsewhere and from a look-up."""
    plain = bool(path) and "/" not in path and SCRIPT.search(code.path) is not None
    return "://" not in path and (not plain or ROUTER.search(call.callee) is not None)


def _handlers(call: FunctionCall, position: int, path: str, around: Sequence[_Group]) -> tuple[str, ...]:
    """Return references to what answers: the arguments behind the path; of added views, those before it."""
    if ADDS_VIEWS.match(call.name):
        return tuple(_references(call.arguments[:position]))
    with_path = position >= 0 and "=>" in call.arguments[position]
    handlers = tuple(_references(call.arguments[position + (not with_path) :]))
    resources = [group.call for group in around if group.call.name in RESOURCE]
    if not handlers and resources:  # in Rails `get :sale` within `resources :offers`
        named = next(filter(None, map(ACTION.match, call.arguments)), None)
        action = named[1] if named else path.rpartition("/")[2]
        return (f"{_controller(resources[-1], around)}.{action}",)
    return handlers


def _methods(call: FunctionCall, position: int, path: str) -> tuple[tuple[str, ...], str]:
    """Return the methods of a route, and its path without them."""
    if match := METHODS.match(path):  # Go: "GET /x"
        return (match[1],), path[match.end() :].strip()
    before = (VERBS[word] for word in call.arguments[: max(position, 0)] if word in VERBS)  # path(get, "/x")
    if methods := VERBS.get(call.name.lower()) or next(before, ()):
        return methods, path
    behind = " ".join(call.arguments[position + 1 :])
    called = [verb.upper() for verb in ROUTED.findall(behind)] if call.name == "route" else []
    return tuple(dict.fromkeys([*called, *METHODS.findall(behind)])), path


def _decorated(code: SourceCode, calls: Sequence[FunctionCall]) -> dict[int, Definition]:
    """Return the functions whose decorators, annotations or attributes calls are, by `id` of the call."""
    above: dict[int, list[Definition]] = {}
    for each in code.definitions:
        same_line = each.start == each.line and code.path.endswith((".java", ".kt"))
        for line in range(max(each.start, each.line - MAX_ABOVE), each.line + same_line):
            if each.kind != "handed":
                above.setdefault(line, []).append(each)
    begin: dict[int, list[FunctionCall]] = {}
    for call in calls:
        begin.setdefault(call.start, []).append(call)
    found = {}
    for call in calls:
        if around := above.get(call.start):
            lines = range(min(each.start for each in around), call.start + 1)
            near = (other for line in lines for other in begin.get(line, ()))
            functions = [definition for definition in around if definition.kind == "function"] or around
            if not any(other is not call and _holds(other, call) for other in islice(near, MAX_ABOVE)):
                found[id(call)] = min(functions, key=lambda definition: definition.end - definition.start)
    return found


def _holds(outer: FunctionCall, inner: FunctionCall) -> bool:
    """Return whether a call stands among the arguments of another."""
    if not outer.start <= inner.start <= inner.end <= outer.end:
        return False
    return any(inner.callee in argument for argument in outer.arguments)


def _references(arguments: Iterable[str]) -> Iterator[str]:
    """Yield what may name a handler: `views.show`, `[UserController::class, 'show']`, `users#show`."""
    before = ""
    for argument in arguments:
        argument = HANDLER.sub("", argument)
        before, last = argument, before
        if CLASS.match(last) and argument.startswith(":"):  # Phoenix
            yield f"{last}.{argument[1:]}"
        elif CLASS.fullmatch(argument):
            continue
        elif match := RAILS.search(argument):
            controller, action = match[1] or match[3], match[2] or match[4]
            yield f"{controller.replace('/', '.')}_controller.{action}"
        elif match := LARAVEL.search(argument):
            yield f"{match[1]}.{match[2]}"
        elif not NO_REFERENCE.match(argument) and not KEYWORD.match(argument):
            names = REFERENCE.findall(MADE.sub("", QUOTED.sub("", argument)))
            yield from (name for name in names if name.lower() not in NO_NAMES)


def _controller(call: FunctionCall, around: Sequence[_Group]) -> str:
    if match := next(filter(None, map(CLASS.match, call.arguments)), None):
        return match[0]
    name = next(_strings(call))[1].strip("/").rpartition("/")[2]
    if call.name == "resource":  # one of its kind: the controller is named in the plural all the same
        name = re.sub(r"y$", "ie", name) + "s"
    modules = [part for group in around if group.call.name == "namespace" for part in group.parts]
    return ".".join([*modules, f"{name}_controller"])


def _resources(
    code: SourceCode, call: FunctionCall, name: str, hints: Mapping[str, int], around: Sequence[_Group]
) -> Iterator[RouteHandler]:
    controller = _controller(call, around)
    for action, (methods, ending) in (LARAVEL_RESOURCES if code.path.endswith(".php") else RESOURCES).items():
        if call.name == "resource" and not code.path.endswith(".php"):
            ending = ending.removeprefix("/:id")
        path = f"/{name.strip('/').replace('.', '/:id/')}{ending}"
        handler = f"{controller}.{action}"
        yield RouteHandler(
            path, tuple(methods.split()), split_path(path), (handler,), call.start, call.start, hints
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
    """Return how well a request fits a route, 0 for not at all.

    What counts are the parts that say the same, in the route or before it; one that stands for any value
    tells next to nothing.
    """
    if route.methods and method and method not in route.methods and method != "HEAD":
        return 0
    asked = split_path(path)
    ways = [told for way in (route.parts, (*route.group, *route.parts)) for told in _closed(way, len(asked))]
    fits = max(_fit(told, asked, route.prefixes) for told in ways)
    return fits and fits + bool(route.methods)


def _closed(told: tuple[str, ...], length: int) -> Iterator[tuple[str, ...]]:
    """Yield the parts of a route with as many at an open end as a request of this length may have."""
    if not told or not OPEN.search(told[-1]):
        yield told
        return
    head, most = told[:-1], max(length - len(told) + 1, 0)
    for more in range(0 if head else most, most + 1):
        yield (*head, *("*" for _ in range(more)))


def _fit(told: tuple[str, ...], asked: tuple[str, ...], prefixes: Mapping[str, int]) -> int:
    if len(told) > len(asked):
        return 0
    ends, before = asked[len(asked) - len(told) :], asked[: len(asked) - len(told)]
    points = [_agreement(one, other) for one, other in zip(told, ends, strict=True)]
    named = [prefixes.get(part.lower(), 0) for part in before]
    told_so = SAME in points or max(named, default=TOLD) >= TOLD
    if not told_so or any(point is None for point in points):
        return 0
    return max(1 + sum(point or 0 for point in points) + sum(named) + 2 * (not before), 1)


def _agreement(told: str, asked: str) -> int | None:
    """Return how much two parts agree, None if they cannot be the same."""
    if told.lower() == asked.lower():
        return SAME
    if ANY.match(told):
        return 2 if ANY.match(asked) else 0 if told == "*" else OTHER
    return 0 if asked == NAME else None
