"""Sections A to D: connections, request lines, header fields, the framing of bodies."""

from .row import END, HOST, MANIFEST, Row, answered, get, refused

KIB, MIB = 1 << 10, 1 << 20

CONNECTIONS = [
    refused("IA03", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512), 400),
    refused("IA09 v1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(b"/v2/"), 400),
    refused("IA09 v2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + get(b"/v2/"), 400),
    answered("IA11", get(MANIFEST)),
]

REQUEST_LINES = [
    Row("B02", b"GET /v2/ HTTP/1.0\r\n\r\n", ((200,),), holds=b"Connection: close"),
    refused("B03", b"GET /v2/\r\n" + END),
    refused("B04", get(b"/v2/", version=b"HTTP/2.0"), 505),
    refused("B06 overflow", get(b"/v2/", version=b"HTTP/4294967297.1"), 400),
    refused("B06 minor", get(b"/v2/", version=b"HTTP/4294967295.255"), 400),
    refused("B07", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
    refused("B08", b"GET  /v2/ HTTP/1.1\r\n" + HOST + END),
    refused("B08 behind", b"GET /v2/  HTTP/1.1\r\n" + HOST + END),
    refused("B10", b" GET /v2/ HTTP/1.1\r\n" + HOST + END),
    answered("B11 one", b"\r\n" + get(MANIFEST)),
    refused("B11 many", b"\r\n" * 10_000 + get(MANIFEST)),
    refused("B12", b"GET /v2/ HTTP/1.1\nHost: r.test\n\n"),
    refused("B14", b"GET /\nHTTP/1.1\r\n\r\n"),
    refused("B15", get(b"/v2/", method=b"get")),
    refused("B16", get(b"/v2/", method=b'G=":<>(e),[T];?"')),
    refused("B18 GET", get(b"*")),
    Row("B18 OPTIONS", get(b"*", method=b"OPTIONS"), ((204, 400, 405),), closes=False),
    refused("B19", b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", 400, 405),
    Row("B20", get(b"/v2/", b"Cookie: canary-cookie", b"Authorization: Basic Y2FuYXJ5", method=b"TRACE"), ((405,),), closes=False,
        lacks=b"canary"),
    refused("B22 SOURCE", b"SOURCE /v2/ ICE/1.0\r\n" + HOST + END),
    refused("B22 ANNOUNCE", b"ANNOUNCE /v2/ RTSP/1.0\r\n" + HOST + END),
    refused("B23", b"\x00 / HTTP/............0596.7407.\r\n\r\n"),
    Row("B24 8 KiB", get(b"/v2/" + b"a" * (8 * KIB - 4)), ((400, 404),), closes=False),
    refused("B24 and one", get(b"/v2/" + b"a" * (8 * KIB - 3)), 414),
    refused("B24 1 MiB", b"GET /v2/" + b"a" * MIB, 414),
    refused("B26", get(b"/v2/#frag")),
    answered("B27 double", get(b"//v2/"), 404, 400),
    answered("B27 dot", get(b"/./v2/"), 404, 400),
    answered("B27 case", get(b"/V2/"), 404),
    refused("B28 !", get(b"!")),
    refused("B28 no slash", get(b"v2/")),
    refused("B28 query", get(b"?x")),
    refused("absolute form", get(b"http://r.test/v2/")),
    Row("B30 all valid", get(MANIFEST) * 1000, ((200,),) * 1000, closes=False),
    Row("B30 one invalid", get(MANIFEST) * 999 + b"GET  / HTTP/1.1\r\n\r\n", ((200,),) * 999 + ((400,),)),
    Row("B31", get(MANIFEST, b"Connection: close") + b"Invalid\r\n\r\n", ((200,),)),
]

FIELDS = [
    refused("C01", b"GET /v2/ HTTP/1.1\r\n\r\n"),
    *(refused(f"C03 {host!r}", get(b"/v2/", host=b"Host: " + host + b"\r\n"))
      for host in (b"a b", b"r/evil", b"u@evil", b"r.test\x00.evil", b"[::1", b"r:99999", b"")),
    refused("C03 two", get(b"/v2/", b"Host: r.test")),
    answered("C04", get(MANIFEST, host=b"Host: evil.test\r\n"), lacks=b"evil"),
    refused("C05", get(b"/v2/", b"Content-Length : 34")),
    refused("C07", get(b"/v2/", b"X: a\r\n b")),
    refused("C08", get(b"/v2/", b"Content-Length 10")),
    refused("C09 name", get(b"/v2/", b": ignored")),
    refused("C09 bare", get(b"/v2/", b":")),
    refused("C11", get(b"/v2/", b"X: this\rvalue\ris\rinvalid")),
    refused("C12", get(b"/v2/", b"X: a\nGET /evil HTTP/1.1")),
    refused("C13", get(b"/v2/", b"Te\nst: test")),
    refused("C15", get(b"/v2/", b"Transfer-\r\nEncoding: chunked")),
    answered("C16", get(MANIFEST, b"User: \x85admin\xa0"), 200, 400),
    refused("C17", get(b"/v2/", *(b"X-%d: 1" % n for n in range(101))), 431),
    refused("C19", b"GET /v2/ HTTP/1.1\r\n" + HOST + (b"X: " + b"a" * 1000 + b"\r\n") * 10_000, 431),
    refused("C19 one line", b"GET /v2/ HTTP/1.1\r\n" + HOST + b"X: " + b"a" * (10 * MIB), 431),
    refused("C20", b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\rZGET /evil: HTTP/1.1\r\n\r\n"),
    *(answered(f"C21 {name!r}", get(MANIFEST, b"Connection: " + name), 200, 400)
      for name in (b"Host", b"Content-Length", b"Authorization")),
    answered("C23 100", get(MANIFEST, b"Expect: 100-continue"), 200, 417),
    answered("C23 foo", get(MANIFEST, b"Expect: foo"), 200, 417),
    answered("C24 h2c", get(MANIFEST, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")),
    answered("C24 websocket", get(MANIFEST, b"Connection: Upgrade", b"Upgrade: websocket")),
    answered("C25", get(MANIFEST, b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Host: evil", b"X-Forwarded-Proto: gopher",
                        b'Forwarded: for="_x;host=evil'), lacks=b"evil"),
    answered("C27", get(MANIFEST, b"Proxy: http://evil:1/", b"Proxy-Authorization: Basic x")),
    answered("C28", get(MANIFEST, b"Accept-Encoding: gzip, br, *;q=0, identity;q=0"), 200, 406, lacks=b"Content-Encoding"),
    answered("C29", get(MANIFEST, b"TE: trailers, chunked;q=0.5", b"Trailer: Content-Length")),
    *(answered(f"C31 {number}", get(MANIFEST, b"User-Agent: " + agent), 200, 400)
      for number, agent in enumerate((b"\x1b[31m", b"${jndi:ldap://x}", b'"},{"a":"', b"a" * 4096))),
    *(answered(f"C32 {number}", get(MANIFEST, b"Accept: " + accept))
      for number, accept in enumerate((b", ".join(b"application/vnd.type.number.%d+json" % n for n in range(300)), b"*/*;q=0", b";;;;"))),
    answered("C33", get(MANIFEST, b"Content-Type: \xff")),
]


def _with_length(value: bytes) -> bytes:
    return get(MANIFEST, b"Content-Length: " + value) + b"0123456789"


def _chunked(body: bytes, method: bytes = b"GET") -> bytes:
    return get(MANIFEST, b"Transfer-Encoding: chunked", method=method) + body


# A GET with a body: its body is never read, so that its answer is a refusal, or the connection ends behind it. In no case is
# what stands in the body a request.
_ANY = (200, 400)

FRAMING = [
    *(refused(f"D01 {value!r}", _with_length(value)) for value in (b"+5", b"5,5", b"1_0", b"0x10", b"1Z", b"5 5", b'"5"')),
    *(refused(f"D02 {value!r}", _with_length(value)) for value in (b"-1", b"-48")),
    refused("D03", _with_length(b"010"), *_ANY),
    refused("D05 equal", get(MANIFEST, b"Content-Length: 5", b"Content-Length: 5") + b"01234"),
    refused("D05 different", get(MANIFEST, b"Content-Length: 5", b"Content-Length: 6") + b"01234"),
    refused("D05 empty first", get(MANIFEST, b"Content-Length: ", b"Content-Length: 43") + b"a" * 43),
    *(refused(f"D06 {value!r}", _with_length(value)) for value in
      (b"99999999999999999999", b"18446744073709551616", b"9223372036854775808")),
    refused("D07", get(MANIFEST, b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    refused("D07 reversed", get(MANIFEST, b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n"),
    *(refused(f"D09 {value!r}", get(MANIFEST, b"Transfer-Encoding: " + value) + b"0\r\n\r\n") for value in
      (b",chunked", b"chunked,", b",", b"")),
    refused("D10 one line", get(MANIFEST, b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n"),
    refused("D10 two lines", get(MANIFEST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    refused("D11", get(MANIFEST, b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n"),
    refused("D11 reversed", get(MANIFEST, b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 400, 501),
    *(refused(f"D13 {value!r}", get(MANIFEST, b"Transfer-Encoding: " + value) + b"0\r\n\r\n") for value in
      (b"\x0bchunked", b"\xffchunked\xff", b"\xa0chunked")),
    refused("D15", get(MANIFEST, b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n"),
    *(refused(f"D17 {size!r}", _chunked(size + b"\r\n"), *_ANY) for size in
      (b"0" * 16 + b"5", b"1" * 17, b"F" * 16, b"ffffffff00000000")),
    refused("D18", _chunked(b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n"), *_ANY),
    refused("D19", _chunked(b"41;a=b\r\rXXXX" + b"X" * 61 + b"\r\n0\r\n\r\n"), *_ANY),
    refused("D21", _chunked(b"1\r\nThis is more than one byte\r\n0\r\n\r\n"), *_ANY),
    refused("D22", _chunked(b"d\r\nSpurious CRLF\r\n\r\n0\r\n\r\n"), *_ANY),
    refused("D22 LF", _chunked(b"\n0\r\n\r\n"), *_ANY),
    refused("D23", _chunked(b"0\r\nX:POST / HTTP/1.1\r\n\r\n"), *_ANY),
    refused("D25", _chunked(b"5\r\nabcde\r\n"), *_ANY, 408),
    refused("D26", _chunked(b"5;" + b"a" * MIB + b"\r\nabcde\r\n0\r\n\r\n"), *_ANY, 413),
    refused("D27", _chunked(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"), *_ANY),
    refused("D29", _chunked(b"0\r\nX: " + b"a" * MIB + b"\r\n\r\n"), *_ANY, 431),
    refused("D31", get(MANIFEST, b"Content-Length: 44") + b"GET /metrics HTTP/1.1\r\nHost: r.test\r\n\r\n123456", *_ANY),
    refused("D33", get(b"/v2/a/manifests/x", b"Transfer-Encoding: chunked", method=b"PUT") + b"ffff\r\n" + b"a" * 100_000, 405),
    refused("D34 silence", get(MANIFEST, b"Content-Length: 10") + b"0123", *_ANY),
    refused("D34 FIN", get(MANIFEST, b"Content-Length: 10") + b"0123", *_ANY, ends_by="fin"),
    *(refused(f"write {method!r}", get(b"/v2/library/hut/blobs/uploads/", b"Content-Length: 3", method=method) + b"abc", 405)
      for method in (b"PUT", b"POST", b"PATCH", b"DELETE")),
    refused("D31 HEAD", get(MANIFEST, b"Content-Length: 44", method=b"HEAD") + b"GET /metrics HTTP/1.1\r\nHost: r.test\r\n\r\n123456", *_ANY),
]

ROWS = [*CONNECTIONS, *REQUEST_LINES, *FIELDS, *FRAMING]
