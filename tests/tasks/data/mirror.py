"""A server on this machine that answers as mirrors of data sets do, well or badly."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass(frozen=True)
class Answer:
    """What the server says to one request.

    Attributes:
        content: The whole file.
        status: Status of an answer to a request for the whole file; 0 hangs up without an answer.
        content_type: Type that it claims.
        knows_range: Whether it sends the rest only when it is asked to.
        shift: Bytes by which it misses the beginning of the range that it is asked for.
        breaks_after: Bytes after which it closes the connection.
        stalls: Whether it keeps the connection open, and silent, instead.
    """

    content: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    knows_range: bool = True
    shift: int = 0
    breaks_after: int | None = None
    stalls: bool = False


@dataclass
class Mirror:
    """The answers of each path, in turn; the last one is repeated. `requests` holds path and range of all requests."""

    address: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return self.address + path


@contextmanager
def serve() -> Iterator[Mirror]:
    ended = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers["Range"]
            mirror.requests.append((self.path, asked))
            answers = mirror.answers[self.path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if not answer.status:
                return
            start, total = 0, len(answer.content)
            if asked and answer.knows_range and answer.status == 200:
                start = int(asked.removeprefix("bytes=").removesuffix("-")) + answer.shift
            if start and start >= total:
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206 if start else answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(total - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.end_headers()
            self.wfile.write(answer.content[start:][: answer.breaks_after])
            if answer.stalls:
                ended.wait()

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror = Mirror(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield mirror
        ended.set()
        server.shutdown()
        thread.join()
