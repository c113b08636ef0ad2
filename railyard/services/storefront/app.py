"""HTTP front of the storefront service."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pages


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = self.answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self) -> tuple[int, bytes]:
        if self.path in ("/", "/health"):
            return 200, b"welcome"
        if self.path.startswith("/pages/"):
            return 200, pages.page(int(self.path.rsplit("/", 1)[1]))[:2000]
        return 404, b"not found"

    def log_message(self, format: str, *args: object) -> None:
        """The platform logs requests."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
