"""A small HTTP service: `/health` says ok, every other page says which version this is. Standard library only.

Environment: VERSION, what to say; START_S, for how many seconds it says that it is still starting (default 0.3).
"""

import argparse
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("VERSION", "v1")
READY_AT = time.monotonic() + float(os.environ.get("START_S", "0.3"))


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = time.monotonic() >= READY_AT
        text = "ok" if self.path == "/health" else f"hello from {VERSION}\n"
        body = (text if ready else "starting\n").encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Health checks every second would only fill the disk."""


def main() -> None:
    arguments = argparse.ArgumentParser(description="A small HTTP service.")
    arguments.add_argument("--port", type=int, required=True)
    port = arguments.parse_args().port
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ThreadingHTTPServer(("127.0.0.1", port), Pages)
    sys.stdout.write(f"{VERSION} listens on port {port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
