"""One file as its grammar sees it: definitions, calls, imports and routes, of broken files too."""

# ruff: noqa: E501 (code of others, as it is written)

import pytest

from railmend.source import reading_process
from railmend.source.code_reader import MAX_BYTES, SourceCode, read
from railmend.source.reading_process import CodeReaderProcess, read_any
from railmend.source.routes import matches, routes_of
from tests.growth import assert_linear

# By file: its text, and what the outline says.
OUTLINES = {
    "a.py": (
        "import os\n\n# Sold out?\n@app.get('/x')\n@cached\ndef view(a,\n         b):\n    def inner():\n        pass\n"
        "    return inner()\n\n\nclass Cart(Base):\n    @property\n    def total(self): return 1\n",
        ["3-10 function view", "8-9 function inner", "13-15 class Cart", "14-15 function Cart.total"],
    ),
    "a.ts": (
        "@Controller('api')\nexport class Cart {\n  private add = async (n: number) => { put(n) }\n  @Get('x')\n"
        "  async show(@Param() p) {\n    return 1\n  }\n}\nexport const job = wrap(async () => {\n  run();\n});\n"
        "app.get('/x', async (req, res) => {\n});\n",
        [
            "1-8 class Cart",
            "3-3 function Cart.add",
            "4-7 function Cart.show",
            "9-11 function job",
            "12-13 handed app.get '/x'",
        ],
    ),
    "chain.ts": (
        "new Hono()\n  .get('/a', (c) => {\n    one();\n  })\n  // all\n  .put('/b', (c) => {\n    two();\n  });\n",
        ["2-4 handed .get '/a'", "6-8 handed .put '/b'"],
    ),
    "documented.rs": (
        "/// One.\n/// Two.\n#[get]\nfn show() {\n}\nlet n = 1; // last\nfn add() {\n}\n",
        ["1-5 function show", "7-8 function add"],
    ),
    "plain.cs": (
        'namespace A;\npublic record Cart(\n    int Id)\n{\n    /// <summary>All.</summary>\n    [Obsolete("x")]\n    public int Total(\n'
        '        int n)\n    {\n        if (n > 1) {\n            return n;\n        }\n        return Other("}");\n    }\n\n'
        '    private static int Other(string s) =>\n        s.Length;\n}\napp.MapGet("/x", async (Db db) =>\n{\n    go();\n});\n',
        [
            "2-18 class Cart",
            "5-14 function Cart.Total",
            "16-17 function Cart.Other",
            '19-22 handed app.MapGet "/x"',
        ],
    ),
    "plain.kt": (
        "@Service\nclass Cart {\n    suspend fun add(n: Int): Int {\n        return n\n    }\n    fun none() = 1\n}\n\nfun Route.carts() {\n"
        '    get("/x") {\n        go()\n    }\n}\n',
        [
            "1-7 class Cart",
            "3-5 function Cart.add",
            "6-6 function Cart.none",
            "9-13 function carts",
            '10-12 handed get "/x"',
        ],
    ),
    "a.go": (
        "package a\n\ntype Store struct{ n int }\n\n// Get answers.\nfunc (s *Store) Get(n int) {\n\tput(n)\n}\n",
        ["3-3 class Store", "5-8 function Store.Get"],
    ),
    "a.rb": (
        "module Shop\n  class Cart\n    def add(item)\n      @items << item\n    end\n  end\nend\n"
        "get '/x' do\n  1\nend\n",
        [
            "1-7 class Shop",
            "2-6 class Shop.Cart",
            "3-5 function Shop.Cart.add",
            "8-10 handed get '/x'",
        ],
    ),
    "a.rs": (
        "impl Cart {\n    #[inline]\n    fn add(&self) {\n        put();\n    }\n}\n",
        ["1-6 class Cart", "2-5 function Cart.add"],
    ),
    "A.java": (
        '@RestController\nclass Cart {\n  @GetMapping("/x")\n  int total() { return sum(); }\n}\n',
        ["1-5 class Cart", "3-4 function Cart.total"],
    ),
    "a.php": (
        "<?php\nclass Cart {\n  function add($item) {\n    put($item);\n  }\n}\n",
        ["2-6 class Cart", "3-5 function Cart.add"],
    ),
    "a.ex": (
        "defmodule Shop.Cart do\n  def add(item) when item > 1 do\n    put(item)\n  end\nend\n",
        ["1-5 class Shop.Cart", "2-4 function Shop.Cart.add"],
    ),
    "a.vue": (
        "<template>\n  <b/>\n</template>\n<script>\nexport default {\n  methods: {\n    add() {\n      put();\n    },\n"
        "  },\n};\n</script>\n",
        ["7-9 function add"],
    ),
}


def outline(code: SourceCode) -> list[str]:
    return [f"{each.start}-{each.end} {each.kind} {each.name}" for each in code.definitions]


@pytest.mark.parametrize(("path", "sample"), OUTLINES.items(), ids=OUTLINES)
def test_the_outline_has_each_definition_with_its_decorators_and_comments(
    path: str, sample: tuple[str, list[str]]
) -> None:
    code = read_any(path, sample[0])
    assert code is not None
    assert outline(code) == sample[1]


@pytest.mark.parametrize("path", [path for path in OUTLINES if path not in ("a.go", "a.vue")])
def test_a_broken_file_still_has_what_stands_before_the_fault(path: str) -> None:
    text, expected = OUTLINES[path]
    code = read_any(path, f"{text}\n]] ) %% (\n")
    assert code is not None
    assert expected[-1].split(" ", 1)[1] in {line.split(" ", 1)[1] for line in outline(code)}


def test_the_function_of_a_line_is_the_innermost_one() -> None:
    code = read("a.py", OUTLINES["a.py"][0])
    assert code is not None
    names = {
        line: found.name if (found := code.function_at(line)) else None for line in (1, 4, 9, 10, 13, 15)
    }
    assert names == {1: None, 4: "view", 9: "inner", 10: "view", 13: "Cart", 15: "Cart.total"}
    assert code.statement_at(1) == (1, 1)


def test_calls_and_imports_are_told_with_their_lines() -> None:
    code = read("a.js", "import fs from 'node:fs';\nfunction a() {\n  fs.read(b(1), 'x');\n}\na();\n")
    assert code is not None
    assert [(each.module, each.line) for each in code.imports] == [("node:fs", 1)]
    assert [(call.callee, call.name, call.arguments) for call in code.calls_in(2, 4)] == [
        ("fs.read", "read", ("b(1)", "'x'")),
        ("b", "b", ("1",)),
    ]


HOSTILE = {
    "brackets": "(" * 100_000,
    "braces": "{" * 100_000,
    "calls": "f(" * 20_000,
    "quotes": "'\"`" * 20_000,
    "arrows": "a=>" * 20_000,
    "templates": "`${" * 20_000,
    "tags": "<a>" * 20_000,
    "ternaries": "a ? b : " * 20_000,
    "chain": "a" + ".b()" * 20_000,
    "nothing": "\0" * 100_000,
}


@pytest.mark.parametrize("suffix", ["py", "js", "rb"])
def test_hostile_text_is_read_or_named_and_the_next_file_is_read(suffix: str) -> None:
    for name, text in HOSTILE.items():
        with CodeReaderProcess() as reader:
            code = reader.read(f"{name}.{suffix}", text)
            assert (code is None) == (f"{name}.{suffix}" in reader.unread)
            assert reader.read("a.py", "def a(): pass\n")


def test_a_parser_that_dies_takes_its_file_alone_with_it() -> None:
    with CodeReaderProcess("tests.unit.dying_reader") as reader:
        for how in ("abort", "memory"):
            assert reader.read(f"{how}.py", how) is None
            assert reader.read("a.py", OUTLINES["a.py"][0]) == read("a.py", OUTLINES["a.py"][0])
        assert list(reader.unread) == ["abort.py", "memory.py"]


def test_a_parser_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "MAX_SECONDS", 0.5)
    with CodeReaderProcess("tests.unit.dying_reader") as reader:
        assert reader.read("endless.py", "endless") is None
        assert list(reader.unread) == ["endless.py"]


def test_who_kills_every_parser_is_given_no_more_of_them() -> None:
    with CodeReaderProcess("tests.unit.dying_reader") as reader:
        for number in range(reading_process.MAX_FAILURES):
            reader.read(f"{number}.py", "abort")
        assert reader.read("good.py", "def a(): pass\n") is None
        assert "good.py" in reader.unread


def test_what_is_no_code_or_too_large_is_not_read() -> None:
    assert read("a.txt", "def a(): pass") is None
    assert read("a.py", "#" * (MAX_BYTES + 1)) is None


# By framework: a file, its text, a request, and the handlers in the order of how well they fit.
ROUTES = {
    "flask": ("v.py", "@bp.route('/cart/<int:n>', methods=['POST'])\ndef add(n):\n    pass\n", "POST /cart/7", "add"),
    "fastapi": ("v.py", "@router.get(\n    '/{id}/lines',\n)\nasync def lines(id):\n    pass\n", "GET /v1/cart/9/lines", "lines"),
    "django": ("urls.py", "urlpatterns = [path('cart/<int:n>/', views.cart, name='x')]\n", "GET /cart/3/", "views.cart"),
    "django, a pattern": ("urls.py", "re_path(r'^cart/(?P<n>\\d+)/$', views.cart)\n", "GET /cart/3/", "views.cart"),
    "express": ("r.js", "router.post('/cart/:id', auth.user, cart.add);\n", "POST /api/cart/5", "auth.user cart.add"),
    "fastify": ("r.js", "fastify.get('/cart', { schema }, list)\n", "GET /cart?x=1", "list"),
    "nest": (
        "cart.controller.ts",
        "@Controller('carts')\nexport class C {\n  @Get(':id')\n  show() {}\n}\n",
        "GET /carts/8f14e45f",
        "C.show",
    ),
    "next, app": ("src/app/api/cart/[id]/route.ts", "export async function PUT() {}\n", "PUT /api/cart/1", "PUT"),
    "net/http": ("m.go", 'func f() { mux.HandleFunc("GET /cart/{id}", s.show) }\n', "GET /cart/x", "s.show"),
    "gin": ("m.go", 'func f() { g := r.Group("/api"); g.POST("/cart", h.Add) }\n', "POST /api/cart", "h.Add"),
    "echo": ("m.go", 'func f() { e.GET("/cart/:id", auth(h.Show)) }\n', "GET /cart/1", "auth h.Show"),
    "rails": ("config/routes.rb", "resources :carts\n", "DELETE /carts/4", "carts_controller.destroy"),
    "rails, named": ("config/routes.rb", 'get "/sale", to: "shop/offers#sale"\n', "GET /sale", "shop.offers_controller.sale"),
    "laravel": ("routes/web.php", "<?php Route::get('/cart', [CartController::class, 'show']);\n", "GET /cart", "CartController.show"),
    "spring": ("C.java", 'class C {\n  @GetMapping("/cart/{id}")\n  int show() { return 1; }\n}\n', "GET /cart/1", "C.show"),
    "gin, groups in groups": (
        "m.go",
        'func f() {\n\tapi := r.Group("/shop")\n\tcart := api.Group("/cart")\n\tline := cart.Group("/:id/lines")\n'
        '\tapi.GET("", h.Shop)\n\tcart.GET("", h.Carts)\n\tline.GET("", h.Lines)\n}\n',
        "GET /shop/cart/{id}/lines",
        "h.Lines",
    ),
    "express, wrapped": ("cart.routes.js", "router.get(\n  '/',\n  asyncHandler(cart.get)\n);\n", "GET /api/cart", "asyncHandler cart.get"),
    "koa, a method for a path": ("api.ts", "router.post('cart.list', auth(), async (ctx) => {\n  put(1);\n});\n", "POST /api/cart.list", "auth"),
    "laravel, groups": (
        "routes/web.php",
        "<?php\nRoute::prefix('carts')->group(function () {\n  Route::get('', [C::class, 'index']);\n"
        "  Route::middleware('own')->prefix('{cart}')->group(function () {\n    Route::get('', [C::class, 'show']);\n  });\n});\n",
        "GET /carts/{id}",
        "C.show",
    ),
    "rocket": ("m.rs", '#[get("/sync?<data..>")]\nfn sync(data: D) {\n    put();\n}\n', "GET /api/sync", "sync"),
    "django, an ending that may be missing": ("urls.py", "re_path(r'^cart/(?P<n>\\d+)(\\.json)?/?$', views.Cart.as_view())\n", "GET /cart/3", "views.Cart"),
    "phoenix, resources": ("router.ex", 'resources("/cart", CartController, except: [:new])\n', "GET /cart", "CartController.index"),
    "django rest, a router": ("urls.py", "router.register(r'carts', views.Carts)\n", "POST /api/carts/4/empty/", "views.Carts"),
    "django rest, by method": ("urls.py", "path('cart/', V.as_view({'get': 'list', 'post': 'create'}))\n", "POST /cart/", "V.create"),
    "django, by keywords": ("urls.py", "path(route='me', view=Me.as_view(), name='x')\n", "GET /v1/me", "Me"),
    "flask-restful": ("urls.py", "api.add_org_resource(Carts, '/carts/<id>')\n", "GET /carts/4", "Carts"),
    "flask, views of a blueprint": ("urls.py", "register_view(shop, routes=['/carts'], view_func=Carts.as_view('x'))\n", "GET /shop/carts", "Carts"),
    "litestar": ("c.py", "class C(Controller):\n    path = '/carts'\n\n    @post(tags=['x'])\n    def add(self): ...\n", "POST /carts", "C.add"),
    "rails, an arrow": ("config/routes.rb", 'post "/cart/2fa" => "carts#second"\n', "POST /cart/2fa", "carts_controller.second"),
    "rails, an optional end": ("config/routes.rb", 'get "/top(/:n(/page/:p))", to: "home#top"\n', "GET /top/9", "home_controller.top"),
    "rails, a namespace": (
        "config/routes.rb",
        "namespace :admin do\n  resources :carts, only: [] do\n    put 'lost'\n  end\nend\n",
        "PUT /admin/carts/4/lost",
        "admin.carts_controller.lost",
    ),
    "rails, an action of another name": (
        "config/routes.rb",
        "resources :carts, only: [] do\n  put :lost, action: :lose\nend\n",
        "PUT /carts/4/lost",
        "carts_controller.lose",
    ),
    "echo, named by its folder": ("shop/carts/router.go", 'func f() { g.GET("", h.index) }\n', "GET /shop/carts", "h.index"),
    "laravel, a resource in another": (
        "routes/api.php",
        "<?php\nRoute::apiResource('carts.lines', LineController::class)->only('store');\n",
        "POST /carts/4/lines",
        "LineController.store",
    ),
    "express, one path": ("r.js", "router.route('/cart')\n  .get(auth, show)\n  .post(add);\n", "POST /api/cart", "add"),
    "actix, scopes in scopes": (
        "m.rs",
        'fn f() {\n  cfg.service(\n    scope("/shop")\n      .route("/list", get().to(shop))\n      .service(\n'
        '        scope("/cart")\n          .route("/all", get().to(all))\n          .route("/list", get().to(list)),\n      ),\n  );\n}\n',
        "GET /shop/cart/list",
        "list",
    ),
    "axum, nested": (
        "m.rs",
        'fn f() {\n  let other = r.route("/cart", get(none));\n  r.nest(\n    "/shop",\n    Router::new()\n      .route("/cart", get(list)),\n  )\n}\n',
        "GET /shop/cart",
        "list",
    ),
    "hono, a base": (
        "m.ts",
        "other.get('/cart', none);\nconst shop = new Hono().basePath('/shop');\nshop.get('/cart', list);\n",
        "GET /shop/cart",
        "list",
    ),
    "asp.net, a group": (
        "P.cs",
        'app.MapGet("/cart", None);\nvar shop = app.MapGroup("/shop");\nshop.MapGet("/cart", Carts.List);\n',
        "GET /shop/cart",
        "Carts.List",
    ),
    "axum, by module": ("m.rs", 'fn f() { r.route("/cart", post(handlers::cart::post)) }\n', "POST /api/cart", "handlers::cart::post"),
    "koa, a prefix in a variable": (
        "users.ts",
        "members.delete('/:id/users/:userId', remove);\nrouter.delete('/users/:userId', removeUser);\n",
        "DELETE /api/users/4",
        "removeUser",
    ),
    "utoipa": ("m.rs", '/// A\n/// cart.\n#[utoipa::path(get, path = "/cart/{id}")]\nfn show() {}\n', "GET /cart/1", "show"),
    "asp.net": (
        "C.cs",
        'namespace A;\n[Route("api/[controller]")]\npublic class Carts : Controller\n{\n    /// <summary>X</summary>\n'
        '    [HttpPut("{id}/lines")]\n    public async Task<Cart> Add(int id)\n    {\n        return await Find(id);\n    }\n}\n',
        "PUT /api/Carts/4/lines",
        "Carts.Add",
    ),
    "kotlin": ("C.kt", '@RequestMapping("/carts")\nclass C {\n    @GetMapping("/{id}")\n    fun show(id: Int) = 1\n}\n', "GET /carts/4", "C.show"),
    "phoenix": ("router.ex", 'get "/cart", CartController, :show\n', "GET /cart", "CartController.show"),
}  # fmt: skip


@pytest.mark.parametrize("sample", ROUTES.values(), ids=ROUTES)
def test_a_request_finds_the_function_that_answers_it(sample: tuple[str, str, str, str]) -> None:
    path, text, request, handlers = sample
    code = read_any(path, text)
    assert code is not None
    method, _, asked = request.partition(" ")
    fitting = [route for route in routes_of(code) if matches(route, method, asked)]
    fitting.sort(key=lambda route: -matches(route, method, asked))
    assert [" ".join(route.handlers) for route in fitting][:1] == [handlers]
    other = "DELETE" if method != "DELETE" else "POST"
    if not path.endswith("urls.py"):  # Django's views answer any method
        assert not [route for route in routes_of(code) if matches(route, other, asked)]
    assert not [route for route in routes_of(code) if matches(route, method, "/something/else")]


def test_what_is_said_alike_weighs_more_than_what_stands_for_anything() -> None:
    text = "@Controller('x')\nclass A {\n  @Get(':a/:b/:c')\n  any() {}\n}\n@Controller('cart')\nclass B {\n  @Get()\n  all() {}\n}\n"
    code = read("a.ts", text)
    assert code is not None
    points = {route.handlers: matches(route, "GET", "/api/v1/cart") for route in routes_of(code)}
    assert points[("B.all",)] > points[("A.any",)]
    assert not any(matches(route, "GET", "/api/v1/orders/{id}/items") for route in routes_of(code))


def test_an_action_within_a_resource_is_its_controllers() -> None:
    text = "scope 'org/:org' do\n  resources :shops do\n    resources :carts do\n      get :lost, on: :collection\n    end\n  end\nend\n"
    code = read("config/routes.rb", text)
    assert code is not None
    best = max(routes_of(code), key=lambda route: matches(route, "GET", "/org/acme/shops/main/carts/lost"))
    assert best.handlers == ("carts_controller.lost",)


def test_a_client_that_asks_others_is_no_route() -> None:
    text = "axios.post('https://api.stripe.com/v1/x', data);\nmap.get('/x');\nconst v = cache.get('key', load);\n"
    code = read("a.js", text)
    assert code is not None
    assert routes_of(code) == ()


@pytest.mark.parametrize(
    "line",
    [
        "const v{next} = v{n}.group('/x{n}');\n",
        "r.use('/x{n}', h{n});\nr.get('/y{n}', g{n});\n",
        "class C{n} {{\n@Get('/x{n}')\nshow() {{\n}}\n}}\n",
    ],
    ids=["each group in the one before", "as many routers as routes", "as many decorators as functions"],
)
def test_routes_of_many_groups_take_time_as_there_are_many(line: str) -> None:
    many = 2000
    sources = {
        count: read("app.js", "".join(line.format(n=n, next=n + 1) for n in range(count)))
        for count in (many // 8, many)
    }
    assert_linear(lambda count: routes_of(sources[count]), many)
