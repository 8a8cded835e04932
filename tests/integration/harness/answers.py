"""What a scripted server says: an answer as data, the quirks that change it, and the way it is put on the wire.

An `Answer` is honest until a quirk is applied to it. Quirks are functions from an answer to nothing: they set fields. So
they add up: `quirks.chunked` and `quirks.cut(1000)` on one answer make a chunked body that ends after 1000 bytes.
"""

import array
import dataclasses
import fcntl
import gzip
import http
import json
import socket
import struct
import termios
import threading
import time
from typing import Callable, Iterator


@dataclasses.dataclass
class Answer:
    status: int = 200
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    chunks: Iterator[bytes] | None = None     # the body, or none
    length: int | None = None                 # its length, where it is known
    framing: str = "length"                   # length | chunked | close
    version: str = "HTTP/1.1"
    claimed_length: int | None = None         # what Content-Length says, where it lies
    flip_at: int | None = None                # offset of the byte that is not what it was; negative: from the end
    cut_after: int | None = None              # bytes of body before the connection ends
    cut_how: str = "fin"                      # fin | rst
    stall_after: int | None = None            # bytes of body before it waits for `gate`
    gate: threading.Event | None = None
    stall_seconds: float = 60
    bytes_per_second: float | None = None
    silent: bool = False                      # not even a head
    close: bool = False

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def set_header(self, name: str, value: str | None):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


def with_body(status: int, content_type: str, body: bytes, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [("Content-Type", content_type), *headers], iter([body]), len(body))


def error(status: int, code: str, message: str = "", *headers: tuple[str, str]) -> Answer:
    """An OCI error (distribution-spec, "Error Codes")."""
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower(), "detail": None}]}).encode()
    return with_body(status, "application/json; charset=utf-8", body, *headers)


# ---- quirks: each returns a function that changes an answer

Quirk = Callable[[Answer], None]


def cut(after: int, how: str = "fin") -> Quirk:
    """Ends the connection after so many bytes of body, politely (fin) or not (rst)."""
    return lambda a: (setattr(a, "cut_after", after), setattr(a, "cut_how", how))


def flip(at: int) -> Quirk:
    """One wrong byte, the length and everything else right."""
    return lambda a: setattr(a, "flip_at", at)


def stall(after: int, gate: threading.Event, seconds: float = 60) -> Quirk:
    """Sends so many bytes of body, then nothing until `gate` is set (or the seconds are over: then it cuts)."""
    return lambda a: (setattr(a, "stall_after", after), setattr(a, "gate", gate), setattr(a, "stall_seconds", seconds))


def trickle(bytes_per_second: float) -> Quirk:
    return lambda a: setattr(a, "bytes_per_second", bytes_per_second)


def claim_length(length: int) -> Quirk:
    """A Content-Length that is not the body's."""
    return lambda a: setattr(a, "claimed_length", length)


def chunked() -> Quirk:
    return lambda a: setattr(a, "framing", "chunked")


def until_close(version: str = "HTTP/1.1") -> Quirk:
    """No length: the body ends where the connection does."""
    return lambda a: (setattr(a, "framing", "close"), setattr(a, "version", version))


def add_header(name: str, value: str | None) -> Quirk:
    """Sets a header; None removes it."""
    return lambda a: a.set_header(name, value)


def silence() -> Quirk:
    """Takes the request and says nothing at all, for as long as the other side cares to wait."""
    return lambda a: setattr(a, "silent", True)


def instead(make: Callable[[], Answer]) -> Quirk:
    """Another answer altogether."""
    def change(answer: Answer):
        other = make()
        for field in dataclasses.fields(Answer):
            setattr(answer, field.name, getattr(other, field.name))
    return change


def html() -> Quirk:
    """What a captive portal or a login page says: 200, and not a word of it is meant for us."""
    return instead(lambda: with_body(200, "text/html; charset=utf-8", b"<html><body>Please log in</body></html>"))


def failing(status: int, code: str = "UNKNOWN", retry_after: int | None = None) -> Quirk:
    headers = [("Retry-After", str(retry_after))] if retry_after is not None else []
    return instead(lambda: error(status, code, http.HTTPStatus(status).phrase, *headers))


def plain_text(status: int, text: str) -> Quirk:
    return instead(lambda: with_body(status, "text/plain", text.encode()))


def gzip_encoded() -> Quirk:
    """The body compressed on the way, as a helpful middle box does, asked or not."""
    def change(answer: Answer):
        packed = gzip.compress(b"".join(answer.chunks or ()), 1)
        answer.chunks, answer.length = iter([packed]), len(packed)
        answer.set_header("Content-Encoding", "gzip")
    return change


def partial_unasked() -> Quirk:
    """206 to a request that asked for everything."""
    def change(answer: Answer):
        answer.status = 206
        answer.set_header("Content-Range", f"bytes 0-{(answer.length or 1) - 1}/{answer.length}")
    return change


def redirect(location: str | Callable[[], str], status: int = 307) -> Quirk:
    """To another place, as registries send blobs to their storage. Who may not have it is still refused first."""
    def change(answer: Answer):
        if answer.status < 300:
            instead(lambda: Answer(status, [("Location", location() if callable(location) else location)], None, 0))(answer)
    return change


# ---- putting it on the wire

class Hangup(Exception):
    """The connection has to end now. `reset`: by RST."""

    def __init__(self, reset: bool = False):
        self.reset = reset


def send(connection: socket.socket, answer: Answer, has_body: bool, count: Callable[[int], None]):
    """Sends it. `count` is told the bytes of body as they go out. Raises Hangup where the connection has to end."""
    if answer.silent:
        connection.settimeout(answer.stall_seconds)
        try:
            connection.recv(1)
        except OSError:
            pass
        raise Hangup
    connection.sendall(_head(answer))
    if has_body and answer.chunks is not None:
        _send_body(connection, answer, count)
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


def _send_body(connection: socket.socket, answer: Answer, count: Callable[[int], None]):
    flip_at = answer.flip_at
    if flip_at is not None and flip_at < 0:
        flip_at += answer.length or 0
    at, begun = 0, time.monotonic()
    for chunk in answer.chunks:
        if flip_at is not None and at <= flip_at < at + len(chunk):
            changed = bytearray(chunk)
            changed[flip_at - at] ^= 0x01
            chunk = bytes(changed)
        while chunk:
            _happen(answer, at)
            piece, chunk = _next_piece(answer, at, chunk)
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.framing == "chunked" else piece)
            at += len(piece)
            count(len(piece))
            if answer.bytes_per_second:
                time.sleep(max(0.0, begun + at / answer.bytes_per_second - time.monotonic()))
    _happen(answer, at)


def _happen(answer: Answer, at: int):
    """What was planned for this offset."""
    if at == answer.cut_after:
        raise Hangup(answer.cut_how == "rst")
    if at == answer.stall_after:
        answer.stall_after = None
        if not answer.gate.wait(answer.stall_seconds):
            raise Hangup


def _next_piece(answer: Answer, at: int, chunk: bytes) -> tuple[bytes, bytes]:
    """Splits off what may be sent before something has to happen."""
    most = max(1, int(answer.bytes_per_second / 50)) if answer.bytes_per_second else len(chunk)
    for mark in (answer.cut_after, answer.stall_after):
        if mark is not None and at < mark:
            most = min(most, mark - at)
    return chunk[:most], chunk[most:]


def reset(connection: socket.socket):
    """Makes the close that follows an RST, once the other side has what was sent."""
    deadline = time.monotonic() + 5
    unsent = array.array("i", [1])
    while unsent[0] and time.monotonic() < deadline:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, unsent)
        time.sleep(0.005)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
