"""What may be wrong with an answer. A quirk is a function from an answer to nothing: it sets fields. So quirks add up:
`quirks.chunked()` and `quirks.cut(1000)` on one answer make a chunked body that ends after 1000 bytes."""

import gzip
import http
import threading
from typing import Callable

from . import answers
from .answers import Answer

Quirk = Callable[[Answer], None]


# ---- the transfer

def cut(after: int, how: str = "fin") -> Quirk:
    """Ends the connection after so many bytes of this answer's body, politely (fin) or not (rst); or the stream alone, where the
    connection is one of HTTP/2."""
    return lambda a: (setattr(a, "cut_after", after), setattr(a, "cut_how", how))


def stall(after: int, gate: threading.Event, seconds: float = 60) -> Quirk:
    """Sends so many bytes of this answer's body, then nothing until `gate` is set (or the seconds are over, or the other
    side has gone: then it hangs up)."""
    return lambda a: (setattr(a, "stall_after", after), setattr(a, "gate", gate), setattr(a, "stall_seconds", seconds))


def trickle(bytes_per_second: float) -> Quirk:
    return lambda a: setattr(a, "bytes_per_second", bytes_per_second)


def shared(rate) -> Quirk:
    """At a rate (answers.Rate) that all answers with it share."""
    return lambda a: setattr(a, "rate", rate)


def hang_up(how: str = "rst") -> Quirk:
    """Takes the request and ends the connection without a word."""
    return lambda a: setattr(a, "says_nothing", how)


def silence() -> Quirk:
    """Takes the request and says nothing at all, for as long as the other side cares to wait."""
    return lambda a: setattr(a, "says_nothing", "silent")


def late_head(gate: threading.Event, seconds: float = 60) -> Quirk:
    """Not a byte of the answer before `gate` is set."""
    return lambda a: (setattr(a, "head_gate", gate), setattr(a, "stall_seconds", seconds))


def head_in_bytes() -> Quirk:
    """The head in packets of one byte."""
    return lambda a: setattr(a, "head_in_bytes", True)


def interim(count: int) -> Quirk:
    """So many 103s before the answer."""
    return lambda a: setattr(a, "interim", count)


def more_headers(count: int, size: int = 1) -> Quirk:
    """Further header lines, with values of that size."""
    return lambda a: a.headers.extend((f"X-{number}", "x" * size) for number in range(count))


# ---- the framing

def claim_length(length: int) -> Quirk:
    """A Content-Length that is not the body's."""
    return lambda a: setattr(a, "claimed_length", length)


def chunked() -> Quirk:
    return lambda a: setattr(a, "framing", "chunked")


def until_close(version: str = "HTTP/1.1") -> Quirk:
    """No length: the body ends where the connection does."""
    return lambda a: (setattr(a, "framing", "close"), setattr(a, "version", version))


def http_1_0() -> Quirk:
    """An old server: a length, and one answer for each connection."""
    return lambda a: setattr(a, "version", "HTTP/1.0")


# ---- the content

def flip(at: int) -> Quirk:
    """One wrong byte, the length and everything else right. `at` is an offset in the blob (negative: from its end), also
    in the answer to a Range; one that does not hold that byte is right."""
    return lambda a: setattr(a, "flip_at", at)


def add_header(name: str, value: str | None) -> Quirk:
    """Sets a header; None removes it."""
    return lambda a: a.set_header(name, value)


def gzip_encoded() -> Quirk:
    """The body compressed on the way, as a helpful middle box does, asked or not."""
    def change(answer: Answer):
        packed = gzip.compress(b"".join(answer.chunks or ()), 1)
        answer.chunks, answer.length = [packed], len(packed)
        answer.set_header("Content-Encoding", "gzip")
    return change


# ---- ranges

def partial_unasked() -> Quirk:
    """206 to a request that asked for everything."""
    def change(answer: Answer):
        answer.status = 206
        answer.set_header("Content-Range", f"bytes 0-{(answer.length or 1) - 1}/{answer.length}")
    return change


def ignore_range() -> Quirk:
    """200 and everything, also to who asked for a part."""
    return lambda a: a.become(a.whole()) if a.status == 206 and a.whole else None


def refuse_range(status: int = 416) -> Quirk:
    """416, or another error, to every Range; other requests are answered."""
    def change(answer: Answer):
        if answer.status == 206:
            size = answer.total
            answer.become(answers.error(status, "RANGE_INVALID", "", ("Content-Range", f"bytes */{size}")))
    return change


def shift_content_range(by: int = 1, total_by: int = 0) -> Quirk:
    """A Content-Range that names another place, or another size, than that of the bytes; which are those asked for."""
    def change(answer: Answer):
        if answer.status == 206:
            first, last = answer.offset + by, answer.offset + answer.length - 1 + by
            answer.set_header("Content-Range", f"bytes {first}-{last}/{answer.total + total_by}")
    return change


# ---- other answers altogether

def instead(make: Callable[[], Answer]) -> Quirk:
    return lambda a: a.become(make())


def html() -> Quirk:
    """What a captive portal or a login page says: 200, and not a word of it is meant for us."""
    return instead(lambda: answers.with_body(200, "text/html; charset=utf-8", b"<html><body>Please log in</body></html>"))


def failing(status: int, code: str = "UNKNOWN", retry_after: int | None = None) -> Quirk:
    headers = [("Retry-After", str(retry_after))] if retry_after is not None else []
    return instead(lambda: answers.error(status, code, http.HTTPStatus(status).phrase, *headers))


def plain_text(status: int, text: str) -> Quirk:
    return instead(lambda: answers.with_body(status, "text/plain", text.encode()))


def redirect(location: str | Callable[[], str], status: int = 307) -> Quirk:
    """To another place, as registries send blobs to their storage. Who may not have it is still refused first."""
    def change(answer: Answer):
        if answer.status < 300:
            answer.become(Answer(status, [("Location", location() if callable(location) else location)], None, 0))
    return change
