# ruff: noqa: E501 - lines as they are printed
"""Failing builds as the tools of many languages print them."""

from tests.unit.log_samples import Sample

BUILD_SAMPLES = (
    Sample(
        "pip-conflict",
        "build",
        """ERROR: Cannot install -r requirements.txt (line 3) and django==4.2 because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested django==4.2
    djangorestframework 3.16.0 depends on django>=5.1

To fix this you could try to:
1. loosen the range of package versions you've specified
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/""",
        ("conflicting dependencies", r"djangorestframework 3\.16\.0 depends on django>=5\.1"),
    ),
    Sample(
        "cargo",
        "build",
        """   Compiling quotes v0.1.0 (/app)
error[E0308]: mismatched types
  --> src/handlers/quote.rs:22:18
   |
22 |     let total: u64 = line.amount;
   |                ---   ^^^^^^^^^^^ expected `u64`, found `i64`
   |                |
   |                expected due to this

For more information about this error, try `rustc --explain E0308`.
error: could not compile `quotes` (bin "quotes") due to 1 previous error""",
        (r"error\[E0308\]: mismatched types", r"quote\.rs:22\b", "expected `u64`, found `i64`"),
    ),
    Sample(
        "go-build",
        "build",
        """# github.com/acme/router/internal/plan
internal/plan/pick.go:58:9: undefined: weights
internal/plan/pick.go:71:2: missing return""",
        (r"pick\.go:58:9: undefined: weights", r"pick\.go:71:2: missing return"),
    ),
    Sample(
        "maven",
        "build",
        """[INFO] -------------------------------------------------------------
[ERROR] COMPILATION ERROR :
[INFO] -------------------------------------------------------------
[ERROR] /app/src/main/java/com/acme/Billing.java:[41,23] cannot find symbol
[ERROR]   symbol:   method planOf(Account)
[ERROR]   location: class com.acme.Accounts
[INFO] BUILD FAILURE
[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.11.0:compile (default-compile) on project billing: Compilation failure""",
        (r"Billing\.java:\[41,23\] cannot find symbol", r"method planOf\(Account\)"),
    ),
    Sample(
        "gradle",
        "build",
        """> Task :app:compileKotlin FAILED
e: file:///app/src/main/kotlin/Billing.kt:33:17 Unresolved reference: planOf

FAILURE: Build failed with an exception.

* What went wrong:
Execution failed for task ':app:compileKotlin'.
> Compilation error. See log for more details

* Try:
> Run with --stacktrace option to get the stack trace.""",
        (r"Billing\.kt:33:17 Unresolved reference: planOf", "compileKotlin"),
    ),
    Sample(
        "next-build",
        "build",
        """Failed to compile.

./src/app/orders/page.tsx:14:27
Type error: Property 'totl' does not exist on type 'Order'. Did you mean 'total'?

  12 |   return (
  13 |     <ul>
> 14 |       <li>{order.totl}</li>
     |                           ^
  15 |     </ul>
Next.js build worker exited with code: 1 and signal: null""",
        (r"page\.tsx:14\b", "Property 'totl' does not exist"),
    ),
    Sample(
        "vite",
        "build",
        """x Build failed in 1.21s
error during build:
[vite]: Rollup failed to resolve import "lodash-es/debounce" from "/app/src/components/Search.vue".
This is most likely unintended because it can break your application at runtime.""",
        (r'failed to resolve import "lodash-es/debounce"', r"Search\.vue"),
    ),
    Sample(
        "webpack",
        "build",
        """ERROR in ./src/pages/Cart.jsx 4:0-38
Module not found: Error: Can't resolve './Price' in '/app/src/pages'
webpack 5.97.1 compiled with 1 error in 4102 ms""",
        (r"Can't resolve './Price'", r"Cart\.jsx"),
    ),
    Sample(
        "dockerfile-copy",
        "build",
        """ERROR: failed to build: failed to solve: failed to compute cache key: failed to calculate checksum of ref 7f1::abc: "/prisma": not found""",
        (r'"/prisma": not found',),
    ),
    Sample(
        "health-check",
        "build",
        """====================
Starting Healthcheck
====================
Path: /healthz
Retry window: 5m0s
Attempt #1 failed with service unavailable. Continuing to retry for 4m49s
Attempt #2 failed with service unavailable. Continuing to retry for 4m38s
1/1 replicas never became healthy!
Healthcheck failed!""",
        ("/healthz", "service unavailable", "Healthcheck failed"),
    ),
    Sample(
        "bundler",
        "build",
        """Bundler could not find compatible versions for gem "activesupport":
  In Gemfile:
    rails (~> 7.1) was resolved to 7.1.5, which depends on
      activesupport (= 7.1.5)
    paper_trail (= 10.0.0) was resolved to 10.0.0, which depends on
      activesupport (< 6.1)""",
        ('could not find compatible versions for gem "activesupport"', "paper_trail"),
    ),
    Sample(
        "nixpacks-missing-start",
        "build",
        """Nixpacks build failed
Error: No start command could be found""",
        ("No start command could be found",),
    ),
    Sample(
        "buildkit-prefix",
        "build",
        """#12 4.210 npm error code E404
#12 4.211 npm error 404 Not Found - GET https://registry.npmjs.org/@acme%2fui - Not found
#12 4.212 npm error 404  '@acme/ui@^2.0.0' is not in this registry.
#12 ERROR: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1""",
        ("E404", r"'@acme/ui@\^2\.0\.0' is not in this registry", "exit code: 1"),
    ),
    Sample(
        "eslint",
        "build",
        """/app/src/cart.js
  12:7  error  'totl' is not defined  no-undef

✖ 1 problem (1 error, 0 warnings)""",
        (r"src/cart\.js", "'totl' is not defined", r"12:7"),
    ),
    Sample(
        "pytest-in-build",
        "build",
        """=================================== FAILURES ===================================
______________________________ test_total_of_cart ______________________________
    def test_total_of_cart():
>       assert total([2, 3]) == 5
E       assert 6 == 5
tests/test_cart.py:14: AssertionError
FAILED tests/test_cart.py::test_total_of_cart - assert 6 == 5""",
        (r"tests/test_cart\.py:14", "test_total_of_cart", "assert 6 == 5"),
    ),
)
