"""What lies between the gateway and Roundup in these tests: passes each request on, remembers it, and can keep an answer back."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Passed:
    """One request as Roundup got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass
class Hold:
    """Keeps every change from its end: its answer, or (where its body holds `unsent`) the change itself."""

    unsent: bytes
    held: list[Passed] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class Wire:
    """A listener on the loopback address in front of Roundup's own."""

    def __init__(self, upstream_port: int) -> None:
        self.passed: list[Passed] = []
        self.hold: Hold | None = None
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                wire._pass_on(self, upstream_port)

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):  # any method
                    return self.pass_on
                raise AttributeError(name)

            def log_message(self, *_: object) -> None:
                """Nothing: a test's output is its failures."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def listening(self) -> Iterator[list[Passed]]:
        """Gives what passes within the block."""
        start = len(self.passed)
        heard: list[Passed] = []
        yield heard
        heard.extend(self.passed[start:])

    @contextmanager
    def holding(self, unsent: str) -> Iterator[Hold]:
        """Holds every change within the block; reads pass."""
        self.hold = hold = Hold(unsent.encode())
        try:
            yield hold
        finally:
            self.hold = None
            hold.released.set()

    def _pass_on(self, handler: BaseHTTPRequestHandler, port: int) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        method = handler.command
        passed = Passed(method, handler.path, headers, body)
        hold = self.hold if method != "GET" else None
        if hold is not None and hold.unsent in body:
            return self._keep(handler, hold, passed)
        self.passed.append(passed)
        onward = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        onward.request(
            method, handler.path, body or None, {n: v for n, v in headers.items() if n != "connection"}
        )
        answer = onward.getresponse()
        said = answer.read()
        onward.close()
        if hold is not None:
            return self._keep(handler, hold, passed)
        handler.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)
        return None

    def _keep(self, handler: BaseHTTPRequestHandler, hold: Hold, passed: Passed) -> None:
        hold.held.append(passed)
        hold.released.wait(60)
        handler.close_connection = True  # whoever asked is gone
