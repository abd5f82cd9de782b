"""A small HTTP service for tests: `service.py PORT FOLDER`.

It answers GET /health with what FOLDER/health says, notes every call and TERM in FOLDER/calls, and treats POSTs as
FOLDER/behaviour says: quits, stays, or refuses (404).
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[2])


def note(line: str) -> None:
    with (FOLDER / "calls").open("a") as f:
        f.write(line + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open, as with most servers

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        note(f"GET {self.path}")
        self.answer(200, (FOLDER / "health").read_bytes())

    def do_POST(self) -> None:
        note(f"POST {self.path}")
        behaviour = (FOLDER / "behaviour").read_text()
        self.answer(404 if behaviour == "refuses" else 200, b"")
        if behaviour == "quits":
            os._exit(0)

    def log_message(self, *_: object) -> None:
        pass


def ended(*_: object) -> None:
    note("TERM")
    os._exit(0)


signal.signal(signal.SIGTERM, ended)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
