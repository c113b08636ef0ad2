"""HTTP front of the checkout service."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import quotes

REPORT_SECONDS = 5


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.reply(200, b"ok")
        else:
            self.reply(404, b"not found")

    def do_POST(self) -> None:
        basket = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.path.startswith("/quotes/"):
            self.reply(404, b"not found")
            return
        page = quotes.quote(self.path.rsplit("/", 1)[1], basket.get("items", []))
        self.reply(200, page[:2000])

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The platform logs requests."""


def report() -> None:
    while True:
        time.sleep(REPORT_SECONDS)
        print(f"quotes: {quotes.kept()} rendered pages kept in memory", flush=True)


if __name__ == "__main__":
    threading.Thread(target=report, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
