"""What a scripted server says: an answer as data, and the way it is put on the wire.

An `Answer` is honest until a quirk (quirks.py) is applied to it.
"""

import array
import dataclasses
import fcntl
import http
import json
import select
import socket
import struct
import termios
import threading
import time
from typing import Callable, Iterable


class Rate:
    """What a server gives in a second to all who ask, together."""

    def __init__(self, bytes_per_second: float):
        self._bytes_per_second, self._lock, self._free_at = bytes_per_second, threading.Lock(), 0.0

    def wait_for(self, count: int):
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self._bytes_per_second
            until = self._free_at
        time.sleep(max(0.0, until - time.monotonic()))


@dataclasses.dataclass
class Answer:
    status: int = 200
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    chunks: Iterable[bytes] | None = None     # the body, or none
    length: int | None = None                 # its length, where it is known
    offset: int = 0                           # where in the blob the body begins, when it is the answer to a Range
    total: int | None = None                  # the blob's size, likewise
    whole: "Callable[[], Answer] | None" = None  # what would have been the answer without a Range
    framing: str = "length"                   # length | chunked | close
    version: str = "HTTP/1.1"
    claimed_length: int | None = None         # what Content-Length says, where it lies
    flip_at: int | None = None                # offset in the blob of the byte that is wrong; negative: from its end
    cut_after: int | None = None              # bytes of this answer's body before the connection ends
    cut_how: str = "fin"                      # fin | rst | stream: of HTTP/2, that alone
    stall_after: int | None = None            # bytes of this answer's body before it waits for `gate`
    gate: threading.Event | None = None
    head_gate: threading.Event | None = None  # what the head waits for
    stall_seconds: float = 60
    bytes_per_second: float | None = None
    rate: "Rate | None" = None                # shared with other answers
    interim: int = 0                          # so many 103s before it
    head_in_bytes: bool = False               # the head in packets of one byte
    says_nothing: str = ""                    # not even a head: "silent" for ever, or the connection ends by "fin" | "rst"
    close: bool = False

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def set_header(self, name: str, value: str | None):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    def become(self, other: "Answer"):
        for field in dataclasses.fields(Answer):
            setattr(self, field.name, getattr(other, field.name))


def with_body(status: int, content_type: str, body: bytes, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [("Content-Type", content_type), *headers], [body], len(body))


def error(status: int, code: str, message: str = "", *headers: tuple[str, str]) -> Answer:
    """An OCI error (distribution-spec, "Error Codes")."""
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower(), "detail": None}]}).encode()
    return with_body(status, "application/json; charset=utf-8", body, *headers)


def xml(status: int, code: str, message: str) -> Answer:
    """An error as object storages have them."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return with_body(status, "application/xml", body.encode())


class Hangup(Exception):
    """The connection has to end now. `reset`: by RST."""

    def __init__(self, reset: bool = False):
        self.reset = reset


def send(connection: socket.socket, answer: Answer, has_body: bool, count: Callable[[int], None]):
    """Sends it. `count` is told the bytes of body as they go out. Raises Hangup where the connection has to end."""
    wait_for_head(connection, answer)
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * answer.interim)
    head = _head(answer)
    for piece in (head[i:i + 1] for i in range(len(head))) if answer.head_in_bytes else (head,):
        connection.sendall(piece)
    if has_body and answer.chunks is not None:
        send_body(connection, answer, count)
        if answer.framing == "chunked":
            connection.sendall(b"0\r\n\r\n")
    if answer.close or answer.framing == "close" or answer.claimed_length is not None or answer.version == "HTTP/1.0":
        raise Hangup


def _head(answer: Answer) -> bytes:
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Whatever"
    lines = [f"{answer.version} {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif answer.framing == "length" and (answer.length is not None or answer.claimed_length is not None):
        lines.append(f"Content-Length: {answer.length if answer.claimed_length is None else answer.claimed_length}")
    if answer.close or answer.framing == "close":
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def wait_for_head(connection: socket.socket, answer: Answer):
    """What comes before the head's first byte, or in its place."""
    if answer.head_gate:
        _wait(connection, answer.head_gate, answer.stall_seconds)
    if answer.says_nothing == "silent":
        _wait(connection, threading.Event(), answer.stall_seconds)
    if answer.says_nothing:
        raise Hangup(answer.says_nothing == "rst")


def send_body(connection: socket.socket, answer: Answer, count: Callable[[int], None]):
    flip_at = answer.flip_at
    if flip_at is not None:
        size = answer.total if answer.total is not None else answer.length or 0
        flip_at += (size if flip_at < 0 else 0) - answer.offset
    at, begun = 0, time.monotonic()
    for chunk in answer.chunks:
        if flip_at is not None and at <= flip_at < at + len(chunk):
            changed = bytearray(chunk)
            changed[flip_at - at] ^= 0x01
            chunk = changed
        chunk = memoryview(chunk)
        while chunk:
            _happen(connection, answer, at)
            piece, chunk = _next_piece(answer, at, chunk)
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.framing == "chunked" else piece)
            at += len(piece)
            count(len(piece))
            if answer.rate:
                answer.rate.wait_for(len(piece))
            if answer.bytes_per_second:
                time.sleep(max(0.0, begun + at / answer.bytes_per_second - time.monotonic()))
    _happen(connection, answer, at)


def _happen(connection: socket.socket, answer: Answer, at: int):
    """What was planned for this offset."""
    if at == answer.cut_after:
        raise Hangup(answer.cut_how == "rst")
    if at == answer.stall_after:
        answer.stall_after = None
        _wait(connection, answer.gate, answer.stall_seconds)


def _wait(connection: socket.socket, gate: threading.Event, seconds: float):
    """Until the gate is open. Hangs up when the time is over, or when the other side has gone: so that a test sees that."""
    hangups = select.poll()
    hangups.register(connection, select.POLLRDHUP)
    deadline = time.monotonic() + seconds
    while not gate.wait(0.02):
        if hangups.poll(0) or time.monotonic() > deadline:
            raise Hangup


def _next_piece(answer: Answer, at: int, chunk: memoryview) -> tuple[memoryview, memoryview]:
    """Splits off what may be sent before something has to happen."""
    most = max(1, int(answer.bytes_per_second / 50)) if answer.bytes_per_second else len(chunk)
    if answer.rate:
        most = min(most, 64 * 1024)
    for mark in (answer.cut_after, answer.stall_after):
        if mark is not None and at < mark:
            most = min(most, mark - at)
    return chunk[:most], chunk[most:]


def reset(connection: socket.socket):
    """Makes the close that follows an RST, once the other side has what was sent."""
    deadline = time.monotonic() + 30
    unsent = array.array("i", [1])
    while unsent[0] and time.monotonic() < deadline:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, unsent)
        time.sleep(0.005)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
