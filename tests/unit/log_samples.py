# ruff: noqa: E501, W291 - lines as they are printed
"""Failures as the runtimes of many languages print them, for the condenser's tests.

Each: a name, the stream, the lines as they arrive, and what must survive in the condensed text.
"""

from typing import NamedTuple


class Sample(NamedTuple):
    name: str
    stream: str
    block: str
    wanted: tuple[str, ...]


RUNTIME_SAMPLES = (
    Sample(
        "python-chained",
        "deploy",
        """ERROR:app.jobs:job 8812 failed
Traceback (most recent call last):
  File "/app/jobs/runner.py", line 41, in run
    result = self.handle(job)
             ^^^^^^^^^^^^^^^^
  File "/app/jobs/mail.py", line 17, in handle
    return TEMPLATES[job["template"]]
           ~~~~~~~~~^^^^^^^^^^^^^^^^^
KeyError: 'welcome-v3'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/usr/local/lib/python3.12/site-packages/rq/worker.py", line 1430, in perform_job
    rv = job.perform()
  File "/app/jobs/runner.py", line 45, in run
    raise JobFailed(job["id"]) from None
app.errors.JobFailed: 8812""",
        (r"mail\.py\W{1,4}line 17", r"KeyError: 'welcome-v3'", r"JobFailed: 8812"),
    ),
    Sample(
        "python-syntax",
        "deploy",
        """  File "/app/api/views.py", line 88
    return {"total": total
           ^
SyntaxError: '{' was never closed""",
        (r"views\.py\W{1,4}line 88", r"SyntaxError"),
    ),
    Sample(
        "python-pydantic",
        "deploy",
        """Traceback (most recent call last):
  File "/app/settings.py", line 30, in <module>
    settings = Settings()
  File "/app/.venv/lib/python3.12/site-packages/pydantic_settings/main.py", line 176, in __init__
    super().__init__(
pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
database_url
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.10/v/missing""",
        (r"settings\.py\W{1,4}line 30", r"ValidationError", r"Field required", "database_url"),
    ),
    Sample(
        "sqlalchemy",
        "deploy",
        """sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) could not translate host name "postgres.railway.internal" to address: Name or service not known
(Background on this error at: https://sqlalche.me/e/20/e3q8)""",
        ("could not translate host name", r"postgres\.railway\.internal"),
    ),
    Sample(
        "gunicorn-worker-timeout",
        "deploy",
        """[2026-02-03 10:12:01 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:17)
[2026-02-03 10:12:02 +0000] [1] [ERROR] Worker (pid:17) was sent SIGKILL! Perhaps out of memory?""",
        ("WORKER TIMEOUT", "out of memory"),
    ),
    Sample(
        "node-uncaught",
        "deploy",
        """/app/src/config.js:12
    throw new Error('STRIPE_KEY is not set');
    ^

Error: STRIPE_KEY is not set
    at loadConfig (/app/src/config.js:12:11)
    at Object.<anonymous> (/app/src/server.js:4:16)
    at Module._compile (node:internal/modules/cjs/loader:1554:14)
    at Object..js (node:internal/modules/cjs/loader:1706:10)

Node.js v22.14.0""",
        ("STRIPE_KEY is not set", r"config\.js:12\b", r"server\.js:4\b"),
    ),
    Sample(
        "node-module-not-found",
        "deploy",
        """node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module '/app/dist/main.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15)
    at Module._load (node:internal/modules/cjs/loader:1051:27) {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}""",
        (r"Cannot find module '/app/dist/main\.js'", "MODULE_NOT_FOUND"),
    ),
    Sample(
        "node-heap",
        "deploy",
        """<--- Last few GCs --->
[1:0x5bd4d40]    91282 ms: Mark-Compact 509.2 (524.3) -> 508.7 (524.8) MB, 812.55 / 0.00 ms  (average mu = 0.1)
<--- JS stacktrace --->
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
----- Native stack trace -----
 1: 0xb8ced1 node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]
 2: 0xf06460 v8::Utils::ReportOOMFailure(v8::internal::Isolate*, char const*) [node]""",
        ("JavaScript heap out of memory",),
    ),
    Sample(
        "node-prisma",
        "deploy",
        """PrismaClientKnownRequestError: 
Invalid `prisma.invoice.findMany()` invocation in
/app/src/invoices.ts:57:31

  54 export async function open(user: string) {
  55   const rows =
→ 57     await prisma.invoice.findMany(
Timed out fetching a new connection from the connection pool. (Current connection pool timeout: 10, connection limit: 5)
    at Ln.handleRequestError (/app/node_modules/@prisma/client/runtime/library.js:121:7315)
    at async open (/app/src/invoices.ts:57:5) {
  code: 'P2024',
  clientVersion: '5.22.0'
}""",
        ("Timed out fetching a new connection", r"invoices\.ts:57\b", "P2024"),
    ),
    Sample(
        "java-spring-context",
        "deploy",
        """2026-02-03T10:12:00.123Z ERROR 1 --- [           main] o.s.boot.SpringApplication               : Application run failed

org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'flywayInitializer'
\tat org.springframework.beans.factory.support.AbstractAutowireCapableBeanFactory.initializeBean(AbstractAutowireCapableBeanFactory.java:1786) ~[spring-beans-6.0.9.jar!/:6.0.9]
\tat org.springframework.boot.SpringApplication.run(SpringApplication.java:1305) ~[spring-boot-3.1.0.jar!/:3.1.0]
\tat com.acme.billing.BillingApplication.main(BillingApplication.java:14) ~[classes!/:na]
Caused by: org.flywaydb.core.internal.command.DbMigrate$FlywayMigrateException: Migration V12__add_plan.sql failed
\tat org.flywaydb.core.internal.command.DbMigrate.doMigrateGroup(DbMigrate.java:352) ~[flyway-core-9.16.3.jar!/:na]
\t... 18 common frames omitted
Caused by: org.postgresql.util.PSQLException: ERROR: column "plan" of relation "accounts" already exists
\tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2713) ~[postgresql-42.6.0.jar!/:42.6.0]
\t... 24 common frames omitted""",
        (
            r"V12__add_plan\.sql",
            'column "plan" of relation "accounts" already exists',
            r"BillingApplication\.java:14",
        ),
    ),
    Sample(
        "java-oom",
        "deploy",
        """Exception in thread "http-nio-8080-exec-7" java.lang.OutOfMemoryError: Java heap space
\tat java.base/java.util.Arrays.copyOf(Arrays.java:3537)
\tat com.acme.export.CsvWriter.rows(CsvWriter.java:88)
\tat org.apache.catalina.core.ApplicationFilterChain.doFilter(ApplicationFilterChain.java:164)""",
        ("OutOfMemoryError: Java heap space", r"CsvWriter\.java:88"),
    ),
    Sample(
        "go-panic",
        "deploy",
        """panic: runtime error: index out of range [3] with length 3

goroutine 41 [running]:
github.com/acme/router/internal/plan.(*Planner).pick(0xc0000b4000, {0xc0001a2000, 0x3, 0x4})
\t/app/internal/plan/pick.go:58 +0x1d
main.handle({0x7f2a40, 0xc00012a000}, 0xc000130000)
\t/app/main.go:101 +0x9c
net/http.HandlerFunc.ServeHTTP(0x0?, {0x7f2a40?, 0xc00012a000?}, 0x0?)
\t/usr/local/go/src/net/http/server.go:2220 +0x29
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3454 +0x485
exit status 2""",
        (r"index out of range \[3\]", r"pick\.go:58\b", r"main\.go:101\b", "Planner"),
    ),
    Sample(
        "go-deadlock",
        "deploy",
        """fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.wait(...)
\t/src/queue.go:33
main.main()
\t/src/main.go:19 +0x85""",
        ("all goroutines are asleep", r"queue\.go:33\b"),
    ),
    Sample(
        "go-logfmt",
        "deploy",
        'time=2026-02-03T10:12:00Z level=ERROR msg="charge failed" order=9911 err="stripe: 402 card_declined: lost_card" attempt=3',
        ("charge failed", "card_declined"),
    ),
    Sample(
        "ruby-rails",
        "deploy",
        """[4f1c2d7e-6b1f-4c7e-9a55-0a4f3c1b2d9e] Completed 500 Internal Server Error in 31ms (ActiveRecord: 4.1ms)
[4f1c2d7e-6b1f-4c7e-9a55-0a4f3c1b2d9e]
[4f1c2d7e-6b1f-4c7e-9a55-0a4f3c1b2d9e] NoMethodError (undefined method `price' for nil:NilClass):
[4f1c2d7e-6b1f-4c7e-9a55-0a4f3c1b2d9e]
[4f1c2d7e-6b1f-4c7e-9a55-0a4f3c1b2d9e] app/models/cart.rb:22:in `total'
[4f1c2d7e-6b1f-4c7e-9a55-0a4f3c1b2d9e] app/controllers/carts_controller.rb:9:in `show'""",
        (r"undefined method `price'", r"cart\.rb:22\b", r"carts_controller\.rb:9\b"),
    ),
    Sample(
        "ruby-script",
        "deploy",
        """/app/lib/importer.rb:14:in 'Importer#rows': undefined method 'each' for nil (NoMethodError)

    file.rows.each do |row|
             ^^^^^
\tfrom /app/lib/importer.rb:8:in 'Importer#run'
\tfrom /usr/local/bundle/gems/rake-13.2.1/lib/rake/task.rb:281:in 'block in Rake::Task#execute'
\tfrom bin/import:5:in '<main>'""",
        (r"undefined method 'each'", r"importer\.rb:14\b"),
    ),
    Sample(
        "rust-panic",
        "deploy",
        """thread 'tokio-runtime-worker' panicked at src/handlers/quote.rs:47:34:
called `Option::unwrap()` on a `None` value
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/std/src/panicking.rs:665:5
   1: core::panicking::panic_fmt
             at /rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/core/src/panicking.rs:74:14
   2: quotes::handlers::quote::price
             at ./src/handlers/quote.rs:47:34
   3: tokio::runtime::task::core::Core<T,S>::poll
             at /usr/local/cargo/registry/src/index.crates.io-6f17d22bba15001f/tokio-1.42.0/src/runtime/task/core.rs:331:17
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.""",
        (r"quote\.rs:47\b", r"Option::unwrap\(\)", "quotes::handlers::quote::price"),
    ),
    Sample(
        "dotnet",
        "deploy",
        """fail: Microsoft.AspNetCore.Diagnostics.ExceptionHandlerMiddleware[1]
      An unhandled exception has occurred while executing the request.
      System.InvalidOperationException: Sequence contains no elements
         at System.Linq.ThrowHelper.ThrowNoElementsException()
         at System.Linq.Enumerable.First[TSource](IEnumerable`1 source)
         at Acme.Orders.Pricing.Latest(Int32 id) in /src/Orders/Pricing.cs:line 63
         at Acme.Orders.OrdersController.Get(Int32 id) in /src/Orders/OrdersController.cs:line 28
         at Microsoft.AspNetCore.Mvc.Infrastructure.ActionMethodExecutor.Execute(ActionContext ctx)""",
        ("Sequence contains no elements", r"Pricing\.cs:line 63", r"OrdersController\.cs:line 28"),
    ),
    Sample(
        "dotnet-unhandled",
        "deploy",
        """Unhandled exception. System.AggregateException: One or more errors occurred. (Connection refused [::1]:5432)
 ---> Npgsql.NpgsqlException (0x80004005): Failed to connect to [::1]:5432
 ---> System.Net.Sockets.SocketException (111): Connection refused
   at Npgsql.Internal.NpgsqlConnector.Connect(NpgsqlTimeout timeout)
   --- End of inner exception stack trace ---
   at Acme.Program.Main(String[] args) in /src/Program.cs:line 21""",
        (r"Failed to connect to \[::1\]:5432", r"Program\.cs:line 21"),
    ),
    Sample(
        "php-fatal",
        "deploy",
        """PHP Fatal error:  Uncaught TypeError: App\\Cart::add(): Argument #1 ($item) must be of type App\\Item, null given, called in /app/src/Checkout.php on line 31 and defined in /app/src/Cart.php:12
Stack trace:
#0 /app/src/Checkout.php(31): App\\Cart->add(NULL)
#1 /app/vendor/slim/slim/Slim/Handlers/Strategies/RequestResponse.php(38): App\\Checkout->__invoke()
#2 {main}
  thrown in /app/src/Cart.php on line 12""",
        (r"must be of type App.Item, null given", r"Cart\.php:12", r"Checkout\.php\(31\)"),
    ),
    Sample(
        "laravel",
        "deploy",
        """[2026-02-03 10:12:00] production.ERROR: SQLSTATE[42S22]: Column not found: 1054 Unknown column 'plan_id' in 'where clause' {"exception":"[object] (Illuminate\\\\Database\\\\QueryException(code: 42S22): SQLSTATE[42S22] at /app/vendor/laravel/framework/src/Illuminate/Database/Connection.php:829)
[stacktrace]
#0 /app/vendor/laravel/framework/src/Illuminate/Database/Connection.php(783): runQueryCallback()
#1 /app/app/Http/Controllers/PlanController.php(44): first()
#2 {main}
"}""",
        ("Unknown column 'plan_id'", r"PlanController\.php\(44\)"),
    ),
    Sample(
        "elixir",
        "deploy",
        """10:12:00.123 [error] GenServer #PID<0.512.0> terminating
** (KeyError) key :currency not found in: %{amount: 12}
    (shop 0.1.0) lib/shop/pricing.ex:18: Shop.Pricing.total/1
    (stdlib 6.2) gen_server.erl:2381: :gen_server.try_handle_call/4
Last message (from #PID<0.498.0>): {:total, 12}""",
        ("key :currency not found", r"pricing\.ex:18\b"),
    ),
    Sample(
        "postgres",
        "deploy",
        """2026-02-03 10:12:00.000 UTC [7] FATAL:  sorry, too many clients already""",
        ("too many clients already",),
    ),
    Sample(
        "nginx-upstream",
        "deploy",
        '2026/02/03 10:12:00 [error] 29#29: *118 connect() failed (111: Connection refused) while connecting to upstream, client: 10.1.2.3, server: _, request: "GET /api HTTP/1.1", upstream: "http://10.0.0.4:9000/api"',
        (r"connect\(\) failed \(111: Connection refused\)", r"10\.0\.0\.4:9000"),
    ),
    Sample(
        "container-oom",
        "deploy",
        "Container killed: out of memory (limit 512 MB), restarting",
        ("out of memory",),
    ),
    Sample(
        "gin-access",
        "deploy",
        '[GIN] 2026/02/03 - 10:12:00 | 500 |    1.203ms |      10.0.0.7 | POST     "/api/quotes/8812/accept"',
        (r"POST +./api/quotes/\S+/accept", r"\| 500 \|"),
    ),
    Sample(
        "lograge",
        "deploy",
        "method=GET path=/carts/77 format=html controller=CartsController action=show status=500 error='NoMethodError: undefined method price'",
        ("CartsController", "status=500", "undefined method price"),
    ),
    Sample(
        "postgres-statement",
        "deploy",
        """2026-02-03 10:12:00.000 UTC [31] ERROR:  column "plan" does not exist at character 8
2026-02-03 10:12:00.000 UTC [31] HINT:  Perhaps you meant to reference the column "accounts.plans".
2026-02-03 10:12:00.000 UTC [31] STATEMENT:  SELECT plan FROM accounts WHERE id = $1""",
        ('column "plan" does not exist', "SELECT plan FROM accounts", "accounts.plans"),
    ),
    Sample(
        "long-line-with-its-cause-at-the-end",
        "deploy",
        "ERROR o.a.c.c.C.[dispatcherServlet] Servlet.service() threw exception [Request processing failed; "
        + "nested exception is com.acme.Wrapped: wrapped; " * 30
        + "nested exception is java.net.UnknownHostException: billing.internal]",
        ("UnknownHostException: billing.internal", "dispatcherServlet"),
    ),
    Sample(
        "zookeeper",
        "deploy",
        """2026-02-03 10:12:00,733 - WARN  [WorkerSender[myid=1]:QuorumCnxManager@368] - Cannot open channel to 2 at election address /10.10.34.12:3888
java.net.ConnectException: Connection refused
\tat java.net.PlainSocketImpl.socketConnect(Native Method)
\tat org.apache.zookeeper.server.quorum.QuorumCnxManager.connectOne(QuorumCnxManager.java:354)""",
        ("Cannot open channel to 2", "Connection refused", "QuorumCnxManager"),
    ),
    Sample(
        "python-exception-group",
        "deploy",
        """  + Exception Group Traceback (most recent call last):
  |   File "/app/worker.py", line 8, in <module>
  |     asyncio.run(main())
  |   File "/usr/local/lib/python3.12/asyncio/runners.py", line 190, in run
  |     return runner.run(main)
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/worker.py", line 4, in fetch
    |     return JOBS[name]
    | KeyError: 'nightly'
    +------------------------------------""",
        (r"worker\.py\W{1,4}line 4", "KeyError: 'nightly'", "unhandled errors in a TaskGroup"),
    ),
    Sample(
        "node-cause",
        "deploy",
        """file:///app/load.mjs:2
async function load() { throw new Error('cannot load config', {cause: e}) }
                                ^

Error: cannot load config
    at load (file:///app/load.mjs:2:89)
    at async Promise.all (index 1)
    at async file:///app/load.mjs:5:1 {
  [cause]: Error: ENOENT: no such file or directory, open '/app/config.json'
      at async open (node:internal/fs/promises:637:25)
      at async load (file:///app/load.mjs:2:30) {
    errno: -2,
    code: 'ENOENT'
  }
}

Node.js v20.20.2""",
        (
            "cannot load config",
            r"load\.mjs:2\b",
            r"ENOENT: no such file or directory, open '/app/config\.json'",
        ),
    ),
)
