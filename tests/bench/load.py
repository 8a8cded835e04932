"""The loads: many small answers with wrk, large ones with a downloader that throws the bytes away, and one fetch that hashes.

An address is host:port, or https://host:port, whose certificate nobody looks at: it was made a moment ago.
"""

import dataclasses
import hashlib
import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import time

from .content import ACCEPT, Thing

_REPORT = pathlib.Path(__file__).with_name("report.lua")
_BUFFER = 1 << 20


class Failed(Exception):
    """A server did not do what it was asked to."""


@dataclasses.dataclass
class Fetched:
    digest: str
    size: int
    headers: http.client.HTTPMessage


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _host(address: str) -> str:
    return address.removeprefix("https://")


def _connection(address: str, seconds: float) -> http.client.HTTPConnection:
    host = _host(address)
    if host == address:
        return http.client.HTTPConnection(host, timeout=seconds)
    return http.client.HTTPSConnection(host, timeout=seconds, context=_unverified())


def _connect(address: str) -> socket.socket:
    host, port = _host(address).rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=60)
    return _unverified().wrap_socket(connection) if address.startswith("https://") else connection


def fetch(address: str, thing: Thing) -> Fetched:
    """One GET, hashed. Its bytes must be right."""
    connection = _connection(address, 60)
    try:
        connection.request("GET", thing.path, headers={"Accept": ACCEPT})
        response = connection.getresponse()
        hashed, size = hashlib.sha256(), 0
        while piece := response.read(_BUFFER):
            hashed.update(piece)
            size += len(piece)
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"GET failed: {error!r}") from error
    finally:
        connection.close()
    digest = f"sha256:{hashed.hexdigest()}"
    if response.status != 200:
        raise Failed(f"answered {response.status}")
    if (digest, size) != (thing.digest, thing.size):
        raise Failed(f"WRONG BYTES: {size} bytes that hash to {digest}")
    return Fetched(digest, size, response.headers)


def status(address: str, path: str) -> int | None:
    """The status of a GET; None when nobody listens."""
    connection = _connection(address, 5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wrk(address: str, thing: Thing, *, seconds: int, connections: int, threads: int) -> dict:
    """As many GETs as go in that time. Latencies in microseconds."""
    done = subprocess.run(
        ["wrk", "--latency", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", _REPORT,
         "-H", f"Accept: {ACCEPT}", f"{'' if '://' in address else 'http://'}{address}{thing.path}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 60)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines or not lines[-1].startswith("{"):
        raise Failed(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    result = json.loads(lines[-1])
    if result["bad"] or not result["requests"]:
        raise Failed(f"{result['bad']} of {result['requests']} requests failed")
    return result


def download(address: str, thing: Thing, times: int = 1) -> dict:
    """GETs one after the other on one connection, bytes discarded. Seconds to the first head, to the end, for each, and
    in all."""
    request = f"GET {thing.path} HTTP/1.1\r\nHost: {_host(address)}\r\nAccept: {ACCEPT}\r\n\r\n".encode()
    buffer = memoryview(bytearray(_BUFFER))
    heads, ends = [], []
    try:
        with _connect(address) as connection:
            begun = time.monotonic()
            for _ in range(times):
                sent = time.monotonic()
                connection.sendall(request)
                left = thing.size - _read_head(connection, thing.size)
                heads.append(time.monotonic() - sent)
                while left > 0:
                    got = connection.recv_into(buffer, min(left, _BUFFER))
                    if not got:
                        raise Failed(f"the answer was cut {left} bytes short")
                    left -= got
                ends.append(time.monotonic() - sent)
            return {"first_byte": heads[0], "each": ends, "seconds": time.monotonic() - begun}
    except OSError as error:
        raise Failed(f"download failed: {error!r}") from error


def begin(connection: socket.socket, address: str, thing: Thing):
    """A GET of which the head is read, and no more than comes with it."""
    try:
        connection.sendall(f"GET {thing.path} HTTP/1.1\r\nHost: {_host(address)}\r\nAccept: {ACCEPT}\r\n\r\n".encode())
        _read_head(connection, thing.size)
    except OSError as error:
        raise Failed(f"GET failed: {error!r}") from error


def _read_head(connection: socket.socket, size: int) -> int:
    """Reads the head of a 200 of that size; returns how many bytes of the body came with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece or len(head) > 65536:
            raise Failed("no head of an answer")
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if head.split(b" ")[1:2] != [b"200"] or fields.get(b"content-length", b"").strip() != str(size).encode():
        raise Failed(f"an answer that is no 200 of {size} bytes: {head.splitlines()[0].decode(errors='replace')}")
    return len(body)
