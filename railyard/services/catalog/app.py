"""HTTP front of the catalog service."""

import json
import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import catalog


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            status, body = self.answer()
        except Exception:
            traceback.print_exc(file=sys.stderr)
            status, body = 500, {"error": "internal error"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self) -> tuple[int, object]:
        if self.path == "/health":
            return 200, "ok"
        if self.path == "/products":
            return 200, catalog.overview()
        if self.path.startswith("/products/"):
            product = catalog.find(self.path.rsplit("/", 1)[1])
            return (404, {"error": "no such product"}) if product is None else (200, catalog.detail(product))
        return 404, {"error": "not found"}

    def log_message(self, format: str, *args: object) -> None:
        """The platform logs requests."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
