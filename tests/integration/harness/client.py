"""An HTTP client that hashes every body it gets.

The first promise of entrepot is that no answer that looks complete holds wrong bytes. So this client judges every body of
a blob or manifest against the digest it was asked by (and the one the answer claims), whatever the test is about, and
counts. The counts go to build/test-results; tools/test adds them up and fails the run when there was one.
"""

import atexit
import concurrent.futures
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import threading
import time
import urllib.parse

from . import paths

ACCEPT = ", ".join(("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.docker.distribution.manifest.list.v2+json",
                    "application/vnd.docker.distribution.manifest.v2+json"))
_PIECE = 256 * 1024
_OBJECT = re.compile(r"/(blobs|manifests)/([^/?]+)")
_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")


class Tally:
    """Counts bodies: complete and right, complete and wrong, cut short."""

    def __init__(self, folder: pathlib.Path | None):
        self._lock = threading.Lock()
        self._folder = folder
        self.right = self.wrong = self.cut = 0
        self.details: list[str] = []
        if folder:
            atexit.register(self.save)

    def add(self, verdict: str, detail: str = ""):
        with self._lock:
            setattr(self, verdict, getattr(self, verdict) + 1)
            if verdict == "wrong":
                self.details.append(detail)
        if verdict == "wrong" and self._folder:
            self.save()

    def save(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"bodies-{os.getpid()}.json").write_text(json.dumps(
            {"right": self.right, "wrong": self.wrong, "cut": self.cut, "details": self.details}))


TALLY = Tally(paths.RESULTS)


@dataclasses.dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes | None           # None where only the hash was asked for
    size: int
    digest: str                  # of the body as it came
    complete: bool               # it looked whole to a client
    error: str = ""
    seconds_to_head: float = 0.0

    def header(self, name: str) -> str:
        return self.headers.get(name) or ""

    @property
    def cache_status(self) -> str:
        return self.header("Cache-Status")

    def json(self):
        return json.loads(self.body)


class Client:
    """Talks to one server, a new connection for each request unless `keep` is set. Safe for threads unless it is."""

    def __init__(self, url: str, *, ca_file=None, tally: Tally = TALLY, truth=None, keep: bool = False, source: str = ""):
        """`truth` is a Content: with it, ranges are judged too. `source`: the address to come from."""
        self._url = urllib.parse.urlsplit(url)
        self._source = (source, 0) if source else None
        self._tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
        self._tally, self._truth, self._keep, self._kept = tally, truth, keep, None

    def connect(self, seconds: float = 60) -> http.client.HTTPConnection:
        seconds = paths.patience(seconds)
        if self._url.scheme == "unix":
            return _UnixConnection(self._url.path, seconds)
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(self._url.hostname, self._url.port, timeout=seconds, context=self._tls,
                                               source_address=self._source)
        return http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=seconds, source_address=self._source)

    def get(self, target: str, **options) -> Reply:
        return self.request("GET", target, **options)

    def head(self, target: str, **options) -> Reply:
        return self.request("HEAD", target, **options)

    def attempt(self, target: str, **options) -> Reply | None:
        """A GET; nothing when the server has gone before it gave a head."""
        try:
            return self.get(target, **options)
        except (OSError, http.client.HTTPException):
            return None

    def request(self, method: str, target: str, *, headers=None, body=None, keep_body=None, on_bytes=None,
                stop_after: int | None = None, receive_buffer: int | None = None) -> Reply:
        """`keep_body` defaults to yes for anything that is not a blob. `on_bytes(total)` is called as bytes arrive, and
        hangs up by returning True; `stop_after` hangs up once so many have. `receive_buffer` keeps the kernel from
        reading ahead, for slow clients."""
        if keep_body is None:
            keep_body = "/blobs/" not in target
        connection = self._kept or self.connect()
        self._kept = None
        if receive_buffer:
            connection.connect()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        begun = time.monotonic()
        fields = {"Accept": ACCEPT, **(headers or {})}
        connection.request(method, target, body=body, headers=fields)
        response = connection.getresponse()
        to_head = time.monotonic() - begun
        algorithm = "sha512" if _asked(target).startswith("sha512:") else "sha256"
        piece = min(_PIECE, receive_buffer or _PIECE, stop_after or _PIECE)
        reply = _read(response, algorithm, keep_body, on_bytes, stop_after, piece)
        reply.seconds_to_head = to_head
        if self._keep and reply.complete and not response.will_close:
            self._kept = connection
        else:
            connection.close()
        if method == "GET" and stop_after is None and reply.error != "hung up":
            self._judge(target, reply)
        return reply

    def _judge(self, target: str, reply: Reply):
        asked = _asked(target)
        if not asked or reply.status not in (200, 206):
            return
        if not reply.complete:
            self._tally.add("cut")
            return
        wanted = asked if _DIGEST.match(asked) else reply.header("Docker-Content-Digest")
        claimed = reply.header("Docker-Content-Digest") or wanted
        if reply.status == 206:
            right = self._range_is_right(reply, wanted)
        else:
            right = claimed == wanted == reply.digest
        self._tally.add("right" if right else "wrong", f"{target}: {reply.size} bytes hash to {reply.digest}, "
                                                       f"asked for {wanted}, answer claims {claimed}")

    def _range_is_right(self, reply: Reply, wanted: str) -> bool:
        place = re.match(r"bytes (\d+)-(\d+)/(\d+)$", reply.header("Content-Range"))
        if not place or not self._truth or not self._truth.has(wanted):
            return True
        first, last, total = map(int, place.groups())
        if self._truth.size(wanted) != total or reply.size != last + 1 - first:
            return False
        return self._truth.slice_digest(wanted, first, last) == reply.digest


def _asked(target: str) -> str:
    """The tag or digest that a target names, "" when it names no object; a client may write a digest's colon as %3A."""
    found = _OBJECT.search(urllib.parse.unquote(target))
    return found.group(2) if found else ""


def _read(response, algorithm, keep_body, on_bytes, stop_after, most) -> Reply:
    digest, size, kept, error, complete = hashlib.new(algorithm), 0, [], "", True
    expected = None if response.chunked else response.length  # None: until the last chunk or the connection's end
    piece = response.read1 if response.chunked else response.fp and response.fp.read1
    try:
        while (stop_after is None or size < stop_after) and size != expected:
            data = piece(most if expected is None else min(most, expected - size))
            if not data:
                break
            digest.update(data)
            size += len(data)
            if keep_body:
                kept.append(data)
            if on_bytes and on_bytes(size) is True:
                error, complete = "hung up", False
                break
        if not error and expected is not None and size != expected:
            complete, error = False, f"{size} of {expected} bytes"
    except (OSError, http.client.HTTPException, ValueError) as failure:
        complete, error = False, repr(failure)
    response.close()
    return Reply(response.status, response.headers, b"".join(kept) if keep_body else None, size,
                 f"{algorithm}:{digest.hexdigest()}", complete, error)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float):
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def at_once(calls) -> list:
    """Runs the calls each in a thread of its own, all let go at the same moment; their results in order."""
    calls = list(calls)
    barrier = threading.Barrier(len(calls))

    def start(call):
        barrier.wait()
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(start, call) for call in calls]]
