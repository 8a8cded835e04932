"""What a row of the catalogue of bad inputs says: bytes that a client sends, and what may come of it."""

import dataclasses

HOST = b"Host: r.test\r\n"
END = b"\r\n"
MANIFEST = b"/v2/library/hut/manifests/latest"   # is cached


@dataclasses.dataclass(frozen=True)
class Row:
    """`statuses`: of the answers, in order; each entry is what is allowed there. An empty tuple among them: a close without an
    answer is as good. `closes`: the server ends the connection by itself afterwards. `then_silence`: how the client goes on when
    all is sent: "" reads, "fin" ends its side first."""
    id: str
    sent: bytes
    statuses: tuple[tuple[int, ...], ...]
    closes: bool = True
    ends_by: str = ""
    holds: bytes = b""        # the answer has this
    lacks: bytes = b""        # and not that
    may_fetch: bool = False   # the upstream may be asked


def refused(id: str, sent: bytes, *statuses: int, **more) -> Row:
    """400 or what is given, and the connection ends."""
    return Row(id, sent, (statuses or (400,),), **more)


def answered(id: str, sent: bytes, *statuses: int, **more) -> Row:
    """One proper answer, after which the connection may live on."""
    return Row(id, sent, (statuses or (200,),), closes=False, **more)


def get(path: bytes, *fields: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1", host: bytes = HOST) -> bytes:
    return method + b" " + path + b" " + version + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"
