"""The code of a packet: whole functions that matter, what changed, and nothing said twice."""

import pytest

from railmend.contracts.incident import Fact, Facts, IncidentRequest
from railmend.contracts.scan import FindingKind
from railmend.evidence.change import CommitComparison, ComparedFile
from railmend.evidence.clues import Place, file_of, places_in, requests_in
from railmend.evidence.code_facts import code_facts
from railmend.evidence.packet import TOTAL_BUDGET, number, room_for_code
from railmend.evidence.tokens import estimate
from railmend.source.reading_process import CodeReaderProcess
from tests import samples
from tests.unit.planted_services import SERVICES, Planted


def incident_of(kind: FindingKind) -> IncidentRequest:
    return samples.incident(findings=(samples.finding(kind=kind),))


@pytest.mark.parametrize("planted", SERVICES.values(), ids=SERVICES)
def test_the_culprit_is_whole_in_the_packet_however_much_else_there_is(planted: Planted) -> None:
    noise = "\n".join(f"{n}x worker finished job number {n} in {n} ms" for n in range(400))
    others = [Fact(kind=kind, source="x", text=noise) for kind in ("deploy_log", "chart", "drift", "state")]
    others += [Fact(kind="http_log", source="x", text=planted.requests)] * bool(planted.requests)
    items, _ = code_facts(
        incident_of(planted.kind),
        planted.sources,
        None,
        logs=[planted.logs],
        requests=[planted.requests],
        redact=str,
        room=room_for_code(others),
    )
    packet = number("shop", [Facts(items=(*others, *items))])
    shown = next(item.text for item in packet.items if item.kind == "code")
    assert planted.culprit.strip("\n") in shown
    assert estimate(shown) <= TOTAL_BUDGET


def test_what_is_shown_is_shown_once_and_a_secret_in_it_not_at_all() -> None:
    files = {"app.py": "KEY = 'tulip-harbour'\n\n\ndef a():\n    return KEY\n\n\ndef b():\n    return a()\n"}
    trace = 'File "/srv/app.py", line 9, in b'
    (fact,), _ = code_facts(
        incident_of(FindingKind.ERROR_RATE),
        files,
        None,
        logs=[trace],
        requests=[],
        redact=lambda text: text.replace("tulip-harbour", "<secret-1>"),
        room=3000,
    )
    headers = [line for line in fact.text.split("\n") if line.startswith("--- ")]
    assert headers[0] == "--- app.py lines 8-9: named by a trace, line 9"
    assert fact.text.count("def a():") == fact.text.count("KEY = ") == 1
    assert "tulip-harbour" not in fact.text


def test_a_file_that_kills_the_parser_is_named_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "railmend.evidence.code_facts.CodeReaderProcess", lambda: CodeReaderProcess("tests.unit.dying_reader")
    )
    trace = 'File "/srv/bad.py", line 1, in a\nFile "/srv/app.py", line 1, in b'
    (fact,), _ = code_facts(
        incident_of(FindingKind.ERROR_RATE),
        {"bad.py": "abort", "app.py": "def b():\n    return 1\n"},
        None,
        logs=[trace],
        requests=[],
        redact=str,
        room=1500,
    )
    assert "--- app.py lines 1-2: named by a trace, line 1" in fact.text
    assert "(not read as code: bad.py)" in fact.text


@pytest.mark.parametrize(("room", "most"), [(1500, 1600), (20000, 2700)])
def test_a_function_too_long_for_the_room_is_shown_around_the_line_that_failed(room: int, most: int) -> None:
    body = "\n".join(f"    total_{n} = compute(total_{n - 1}, rate)" for n in range(1, 900))
    trace = 'File "/srv/app.py", line 500, in bill'
    (fact,), _ = code_facts(
        incident_of(FindingKind.ERROR_RATE),
        {"app.py": f"def bill(total_0, rate):\n{body}\n"},
        None,
        logs=[trace],
        requests=[],
        redact=str,
        room=room,
    )
    first = fact.text.partition("\n\n")[0]
    assert "total_499 = compute" in first
    assert "of lines 1-900" in first
    assert estimate(first) <= most


KOTLIN = """class Orders(private val store: Store) {
    fun total(id: String): Int {
        val lines = store.lines(id)
        return lines.sumOf {
            it.price!!
        }
    }

    fun other() = 1
}
"""


ROOT_TRACE = 'File "/srv/app.py", line 3, in <module>\nFile "/srv/app.py", line 60, in Shop'


def shown_of(
    files: dict[str, str], trace: str, requests: str = "", change: CommitComparison | None = None
) -> str:
    facts, changed = code_facts(
        incident_of(FindingKind.ERROR_RATE),
        files,
        change,
        logs=[trace],
        requests=[requests],
        redact=str,
        room=1500,
    )
    return "\n".join([*(fact.text for fact in facts), changed])


def test_outside_of_functions_the_statement_or_the_lines_of_a_class_around_a_failure_are_shown() -> None:
    fields = "".join(f"    field_{n} = load({n})\n" for n in range(99))
    text = shown_of(
        {"app.py": f"RATES = {{\n    1: a(),\n    2: b(),\n}}\n\n\nclass Shop:\n{fields}"}, ROOT_TRACE
    )
    headers = [line for line in text.split("\n") if line.startswith("--- ")]
    assert headers[:2] == [
        "--- app.py lines 1-4: named by a trace, line 3",
        "--- app.py lines 45-75: named by a trace, line 60",
    ]


def test_of_one_name_the_nearest_is_meant_and_the_one_that_is_called_alike() -> None:
    files = {
        "web/util.js": "function price(n) {\n  return 1;\n}\n",
        "api/cart/util.js": "function price(n) {\n  return 2;\n}\n",
        "users.queries.js": "function find(n) {\n  return 3;\n}\n",
        "zcart.store.js": "function find(n) {\n  return 4;\n}\n",
        "api/cart/show.js": "function show(n) {\n  return price(n) + zcartStore.find(n);\n}\n",
    }
    text = shown_of(files, "    at show (/srv/api/cart/show.js:2:9)")
    called = [line.split(" ")[1] for line in text.split("\n") if line.endswith(": called in show.js")]
    assert called == ["api/cart/util.js", "zcart.store.js"]


def test_where_no_function_is_found_the_route_itself_is_shown() -> None:
    filler = "".join(f"const v{n} = {n};\n" for n in range(900))
    text = shown_of({"app.js": f"{filler}app.get('/cart', elsewhere.list);\n"}, "", "GET /cart: 5x")
    assert text.startswith("--- app.js lines 901-901: answers GET /cart")


def test_however_much_else_there_is_code_has_room() -> None:
    others = [Fact(kind=kind, source="x", text="word " * 9000) for kind in ("deploy_log", "change", "chart")]
    assert room_for_code(others) == 3500
    assert room_for_code(others[:1]) == TOTAL_BUDGET - 2200


def test_of_what_is_called_further_down_the_likeliest_is_shown_first() -> None:
    files = {
        "app.py": "def a():\n    return calls.both()\n",
        "calls.py": "def both():\n    return plain.c1() + plain.c2()\n",
        "plain.py": "def c1():\n    return 1\n\n\ndef c2():\n    raise Error(status)\n",
    }
    text = shown_of(files, 'File "/srv/app.py", line 2, in a')
    assert text.index("def both()") < text.index("def c2()") < text.index("def c1()")


def test_a_function_that_no_grammar_reads_is_whole_and_a_template_is_shown_around_its_line() -> None:
    text = shown_of({"src/Orders.kt": KOTLIN}, "\tat shop.Orders.total(Orders.kt:5)")
    assert text.startswith("--- src/Orders.kt lines 2-7: named by a trace, line 5\n    fun total(")
    view = "\n".join(f"<p>{n}</p>" for n in range(100))
    text = shown_of({"app/views/cart.html.erb": view}, "app/views/cart.html.erb:50:in 'total'")
    assert text.startswith("--- app/views/cart.html.erb lines 35-65: named by a trace, line 50\n<p>34</p>")


def test_a_change_knows_what_a_trace_names_beside_the_service_and_in_what_was_compiled() -> None:
    long = "@@ -0,0 +1,900 @@\n" + "\n".join(f"+value_{n} = compute({n})" for n in range(1, 901))
    files = [
        ComparedFile(path=path, status="modified", additions=900, deletions=0, patch=long)
        for path in ("a.ts", "shared/pay.py", "web/src/cart.ts")
    ]
    change = CommitComparison(base="a", head="b", status="ahead", total=1, commits=(), files=tuple(files))
    text = shown_of({"main.py": ""}, 'File "/srv/shared/pay.py", line 450, in pay', change=change)
    assert "+value_450 = " in text
    text = shown_of({"web/src/cart.ts": "put();\n"}, "    at /app/web/dist/cart.js:9:5", change=change)
    assert text.index("--- web/src/cart.ts") < text.index("hunks of")


def test_a_service_that_is_new_in_its_repository_is_not_shown_twice() -> None:
    code = "def a():\n    return fault()\n"
    patch = "@@ -0,0 +1,2 @@\n+def a():\n+    return fault()"
    file = ComparedFile(path="main.py", status="added", additions=2, deletions=0, patch=patch)
    new = CommitComparison(base="a", head="b", status="ahead", total=1, commits=(), files=(file,))
    trace = 'File "/srv/main.py", line 2, in a'
    assert shown_of({"main.py": code}, trace, change=new).count("return fault()") == 1
    assert shown_of({"main.py": code, "old.py": ""}, trace, change=new).count("return fault()") == 2


def test_a_request_is_answered_by_a_function_and_not_by_a_client_that_sends_it() -> None:
    files = {
        "web/api.ts": "export const list = (body) => http.post('/api/cart/lines', body);\n",
        "routes/cart.js": "const cart = require('../handlers/carts.handler');\n"
        "router.post('/lines', wrap(cart.get));\n",
        "handlers/carts.handler.js": "function get(req) {\n  return query.cart.get(req.id);\n}\n",
        "queries/cart.queries.js": "function get(id) {\n  return db('cart').where({ id });\n}\n",
        "queries/user.queries.js": "function get(id) {\n  return db('user').where({ id });\n}\n",
    }
    headers = [
        line for line in shown_of(files, "", "POST /api/cart/lines: 5x").split("\n") if line.startswith("---")
    ]
    assert headers[:2] == [
        "--- handlers/carts.handler.js lines 1-3: answers POST /api/cart/lines",
        "--- queries/cart.queries.js lines 1-3: called in carts.handler.js",
    ]


VIEWS = """class Counted:
    @action(detail=True)
    def totals(self, request, pk):
        return self.count()


class CartViewSet(Counted, ModelViewSet):
    queryset = Cart.objects.all()

    def retrieve(self, request, pk):
        return 1

    @action(detail=True, methods=["post"], url_path="check-out")
    def pay(self, request, pk):
        return 2
"""


@pytest.mark.parametrize(
    ("request_", "lines"),
    [
        ("POST /api/carts/{id}/check-out/", "14-16"),
        ("GET /api/carts/{id}/totals/", "3-5"),
        ("GET /api/carts/{id}/", "11-12"),
        ("GET /api/carts/", "8-216"),
    ],
)
def test_of_a_set_of_views_the_method_is_shown_that_answers(request_: str, lines: str) -> None:
    long = "".join(f"    def helper_{n}(self):\n        return {n}\n" for n in range(100))
    files = {
        "shop/urls.py": "router.register(r'carts', views.CartViewSet)\n",
        "shop/views.py": f"\n{VIEWS}{long}",
        "shop/other.py": "def retrieve(pk):\n    return 3\n\n\ndef totals(pk):\n    return 4\n",
    }
    text = shown_of(files, "", f"{request_}: 5x")
    shown = [line for line in text.split("\n") if ": answers " in line]
    assert shown[0].startswith(f"--- shop/views.py lines {lines}: answers {request_}")
    assert len(shown) == 1


def test_a_handler_is_found_through_the_variable_that_holds_it() -> None:
    files = {
        "routes.go": 'func f(e *E) {\n\tspeech := audio.Speak(load())\n\te.POST("/speech", speech)\n}\n',
        "audio/speak.go": "func Speak(l Loader) Handler {\n\treturn l.find(0)\n}\n",
    }
    assert "--- audio/speak.go lines 1-3: answers POST /speech" in shown_of(files, "", "POST /speech: 5x")


def test_what_fits_a_request_less_well_is_shown_below_what_the_likeliest_calls() -> None:
    files = {
        "web/urls.py": "urlpatterns = [path('carts/<id>/pay/', views.pay_page)]\n",
        "web/views.py": "def pay_page(id):\n    return form(id)\n\n\ndef form(id):\n    return id\n",
        "api/urls.py": "router.register('carts', api.Carts)\n",
        "api/api.py": "class Carts(ViewSet):\n    def pay(self, id):\n        return id\n",
    }
    text = shown_of(files, "", "POST /api/carts/{id}/pay: 5x")
    assert text.index("def pay_page(") < text.index("def form(") < text.index("class Carts(")
    assert "--- api/api.py lines 1-3: answers POST /api/carts/{id}/pay" in text


def test_a_class_that_is_called_does_not_hide_its_methods() -> None:
    methods = "".join(f"    def m{n}(self):\n        return {n}\n\n" for n in range(400))
    files = {
        "views.py": "def show(id):\n    cart = Cart(id)\n    return cart.m300()\n",
        "models.py": "class Cart:\n    lines = []\n\n    def __init__(self, id):\n        self.id = id\n\n"
        + methods,
    }
    text = shown_of(files, 'File "/srv/views.py", line 3, in show')
    assert "self.id = id" in text
    assert "return 300" in text


def test_no_line_is_shown_twice_where_a_file_is_shown_in_parts() -> None:
    fields = "".join(f"    field_{n}: int = {n}\n" for n in range(9))
    send = "    def send(self):\n        raise Error(abort(panic(self.status)))\n"
    code = f"class Hook:\n{fields}{send}{fields}\n"
    filler = "".join(
        f"def f{n}(value):\n    return value * {n} + other_{n} - more_{n}\n\n" for n in range(400)
    )
    text = shown_of({"app.py": code + filler, "x.py": "def a(): pass\n"}, 'File "/srv/x.py", line 1, in a')
    assert text.count("raise Error(abort(panic") == 1


def test_after_what_is_named_come_its_file_what_changed_what_it_imports_and_what_is_like_the_fault() -> None:
    fault = "raise Error(abort(status))\n"
    files = {
        "a.py": f"# the top\nimport goods\n\n{fault}\n\ndef show():\n    return 1\n",
        "likely.py": f"{fault}panic(catch)\n",
        "less.py": fault,
        "main.py": fault,
        "goods.py": fault,
        "changed.py": "unlike = 1\n",
    }
    patch = ComparedFile(path="changed.py", status="modified", additions=1, deletions=0, patch="@@ -1 +1 @@")
    change = CommitComparison(base="a", head="b", status="ahead", total=1, commits=(), files=(patch,))
    text = shown_of(files, 'File "/srv/a.py", line 7, in show', change=change)
    shown = [line.split(" ")[1] for line in text.split("\n") if line.startswith("--- ") and " lines " in line]
    assert shown == ["a.py", "a.py", "changed.py", "goods.py", "main.py", "likely.py", "less.py"]


def test_what_there_is_no_room_for_is_listed_with_its_place() -> None:
    long = "".join(f"        self.total_{n} = compute(total_{n}, rate)\n" for n in range(400))
    files = {f"m{n:02}.py": f"class C{n}:\n    def add(self):\n{long}" for n in range(20)}
    files["app.py"] = "def b():\n    " + "\n    ".join(f"m{n:02}.C{n}.add()" for n in range(20)) + "\n"
    text = shown_of(files, 'File "/srv/app.py", line 2, in b')
    listed = next(line for line in text.split("\n") if line.startswith("(not shown: "))
    assert listed.startswith("(not shown: m00.py lines 2-402; m01.py lines 2-402; ")
    assert listed.endswith("; and 5 more)")
    assert listed.count(" lines ") == 15
    assert "app.py" not in listed


@pytest.mark.parametrize(("changed_rows", "least_change", "least_code"), [(900, 480, 1200), (3, 70, 1700)])
def test_a_change_has_a_quarter_of_the_room_and_leaves_what_it_does_not_need(
    changed_rows: int, least_change: int, least_code: int
) -> None:
    body = "".join(f"    total_{n} = compute(total_{n}, rate)\n" for n in range(400))
    rows = "\n".join(f"+other_{n} = compute({n})" for n in range(changed_rows))
    patch = f"@@ -0,0 +1,{changed_rows} @@\n{rows}"
    file = ComparedFile(path="b.py", status="modified", additions=1, deletions=0, patch=patch)
    change = CommitComparison(base="a", head="b", status="ahead", total=1, commits=(), files=(file,))
    facts, text = code_facts(
        incident_of(FindingKind.ERROR_RATE),
        {"a.py": f"def bill(rate):\n{body}", "b.py": "def b():\n    raise Error\n\n\n" * 200},
        change,
        logs=['File "/srv/a.py", line 200, in bill'],
        requests=[],
        redact=str,
        room=2000,
    )
    code = sum(estimate(fact.text) for fact in facts)
    assert estimate(text) >= least_change
    assert code >= least_code
    assert code + estimate(text) <= 2100  # with the list of what was left out


TRACES = {
    'File "/app/shop/cart.py", line 12, in add': Place("/app/shop/cart.py", 12, "add"),
    "    at Cart.add (/app/dist/cart.js:12:5)": Place("/app/dist/cart.js", 12, "Cart.add"),
    "    at async /app/src/cart.ts:12:5": Place("/app/src/cart.ts", 12),
    "/app/lib/cart.rb:12:in `block in add'": Place("/app/lib/cart.rb", 12, "add"),
    "  main.(*Cart).Add(0xc0000) /src/cart.go:12 +0x60": Place("/src/cart.go", 12, "(*Cart).Add"),
    "\tat com.shop.Cart.add(Cart.java:12)": Place("Cart.java", 12, "com.shop.Cart.add"),
    "   at Shop.Cart.Add(Int32 n) in /src/Cart.cs:line 12": Place("/src/Cart.cs", 12, "Shop.Cart.Add"),
    "#0 /var/www/app/Cart.php(12): add()": Place("/var/www/app/Cart.php", 12),
    "    (shop 0.1.0) lib/shop/cart.ex:12: Shop.Cart.add/1": Place("lib/shop/cart.ex", 12),
    "thread 'main' panicked at src/cart.rs:12:9:": Place("src/cart.rs", 12),
    '  File "/usr/lib/python3.12/site-packages/flask/app.py", line 9, in run': None,
}


@pytest.mark.parametrize(("line", "place"), TRACES.items())
def test_places_are_read_in_the_traces_of_each_language(line: str, place: Place | None) -> None:
    assert places_in([line]) == ((place,) if place else ())


def test_a_place_means_the_file_that_shares_most_of_its_path() -> None:
    files = dict.fromkeys(("app/cart.py", "main.py", "api/main.py", "src/orders/orders.ts"), "")
    assert file_of("/srv/app/cart.py", files) == "app/cart.py"
    assert file_of("/app/main.py", files) == "main.py"
    assert file_of("/app/dist/orders/orders.js", files) == "src/orders/orders.ts"
    assert file_of("/app/other.py", files) is None
    assert file_of("/app/main.py", dict.fromkeys(("shop/api/main.py", "shop/main.py"), "")) == "shop/main.py"


def test_requests_are_read_in_summaries_of_http_logs() -> None:
    text = "9 requests.\nGET /cart/{id}: 5x (50 %), slowest 9 ms: /cart/8\nPOST /cart -> 500: 4x (4.0%)"
    assert requests_in([text]) == (("GET", "/cart/{id}"), ("POST", "/cart"))
