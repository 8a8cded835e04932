"""A small HTTP server on raw sockets that records what it sees. The scripted upstream, the storage host and the token
service are made of it. One thread per connection, HTTP/1.1 with keep-alive, loopback only, TLS when given a certificate, and then
HTTP/2 where that is asked for.

It knows less than a real server: no request bodies beyond a Content-Length, no pipelining, no Expect, no trailers.
"""

import dataclasses
import itertools
import pathlib
import socket
import ssl
import threading
import time
import urllib.parse

from . import answers
from .certificates import Certificate

_MAX_HEAD = 64 * 1024


@dataclasses.dataclass
class Seen:
    """A request as it came in."""
    method: str
    target: str
    headers: list[tuple[str, str]]
    connection: int               # which connection it came on, counted from 1
    at: float                     # time.monotonic()
    body: bytes = b""
    status: int = 0               # of the answer; 0: none was sent
    sent: int = 0                 # bytes of body that went out
    ended: bool = False
    client: str = ""              # whom the client's certificate is for
    version: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        return urllib.parse.unquote(self.target.split("?")[0])

    @property
    def query(self) -> dict[str, list[str]]:
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query)

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def text(self) -> str:
        """All of it, for looking for what must not be in it."""
        return "\n".join([f"{self.method} {self.target}", *(f"{k}: {v}" for k, v in self.headers),
                          self.body.decode(errors="replace")])


class Server:
    """Subclasses say what to answer in `answer(seen)`."""

    def __init__(self, tls: Certificate | None = None, name: str = "127.0.0.1", at: tuple[str, int] = ("127.0.0.1", 0)):
        """`name` is what URLs call it; `at` where it listens."""
        self.requests: list[Seen] = []
        self.connections = 0
        self.failures: list[str] = []   # what went wrong in here; tests look at it when they end
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopping = False
        self.idle_seconds = 120.0       # how long a connection may wait for its next request
        self._tls = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # it has what a test gives it, weak ones too
            self._tls.load_cert_chain(tls.certificate, tls.key)
            self._tls.set_alpn_protocols(["http/1.1"])
        self._listener = _listen(at)
        self.name = name
        self._at = self._listener.getsockname()[:2]
        self.port = self._at[1]
        self.address = name if self.port == (443 if tls else 80) else f"{name}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, seen: Seen) -> answers.Answer:
        raise NotImplementedError

    def is_recorded(self, seen: Seen) -> bool:
        return True

    def ask_for_certificates(self, ca_file: pathlib.Path, must_have_one: bool):
        """From now on, of clients: of this authority."""
        self._tls.verify_mode = ssl.CERT_REQUIRED if must_have_one else ssl.CERT_OPTIONAL
        self._tls.load_verify_locations(ca_file)

    def offer_http2(self):
        """From now on, to clients that want it."""
        self._tls.set_alpn_protocols(["h2", "http/1.1"])

    def seen(self, method: str | None = None, containing: str = "") -> list[Seen]:
        with self._lock:
            return [r for r in self.requests if method in (None, r.method) and containing in r.path]

    def forget(self):
        """Drops what was recorded so far."""
        with self._lock:
            self.requests.clear()

    def stop(self):
        self._stopping = True
        self.stop_listening()

    def stop_listening(self):
        """As if the program had ended: connections are cut off, new ones refused."""
        _quietly(self._listener.shutdown, socket.SHUT_RDWR)  # wakes who waits in accept
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            _quietly(connection.shutdown, socket.SHUT_RDWR)

    def listen_again(self):
        """On the same port."""
        self._listener = _listen(self._at)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _accept(self):
        for number in itertools.count(1):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections = number
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.idle_seconds)
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True)
            with self._lock:
                self._open.add(connection)
            self._converse(connection, number)
        except answers.Hangup as hangup:
            if hangup.reset:
                _quietly(answers.reset, connection)
            else:
                _quietly(connection.shutdown, socket.SHUT_WR)
        except OSError:
            pass
        except Exception as failure:  # a bug in a test's script must not pass for a fault of the network
            self.failures.append(repr(failure))
            raise
        finally:
            with self._lock:
                self._open.discard(connection)
            _quietly(connection.close)

    def _converse(self, connection: socket.socket, number: int):
        version, talk = self._talk_on(connection)
        while not self._stopping and (request := talk.next_request()):
            method, target, headers, body = request
            seen = Seen(method, target, headers, number, time.monotonic(), body, version=version)
            if self._tls and (certificate := connection.getpeercert()):
                seen.client = dict(field for part in certificate["subject"] for field in part)["commonName"]
            if self.is_recorded(seen):
                with self._lock:
                    self.requests.append(seen)
            try:
                answer = self.answer(seen)
                seen.status = 0 if answer.says_nothing else answer.status
                has_body = seen.method != "HEAD" and answer.status not in (204, 304)
                talk.send(answer, has_body, lambda n: setattr(seen, "sent", seen.sent + n))
            finally:
                seen.ended = True
            if (seen.header("Connection") or "").lower() == "close":
                return

    def _talk_on(self, connection: socket.socket):
        if not self._tls or connection.selected_alpn_protocol() != "h2":
            return "HTTP/1.1", _Http1(connection)
        from . import http2  # what it needs is no part of Python
        return "HTTP/2", http2.Talk(connection)


def _listen(at: tuple[str, int]) -> socket.socket:
    return socket.create_server(at, backlog=512, family=socket.AF_INET6 if ":" in at[0] else socket.AF_INET)


class _Http1:
    def __init__(self, connection: socket.socket):
        self._connection, self._rest = connection, b""

    def next_request(self) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
        """Method, target, headers and body. None when the client has gone."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            more = self._connection.recv(65536)
            if not more or len(data) > _MAX_HEAD:
                return None
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = [(k.strip(), v.strip()) for k, v in (line.split(":", 1) for line in lines[1:])]
        length = int(next((value for name, value in headers if name.lower() == "content-length"), 0))
        while len(data) < length:
            more = self._connection.recv(65536)
            if not more:
                return None
            data += more
        self._rest = data[length:]
        return method, target, headers, data[:length]

    def send(self, answer: answers.Answer, has_body: bool, count):
        answers.send(self._connection, answer, has_body, count)


def _quietly(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass
