"""HTTP front of the reports service."""

import json
import os
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orders

DATABASE = os.environ.get("DATABASE", "orders.db")
# Nobody waits longer: work that goes on would only slow the next requests down.
TIMEOUT_SECONDS = 30


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = self.answer()
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self) -> tuple[int, object]:
        if self.path == "/health":
            return 200, "ok"
        if self.path.startswith("/reports/customers/"):
            connection = sqlite3.connect(DATABASE)
            until = time.monotonic() + TIMEOUT_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > until, 100_000)
            try:
                return 200, orders.report(connection, int(self.path.rsplit("/", 1)[1]))
            finally:
                connection.close()
        return 404, {"error": "not found"}

    def log_message(self, format: str, *args: object) -> None:
        """The platform logs requests."""


if __name__ == "__main__":
    rows = orders.prepare(DATABASE)
    print(f"orders: {rows} rows", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
