# ruff: noqa: E501, W291, W293 - lines as they are printed
"""Logs of further stacks, typed in their formats: what a healthy one says, and a failure in its own form.

`calm` lines have `{n}` where a number varies. `wanted` must survive; the block is so many `events`.
"""

from typing import NamedTuple


class StackSample(NamedTuple):
    name: str
    calm: tuple[str, ...]
    block: str
    wanted: tuple[str, ...]
    events: int = 1


STACK_SAMPLES = (
    StackSample(
        "next",
        (" GET /products/{n} 200 in 12ms", " ○ Compiling /p{n} ...", " ✓ Compiled /p{n} in 90ms"),
        """ ⨯ TypeError: Cannot read properties of undefined (reading 'stock')
    at Availability (./src/app/products/page.tsx:31:24)
    at stringify (<anonymous>) {
  digest: '1930860604'
}""",
        (r"reading 'stock'", r"page\.tsx:31"),
    ),
    StackSample(
        "pm2",
        ("0|api  | order {n} priced", "1|jobs | job {n} done"),
        """0|api  | Error: no rate for SEK
0|api  |     at convert (/app/dist/rates.js:44:11)
0|api  |     at /app/node_modules/express/lib/router/layer.js:95:5""",
        (r"no rate for SEK", r"rates\.js:44"),
    ),
    StackSample(
        "foreman-interleaved",
        ("22:07:41 web.1    | GET /a/{n} 200", "22:07:41 worker.1 | job {n} done"),
        """22:07:42 web.1    | Traceback (most recent call last):
22:07:42 worker.1 | Traceback (most recent call last):
22:07:42 web.1    |   File "/app/shop/views.py", line 61, in pay
22:07:42 worker.1 |   File "/app/shop/mails.py", line 17, in send
22:07:42 web.1    |     charge(order)
22:07:42 worker.1 |     smtp.connect()
22:07:42 web.1    | PaymentError: card 4 declined
22:07:42 worker.1 | ConnectionRefusedError: [Errno 111] refused""",
        (
            r"views\.py\W+line 61[\s\S]{0,60}PaymentError",
            r"mails\.py\W+line 17[\s\S]{0,60}ConnectionRefusedError",
        ),
        2,
    ),
    StackSample(
        "compose-pino-pretty",
        ("api-1  | [10:00:0{n}] INFO: request completed", "api-1  |     responseTime: {n}"),
        """api-1  | [10:00:09] ERROR: request failed
api-1  |     err: {
api-1  |       "type": "TypeError",
api-1  |       "message": "rates is not iterable",
api-1  |       "stack":
api-1  |           TypeError: rates is not iterable
api-1  |               at convert (/app/src/rates.ts:9:21)
api-1  |     }""",
        (r"rates is not iterable", r"rates\.ts:9"),
    ),
    StackSample(
        "laravel-under-docker",
        ("2023-09-19T00:03:20.559758542Z [2023-09-19 00:03:20] production.INFO: Order {n} stored",),
        """2023-09-19T00:03:21.559758542Z [2023-09-19 00:03:21] production.ERROR: SQLSTATE[HY000] [2002] Connection refused (Connection: mysql, SQL: select * from `sessions`) {"exception":"[object] (Illuminate\\\\Database\\\\QueryException(code: 2002): SQLSTATE[HY000] [2002] Connection refused at /app/vendor/laravel/framework/src/Illuminate/Database/Connection.php:829)
2023-09-19T00:03:21.559777875Z [stacktrace]
2023-09-19T00:03:21.559777901Z #0 /app/vendor/laravel/framework/src/Illuminate/Database/Connection.php(983): Illuminate\\\\Database\\\\Connection->runQueryCallback()
2023-09-19T00:03:21.559796167Z #1 /app/app/Http/Controllers/CartController.php(52): App\\\\Models\\\\Cart::open()
2023-09-19T00:03:21.559812583Z #2 {main}
2023-09-19T00:03:21.559812599Z "} """,
        (r"Connection refused", r"CartController\.php\(52\)"),
    ),
    StackSample(
        "celery-worker-lines",
        (
            "[2023-04-15 16:12:16,{n}: INFO/ForkPoolWorker-3] Task shop.tasks.index succeeded in 0.0{n}s: None",
        ),
        """[2023-04-15 16:12:17,491: WARNING/ForkPoolWorker-4] Traceback (most recent call last):
[2023-04-15 16:12:17,491: WARNING/ForkPoolWorker-4]   File "/usr/local/lib/python3.11/site-packages/click/core.py", line 1130, in __call__
    return self.main(*args, **kwargs)
[2023-04-15 16:12:17,492: WARNING/ForkPoolWorker-4]   File "/app/shop/tasks.py", line 88, in index
    engine.put(page)
[2023-04-15 16:12:17,492: WARNING/ForkPoolWorker-4] shop.errors.IndexFull: no space for page 7""",
        (r"tasks\.py\W+line 88", r"IndexFull"),
    ),
    StackSample(
        "phoenix-endpoint",
        (
            "10:00:00.{n} request_id=FzQ{n} [info] GET /items/{n}",
            "10:00:00.{n} request_id=FzQ{n} [info] Sent 200 in {n}µs",
        ),
        """10:00:01.537 request_id=FzQab [error] #PID<0.2445.0> running ShopWeb.Endpoint (connection #PID<0.2444.0>, stream id 1) terminated
Server: shop.example:80 (http)
Request: POST /orders
** (exit) an exception was raised:
    ** (KeyError) key :currency not found in: %{total: 12}
        (shop 0.4.1) lib/shop/orders.ex:73: Shop.Orders.total/1
        (phoenix 1.7.14) lib/phoenix/router.ex:484: Phoenix.Router.__call__/5""",
        (r"key :currency not found", r"orders\.ex:73", r"POST /orders"),
    ),
    StackSample(
        "phoenix-genserver",
        ("10:00:00.{n} [info] cache warmed in {n}ms",),
        """10:00:12.537 [error] GenServer Shop.Rates terminating
** (CaseClauseError) no case clause matching: {:error, :nxdomain}
    (shop 0.4.1) lib/shop/rates.ex:58: Shop.Rates.fetch/1
    (stdlib 6.1.2) gen_server.erl:2345: :gen_server.try_handle_info/3
Last message: :refresh
State: %{rates: %{}}""",
        (r"nxdomain", r"rates\.ex:58", r"GenServer Shop\.Rates"),
    ),
    StackSample(
        "tracing-right-set",
        ("\x20INFO ingestd::api: served id={n}", "DEBUG ingestd::pool: {n} idle"),
        """\x20WARN ingestd::pool: no free connection, 14 waiting
ERROR ingestd::flush: batch dropped: disk quota exceeded""",
        (r"no free connection", r"disk quota exceeded"),
        2,
    ),
    StackSample(
        "log4j-right-set",
        ("\x20INFO 1 --- [nio-8080-exec-{n}] c.s.api.Orders : order {n} read",),
        """ERROR 1 --- [nio-8080-exec-3] o.a.c.c.C.[.[.[/].[dispatcherServlet] : Servlet.service() threw exception
java.lang.IllegalStateException: stock is negative
\tat com.shop.stock.Ledger.take(Ledger.java:91) ~[classes!/:na]
\tat org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:885) ~[spring.jar:6]
\x20WARN 1 --- [nio-8080-exec-4] c.s.api.Orders : retrying order""",
        (r"stock is negative", r"Ledger\.java:91", r"retrying order"),
        2,
    ),
    StackSample(
        "back-to-back",
        ("listening {n}",),
        """Error: no such coupon
    at apply (/app/src/coupons.js:12:9)
RangeError: total below zero
    at total (/app/src/cart.js:77:15)""",
        (r"no such coupon[\s\S]{0,60}coupons\.js:12", r"total below zero[\s\S]{0,60}cart\.js:77"),
        2,
    ),
    StackSample(
        "zap-console",
        ('2026-11-20T01:30:00.{n}Z\tINFO\tapi/serve.go:31\tserved\t{{"id": {n}}}',),
        """2026-11-20T01:30:09.100Z\tERROR\tbilling/charge.go:118\tcharge failed\t{"provider": "cardhub", "error": "rpc error: code = DeadlineExceeded"}
shop/billing.(*Charger).Charge
\t/src/billing/charge.go:118
shop/api.pay
\t/src/api/pay.go:40
net/http.HandlerFunc.ServeHTTP
\t/usr/local/go/src/net/http/server.go:2220""",
        (r"DeadlineExceeded", r"charge\.go:118", r"pay\.go:40"),
    ),
    StackSample(
        "zerolog-stack",
        ('{{"level":"info","time":1700000{n},"message":"served {n}"}}',),
        '{"level":"error","stack":[{"func":"readRates","line":"22","source":"rates.go"},{"func":"main","line":"9","source":"main.go"}],"error":"seek failed: no such file","time":1700000999,"message":"rates unreadable"}',
        (r"rates unreadable", r"seek failed", r"rates\.go\W+line 22"),
    ),
    StackSample(
        "slog-json-source",
        ('{{"time":"2026-11-20T01:30:00Z","level":"INFO","msg":"served {n}"}}',),
        '{"time":"2026-11-20T01:30:09Z","level":"ERROR","source":{"function":"shop/stock.Take","file":"/src/stock/take.go","line":57},"msg":"take failed","err":"deadlock detected"}',
        (r"take failed", r"deadlock detected", r"take\.go"),
    ),
    StackSample(
        "rust-panic",
        ("2026-11-20T01:30:00.{n}Z  INFO shopd::api: served {n}",),
        """thread 'tokio-runtime-worker' panicked at src/rates.rs:44:10:
called `Result::unwrap()` on an `Err` value: Error { kind: TimedOut }
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace""",
        (r"rates\.rs:44", r"TimedOut"),
    ),
    StackSample(
        "deno",
        ("served {n}",),
        """error: Uncaught (in promise) Error: upstream said 429
    throw new Error(`upstream said ${reply.status}`);
          ^
    at fetchRates (file:///app/rates.ts:18:11)
    at eventLoopTick (ext:core/01_core.js:175:7)""",
        (r"upstream said 429", r"rates\.ts:18"),
    ),
    StackSample(
        "prisma",
        ("GET /users/{n} 200 3ms",),
        """PrismaClientInitializationError: 
Invalid `prisma.user.findMany()` invocation in
/app/src/users.ts:14:20

  11 
→ 12 const users = await prisma.user.findMany(
Can't reach database server at `db.internal:5432`

Please make sure your database server is running at `db.internal:5432`.
    at $n.handleRequestError (/app/node_modules/@prisma/client/runtime/library.js:121:7615)
    at async list (/app/src/users.ts:14:20)""",
        (r"Can't reach database server", r"users\.ts:14"),
    ),
    StackSample(
        "node-heap",
        ("tick {n}",),
        """<--- Last few GCs --->

[1:0x7f8] 52345 ms: Scavenge 2033.1 (2081.4) -> 2032.0 (2082.4) MB, 5.1 / 0.0 ms (average mu = 0.3) allocation failure;
[1:0x7f8] 53022 ms: Mark-Compact 2034.0 (2082.4) -> 2033.2 (2098.4) MB, 677.5 / 0.0 ms last resort;

<--- JS stacktrace --->

FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
----- Native stack trace -----

 1: 0xb8d0a3 node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]
 2: 0xf06250 v8::Utils::ReportOOMFailure(v8::internal::Isolate*, char const*) [node]""",
        (r"Reached heap limit", r"2033\.2"),
    ),
    StackSample(
        "node-rejected-object",
        ("tick {n}",),
        """node:internal/process/promises:394
      triggerUncaughtException(err, true /* fromPromise */);
      ^

[UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block. The promise rejected with the reason "#<Reply>".] {
  code: 'ERR_UNHANDLED_REJECTION'
}

Node.js v22.1.0""",
        (r'reason "#<Reply>"', r"Node\.js v22"),
    ),
    StackSample(
        "sidekiq",
        ("2026-11-20T01:30:00.{n}Z pid=1 tid=9ab class=IndexJob jid=8c{n} elapsed=0.{n} INFO: done",),
        """2026-11-20T01:30:09.100Z pid=1 tid=9ab class=ChargeJob jid=8cffee INFO: fail
2026-11-20T01:30:09.101Z pid=1 tid=9ab WARN: {"context":"Job raised exception","job":{"retry":true,"queue":"default","class":"ChargeJob"}}
2026-11-20T01:30:09.101Z pid=1 tid=9ab WARN: Net::ReadTimeout: Net::ReadTimeout with #<TCPSocket:(closed)>
2026-11-20T01:30:09.101Z pid=1 tid=9ab WARN: /usr/local/bundle/gems/net-protocol-0.2.2/lib/net/protocol.rb:229:in 'rbuf_fill'
/app/app/jobs/charge_job.rb:27:in 'perform'""",
        (r"Net::ReadTimeout", r"charge_job\.rb:27"),
        2,
    ),
    StackSample(
        "gunicorn",
        ('127.0.0.1 - - [20/Nov/2026:01:30:00 +0000] "GET /items/{n} HTTP/1.1" 200 512 "-" "curl"',),
        """[2026-11-20 01:30:09 +0000] [7] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/app/.venv/lib/python3.12/site-packages/gunicorn/arbiter.py", line 608, in spawn_worker
    worker.init_process()
  File "/app/shop/wsgi.py", line 5, in <module>
    from shop.settings import API
ImportError: cannot import name 'API' from 'shop.settings'""",
        (r"cannot import name 'API'", r"wsgi\.py\W+line 5"),
    ),
    StackSample(
        "rich-traceback",
        ("2026-11-20 01:30:00 [info     ] served                         id={n}",),
        """2026-11-20 01:30:09 [error    ] import failed                  supplier=nord
╭─────────────────────────── Traceback (most recent call last) ───────────────────────────╮
│ /app/imports/nord.py:52 in load                                                          │
│                                                                                          │
│   49 │   rows = csv.reader(text)                                                         │
│ ❱ 52 │   return [Price(*row) for row in rows]                                            │
╰──────────────────────────────────────────────────────────────────────────────────────────╯
TypeError: Price.__init__() missing 1 required positional argument: 'unit'""",
        (r"missing 1 required positional argument", r"nord\.py:52"),
    ),
    StackSample(
        "caddy",
        (
            '{{"level":"info","ts":1700000{n},"logger":"http.log.access","msg":"handled request","status":200,"size":{n}}}',
        ),
        '{"level":"error","ts":1700000999.1,"logger":"http.log.error","msg":"dial tcp 10.0.0.8:3000: connect: connection refused","request":{"method":"GET","uri":"/api/rates"},"duration":0.01,"status":502}',
        (r"connection refused", r"/api/rates"),
    ),
    StackSample(
        "apache-php",
        ('100.64.0.3 - - [20/Nov/2026:01:30:00 +0000] "GET /item.php?id={n} HTTP/1.1" 200 900',),
        """[Fri Nov 20 01:30:09.100 2026] [php:error] [pid 17] [client 100.64.0.4:50022] PHP Fatal error:  Uncaught TypeError: price(): Argument #1 must be of type float, null given, called in /var/www/html/cart.php:31
Stack trace:
#0 /var/www/html/cart.php(31): price(NULL)
#1 {main}
  thrown in /var/www/html/price.php on line 4""",
        (r"must be of type float", r"cart\.php\(31\)"),
    ),
    StackSample(
        "symfony",
        ('[2026-11-20T01:30:00.{n}+00:00] request.INFO: Matched route "item". {{"route":"item"}} []',),
        '[2026-11-20T01:30:09.100000+00:00] request.CRITICAL: Uncaught PHP Exception Doctrine\\DBAL\\Exception\\ConnectionException: "An exception occurred in the driver: server closed the connection" at ItemRepository.php line 33 {"exception":"[object] (Doctrine\\\\DBAL at /app/src/Repository/ItemRepository.php:33)"} []',
        (r"server closed the connection", r"ItemRepository\.php"),
    ),
    StackSample(
        "redis",
        (
            "1:M 20 Nov 2026 01:30:00.{n} * 100 changes in 300 seconds. Saving...",
            "1:M 20 Nov 2026 01:30:00.{n} * DB saved on disk",
        ),
        "1:M 20 Nov 2026 01:30:09.100 # Can't save in background: fork: Cannot allocate memory",
        (r"fork: Cannot allocate memory",),
    ),
    StackSample(
        "mongo",
        (
            '{{"t":{{"$date":"2026-11-20T01:30:00.{n}Z"}},"s":"I","c":"NETWORK","id":22943,"ctx":"listener","msg":"Connection accepted","attr":{{"connectionId":{n}}}}}',
        ),
        '{"t":{"$date":"2026-11-20T01:30:09.100Z"},"s":"E","c":"STORAGE","id":22435,"ctx":"Checkpointer","msg":"WiredTiger error message","attr":{"error":28,"message":"__posix_file_write: pwrite: No space left on device"}}',
        (r"WiredTiger error", r"No space left on device"),
    ),
    StackSample(
        "mysql",
        ("2026-11-20T01:30:00.{n}Z 0 [Note] [MY-012{n}] [InnoDB] page cleaner took {n}ms",),
        "2026-11-20T01:30:09.100Z 0 [ERROR] [MY-012592] [InnoDB] Operating system error number 28 in a file operation.",
        (r"error number 28",),
    ),
    StackSample(
        "serilog",
        ("[01:30:00 INF] HTTP GET /items/{n} responded 200 in 4.{n} ms",),
        """[01:30:09 ERR] HTTP POST /orders responded 500 in 31.2 ms
System.NullReferenceException: Object reference not set to an instance of an object.
   at Shop.Orders.Total(Order order) in /src/Shop/Orders.cs:line 71
   at Microsoft.AspNetCore.Routing.EndpointMiddleware.Invoke(HttpContext httpContext)""",
        (r"NullReferenceException", r"Orders\.cs:line 71", r"POST /orders"),
    ),
    StackSample(
        "chinese-levels",
        ("[信息] 请求完成 编号={n}",),
        "[严重] 支付网关无响应 渠道=银联",
        ("支付网关无响应",),
    ),
    StackSample(
        "german-levels",
        ("HINWEIS Auftrag {n} gelesen",),
        "FEHLER Zahlung abgelehnt: Konto gesperrt",
        ("Konto gesperrt",),
    ),
    StackSample(
        "japanese-levels",
        ("[情報] 注文 {n} を受け付けました",),
        "エラー: 在庫サービスに接続できません",
        ("在庫サービス",),
    ),
    StackSample(
        "unknown-levels",
        ("tavallinen tilaus {n} luettu",),
        "vakava maksupalvelu ei vastaa",
        ("maksupalvelu ei vastaa",),
    ),
    StackSample(
        "threads-on-every-line",
        (
            "2026-11-20 01:30:00,{n} [worker-1] job {n} done",
            "2026-11-20 01:30:00,{n} [worker-2] job {n} done",
        ),
        """2026-11-20 01:30:09,100 [worker-1] Traceback (most recent call last):
2026-11-20 01:30:09,100 [worker-2] Traceback (most recent call last):
2026-11-20 01:30:09,101 [worker-1]   File "/app/a.py", line 11, in f
2026-11-20 01:30:09,101 [worker-2]   File "/app/b.py", line 22, in g
2026-11-20 01:30:09,101 [worker-1]     one()
2026-11-20 01:30:09,101 [worker-2]     two()
2026-11-20 01:30:09,102 [worker-1] KeyError: 'first'
2026-11-20 01:30:09,102 [worker-2] OSError: second""",
        (r"a\.py\W+line 11[\s\S]{0,40}KeyError: 'first'", r"b\.py\W+line 22[\s\S]{0,40}OSError: second"),
        2,
    ),
    StackSample(
        "nest",
        ("[Nest] 1  - 11/20/2026, 1:30:00 AM     LOG [Orders] order {n} priced",),
        """[Nest] 1  - 11/20/2026, 1:30:09 AM   ERROR [ExceptionsHandler] no rate for SEK
Error: no rate for SEK
    at Rates.convert (/app/dist/rates.js:23:41)
    at async /app/node_modules/@nestjs/core/router/router-execution-context.js:46:28""",
        (r"no rate for SEK", r"rates\.js:23"),
    ),
    StackSample(
        "heroku-router",
        ("2026-11-20T01:30:00.{n}+00:00 app[web.1]: served {n}",),
        """2026-11-20T01:30:09.100+00:00 app[web.1]: /app/lib/rates.rb:31:in 'fetch': key not found: "SEK" (KeyError)
2026-11-20T01:30:09.100+00:00 app[web.1]: \tfrom /app/app.rb:12:in 'block in <main>'
2026-11-20T01:30:09.100+00:00 app[web.1]: \tfrom /app/vendor/bundle/ruby/3.3.0/gems/sinatra-4.0.0/lib/sinatra/base.rb:1804:in 'call'""",
        (r"key not found", r"rates\.rb:31"),
    ),
    StackSample(
        "vapor",
        ("[ INFO ] GET /items/{n} [request-id: 8C{n}] (Vapor/DefaultResponder.swift:70)",),
        "[ ERROR ] PSQLError(code: server, serverInfo: [sqlState: 53300, message: sorry, too many clients already]) [request-id: 8CFF] (App/Items.swift:44)",
        (r"too many clients", r"Items\.swift:44"),
    ),
    StackSample(
        "play",
        ("2026-11-20 01:30:00 INFO  application - item {n} read",),
        """2026-11-20 01:30:09 ERROR p.api.http.DefaultHttpErrorHandler - 

! @8a7b6c5d4 - Internal server error, for (GET) [/items/9] ->
 
play.api.UnexpectedException: Unexpected exception[NoSuchElementException: None.get]
\tat play.api.http.HttpErrorHandlerExceptions$.throwableToUsefulException(HttpErrorHandler.scala:381)
Caused by: java.util.NoSuchElementException: None.get
\tat scala.None$.get(Option.scala:627)
\tat controllers.Items.show(Items.scala:18)""",
        (r"None\.get", r"Items\.scala:18"),
        2,
    ),
)
