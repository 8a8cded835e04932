"""Bytes over a socket, in whatever pieces, and the answers that come back: for what no HTTP client would send."""

import dataclasses
import random
import re
import select
import socket

from . import paths

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [\t\x20-\x7e]*)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n")


@dataclasses.dataclass
class Talk:
    """What came back."""
    received: bytes
    ended: bool      # by the server

    def answers(self, methods=()) -> list[int]:
        """The statuses, if it is nothing but well-formed answers; `methods` says which of them have no body."""
        statuses, at = [], 0
        while at < len(self.received):
            head = _HEAD.match(self.received, at)
            if not head:
                raise AssertionError(f"no HTTP answer: {self.received[at:at + 300]!r}")
            status = int(head.group(1))
            is_head = len(statuses) < len(methods) and methods[len(statuses)] == b"HEAD"
            length = re.search(rb"(?mi)^Content-Length: (\d+)\r$", head.group(2))
            has_body = not is_head and status not in (204, 304)
            if has_body and not length:
                raise AssertionError(f"an answer without a length: {head.group(0)!r}")
            statuses.append(status)
            at = head.end() + (int(length.group(1)) if has_body else 0)
        if at > len(self.received):
            raise AssertionError(f"an answer that was cut: {len(self.received)} of {at} bytes")
        return statuses


def pieces(data: bytes, how: str, random_: random.Random) -> list[bytes]:
    """"whole"; "bytes": one by one, of long ones the ends; "random": of any sizes."""
    if how == "whole":
        return [data]
    if how == "bytes":
        ends = 400
        if len(data) <= 2 * ends:
            return [data[i:i + 1] for i in range(len(data))]
        return [*pieces(data[:ends], how, random_), *pieces(data[ends:-ends], "random", random_), *pieces(data[-ends:], how, random_)]
    parts, at = [], 0
    while at < len(data):
        size = min(len(data) - at, int(random_.paretovariate(0.5)))
        parts.append(data[at:at + size])
        at += size
    return parts


def talk(port: int, parts: list[bytes], *, is_over=lambda received: False, ends_by: str = "", seconds: float = 30) -> Talk:
    """Sends the parts, reading meanwhile, until the server ends the connection or `is_over`. `ends_by` "fin": this side ends
    when all is sent."""
    received, ended = bytearray(), False
    with socket.create_connection(("127.0.0.1", port), timeout=paths.patience(seconds)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def read(wait: float) -> bool:
            """False: there is nothing more to come."""
            nonlocal ended
            if not select.select([connection], [], [], wait)[0]:
                if wait:
                    raise AssertionError(f"no end after {wait:.0f} s; so far {bytes(received[:300])!r}")
                return True
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            received.extend(data)
            ended = not data
            return bool(data)

        goes_on = True
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            goes_on = read(0)
            if not goes_on:
                break
        if ends_by == "fin" and goes_on:
            try:
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        while goes_on and not is_over(received):
            goes_on = read(paths.patience(seconds))
    return Talk(bytes(received), ended)
