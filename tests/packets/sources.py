"""The source of small services: one template, and the few lines that make each what it is."""

TEMPLATE = """import json
import os
import sqlite3
import sys
import threading
import time
import traceback
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

{before}

def answer(path):
{body}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = answer(self.path)
        except Exception:
            traceback.print_exc()
            status, text = 500, "internal error"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


def main():
    port = {port}
    print("listening on", port)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
"""
GIVEN_PORT = 'int(os.environ["PORT"])'


def source(before: str = "", body: str = 'return 200, "ok"', port: str = GIVEN_PORT) -> str:
    """`before`: statements of the module; `body`: of `answer(path)`, which returns status and text."""
    indented = "\n".join(f"    {line}" if line else "" for line in body.strip("\n").split("\n"))
    return TEMPLATE.format(before=before.strip("\n") + "\n", body=indented, port=port)


WELL = source()

LEAK = source(
    "SEEN = []",
    """
SEEN.append(path + "x" * 400_000)  # for the statistics of the month
return 200, str(len(SEEN))
""",
)
QUOTES = "PRICES = {'1': 10, '2': 20, '3': 30}"
QUOTE_OK = source(
    QUOTES,
    """
if path.startswith("/quote/"):
    return 200, str(PRICES.get(path.rsplit("/")[-1], 0) * 2)
return 200, "ok"
""",
)
QUOTE_BROKEN = source(
    QUOTES,
    """
if path.startswith("/quote/"):
    return 200, str(PRICES[path.rsplit("/")[-1]] * 2)
return 200, "ok"
""",
)
ORDERS = """
def disk(value):
    time.sleep(0.001)  # a page of the table comes from disk
    return value

def store():
    connection = sqlite3.connect("orders.db")
    connection.create_function("disk", 1, disk)
    return connection

with store() as fresh:
    fresh.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT)")
    fresh.executemany("INSERT INTO orders (customer) VALUES (?)", [(f"c{n % 50}",) for n in range(1300)])
"""
SLOW_QUERY = source(
    ORDERS,
    """
began = time.monotonic()
rows = store().execute("SELECT id FROM orders WHERE disk(customer) = 'c7'").fetchall()
print(f"query SELECT id FROM orders WHERE customer = ? took {(time.monotonic() - began) * 1000:.0f} ms")
return 200, str(len(rows))
""",
)
N_PLUS_ONE = source(
    """
LINES = {n: f"line {n}" for n in range(150)}

def query(statement, number):
    time.sleep(0.008)  # a round trip to the database
    return LINES[number]
""",
    """
began = time.monotonic()
lines = [query("SELECT text FROM line WHERE id = ?", number) for number in LINES]
print(f"GET {path}: {len(lines)} queries in {(time.monotonic() - began) * 1000:.0f} ms")
return 200, ",".join(lines)
""",
)
LOCKED = source(
    """
LOCK = threading.Lock()
COUNTS = {}
""",
    """
began = time.monotonic()
with LOCK:  # the whole request, although only the counter needs it
    waited = time.monotonic() - began
    time.sleep(0.3)  # renders the page
    COUNTS[path] = COUNTS.get(path, 0) + 1
if waited > 0.5:
    print(f"waited {waited:.2f} s for the lock of the counters")
return 200, "ok"
""",
)
THREADS = source(
    """
def audit(entry):
    kept = bytearray(300_000)
    time.sleep(3600)  # until the audit server answers
    del kept, entry
""",
    """
threading.Thread(target=audit, args=(path,), daemon=True).start()
if threading.active_count() % 50 == 0:
    print(f"{threading.active_count()} threads are running")
return 200, "ok"
""",
)
FLOOD = source(
    """
def chatter():
    number = 0
    while True:
        number += 1
        print(f"DEBUG cache: looked up key session:{number} in bucket {number % 16}: hit")
        time.sleep(0.005)

threading.Thread(target=chatter, daemon=True).start()
TAX = {"de": 0.19, "fr": 0.2}
""",
    """
if path.startswith("/tax/"):
    return 200, str(TAX["at" if path.endswith(("4", "7")) else "de"])
return 200, "ok"
""",
)
OOM_LOOP = source(
    "CHUNKS = []",
    """
CHUNKS.append(bytearray(4_000_000))  # uploads are kept until they are complete, which they never are
return 200, str(len(CHUNKS))
""",
)
WORKER_LEAK = source(
    """
DONE = []

def work():
    while True:
        DONE.append("result" * 60_000)
        if len(DONE) % 20 == 0:
            print(f"{len(DONE)} jobs done, {len(DONE)} results kept")
        time.sleep(0.2)

threading.Thread(target=work, daemon=True).start()
"""
)
SETTINGS_READ = source(
    'SETTINGS = json.load(open("settings.json"))',
    """
if path.startswith("/search"):
    page = int(SETTINGS["page_size"])
    return 200, str(1000 // page)
return 200, "ok"
""",
)
NO_VARIABLE = source(
    "",
    """
if path.startswith("/mail"):
    return 200, "sent by " + os.environ["SMTP_HOST"]
return 200, "ok"
""",
)
DIES_AT_START = source('DSN = os.environ["DATABASE_URL"]')
FIXED_PORT = source(port="47811")
BROKEN_IMPORT = "import reportz\n" + source()
BUSY = source(
    "",
    """
until = time.process_time() + 0.03  # resizes an image
while time.process_time() < until:
    pass
return 200, "ok"
""",
)
WARM_UP = source(
    """
CACHE = {}
""",
    """
key = path.rsplit("/")[-1]
if key not in CACHE:
    CACHE[key] = bytearray(200_000)
return 200, str(len(CACHE))
""",
)
ALWAYS_FAILS = source(
    "",
    """
raise RuntimeError("cannot write the report: no such table: report")
""",
)
SOME_FAIL = source(
    "",
    """
if path.endswith(("1", "2")):
    raise RuntimeError("cannot parse the upstream's answer")
return 200, "ok"
""",
)
PAYMENTS = source(
    """
# The provider is reached through the company's proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({"http": sys.argv[1]}))
URL = "http://api.stripe.com/v1/charges"
""",
    """
if not path.startswith("/pay"):
    return 200, "ok"
try:
    with OPENER.open(URL, timeout=5) as reply:
        return 200, reply.read().decode()
except OSError as error:
    print(f"POST {URL} failed: {error}", file=sys.stderr)
    return 502, "payment provider unavailable"
""",
)
HELD_TABLE = source(
    """
# All prices of the world are held in memory: the service is made for speed.
LIMIT = 120_000_000
TABLE = []

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

while resident() < 0.982 * LIMIT:
    TABLE.append(bytearray(100_000))
print(f"{len(TABLE)} blocks of prices loaded")
"""
)
SLOW_STORE = source(
    """
with open(sys.argv[1], "w") as address:
    address.write(os.environ["PORT"])
""",
    """
time.sleep(1.6)  # the disk is worn
print("LOG: duration: 1600 ms  statement: SELECT * FROM items")
return 200, "rows"
""",
)
HUNG_STORE = source(
    """
with open(sys.argv[1], "w") as address:
    address.write(os.environ["PORT"])
HANGS_FROM = time.monotonic() + 26
""",
    """
if time.monotonic() > HANGS_FROM:
    time.sleep(60)  # a lock that nobody gives back
return 200, "rows"
""",
)
IMPATIENT = source(
    """
def store():
    with open(sys.argv[1]) as address:
        return "http://127.0.0.1:" + address.read()
""",
    """
with urllib.request.urlopen(store() + "/carts", timeout=1.5) as reply:
    return 200, reply.read().decode()
""",
)
CALLER = source(
    """
def store():
    with open(sys.argv[1]) as address:
        return "http://127.0.0.1:" + address.read()
""",
    """
with urllib.request.urlopen(store() + "/items", timeout=20) as reply:
    return 200, reply.read().decode()
""",
)
SITE = source(
    "",
    """
if path.startswith(("/wp-", "/.env", "/phpmyadmin")):
    return 404, "not found"
return 200, "ok"
""",
)
ERROR_PAGE = source(
    """
# A service to test clients with: /status/<code> answers with that code, on purpose.
""",
    """
if path.startswith("/status/"):
    code = int(path.rsplit("/")[-1])
    print(f"answering {code} as asked")
    return code, f"you asked for {code}"
return 200, "ok"
""",
)
UPLOADS = source(
    """
os.makedirs("data", exist_ok=True)
with open("data/uploads", "wb") as store:
    store.write(bytes(58_000_000))  # what customers have uploaded in a year
""",
    """
with open("data/uploads", "ab") as store:
    store.write(bytes(1000))
return 200, "stored"
""",
)
