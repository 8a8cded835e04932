"""Sections E, Q and R: paths and what they name, queries, ranges and conditions."""

from .row import Row, answered, get

D64 = b"b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"   # of nothing that anybody has


def name(id: str, path: bytes, *statuses: int, **more) -> Row:
    return answered(id, get(path), *statuses, **more)


PATHS = [
    name("E01", b"/v2", 200, 308, 404),
    name("E02", b"/v2//manifests/latest", 400),
    name("E03", b"/v2/../../etc/passwd", 404, 400),
    name("E05", b"/%2F%2F%2F%2F..%2F..%2F..%2Fetc%2Fpasswd", 404, 400),
    name("E06", b"/v2/a/%252e%252e/manifests/x", 400),
    name("E07 dot", b"/v2/a/./b/manifests/x", 400),
    name("E07 double", b"/v2/a//b/manifests/x", 400),
    name("E07 end", b"/v2/a/b//manifests/x", 400),
    *(name(f"E09 {bad!r}", b"/v2/" + bad + b"/manifests/x", 400) for bad in (b"-a", b"a-", b".a", b"a.", b"a..b", b"a___b", b"a._b", b"_a")),
    *(name(f"E10 {good!r}", b"/v2/x/" + good + b"/manifests/x", 404, may_fetch=True)
      for good in (b"a--b", b"a---b", b"a__b", b"a.b", b"0", b"a/b/c/d/e")),
    name("E11 255", b"/v2/" + b"a" * 255 + b"/manifests/x", 404, 400, may_fetch=True),
    name("E11 256", b"/v2/" + b"a" * 256 + b"/manifests/x", 400),
    name("E11 4000", b"/v2/" + b"a" * 4000 + b"/manifests/x", 400),
    name("E11 300 components", b"/v2/" + b"a/" * 300 + b"manifests/x", 400),
    name("E13 blobs", b"/v2/a/blobs/b/manifests/latest", 404, may_fetch=True),
    name("E13 manifests", b"/v2/a/manifests/b/blobs/sha256:" + D64, 404, may_fetch=True),
    name("E13 tags", b"/v2/a/tags/list/tags/list", 404, may_fetch=True),
    name("E14 catalog", b"/v2/_catalog/manifests/x", 400),
    name("E14 store", b"/v2/_blobstore/blobs/sha256:" + D64, 400),
    name("E15 128", b"/v2/a/b/manifests/" + b"t" * 128, 404, may_fetch=True),
    name("E15 129", b"/v2/a/b/manifests/" + b"t" * 129, 400, 404),
    *(name(f"E17 {tag!r}", b"/v2/a/b/manifests/" + tag, 400, lacks=b"X-Injected: 1")
      for tag in (b"latest%00.json", b"latest%0d%0aX-Injected: 1", b"latest%0a") if b" " not in tag),
    name("E17 split", b"/v2/a/b/manifests/latest%0d%0aX-Injected:%201", 400, lacks=b"X-Injected: 1"),
    *(name(f"E18 {tag!r}", b"/v2/a/b/manifests/" + tag, 400) for tag in (b"..", b".", b"%2e%2e")),
    *(name(f"E21 {digest!r}", b"/v2/a/b/blobs/" + digest, 400) for digest in
      (b"SHA256:" + D64, b"sha256:" + D64.upper(), b"sha-256:" + D64, b"%20sha256:" + D64, b"sha256:" + D64 + b"%0a", b"sha256:" + D64 + b"%00",
       b"sha256:" + D64[:-1], b"sha256:" + D64 + b"0")),
    *(name(f"E22 {digest!r}", b"/v2/a/b/blobs/" + digest, 400) for digest in
      (b"md5:" + b"a" * 32, b"sha1:" + b"a" * 40, b"sha256+b64u:LCa0a2j", b"tarsum.v1+sha256:" + D64, b"a+b+c:xyz")),
    name("E23", b"/v2/a/b/blobs/sha512:" + D64 * 2, 404, may_fetch=True),
    *(name(f"E27 {bad!r}", b"/v2/a/b/manifests/" + bad, 400) for bad in (b"%zz", b"%", b"%4", b"%u0041")),
    *(name(f"E29 {bad!r}", b"/v2/a/" + bad + b"/manifests/x", 400) for bad in (b"%c0%ae%c0%ae%2f", b"%ff", b"%E2%80%AE")),
    *(name(f"E30 {bad!r}", b"/v2/a" + bad + b"/manifests/x", 400, 404) for bad in (b";jsessionid=1", b":80", b"@evil", b"%3F", b"%23")),
    *(name(f"E31 {host!r}", b"/v2/" + host + b"/latest/manifests/x", 404, 403) for host in
      (b"169.254.169.254", b"127.0.0.1:80", b"localhost", b"metadata.google.internal", b"registry.corp.example:5000", b"quay.example")),
    *(name(f"E31 first {host!r}", b"/" + host + b"/v2/latest/manifests/x", 404, 403) for host in
      (b"169.254.169.254", b"127.0.0.1:80", b"localhost", b"metadata.google.internal")),
    name("E35 uploads", b"/v2/a/blobs/uploads/", 404, 405),
    *(name(f"E35 {part!r}", b"/v2/a/" + part + b"/", 404, 400, 405) for part in (b"manifests", b"blobs", b"tags", b"referrers")),
    name("E37 ping", b"/v1/_ping", 404),
    name("E37 repositories", b"/v1/repositories/x", 404),
    name("E38 metrics", b"/metrics/../admin", 404, 400),
    name("E38 healthz", b"/healthz/..;/admin", 404, 400),
    name("not on this listener", b"/metrics", 404),
]

QUERIES = [
    *(name(f"Q01 {n!r}", b"/v2/_catalog?n=" + n, 404, 405, 401, 403) for n in (b"0", b"-1", b"abc", b"", b"1e3", b"0x10")),
    *(name(f"Q01 tags {n!r}", b"/v2/library/hut/tags/list?n=" + n, 400) for n in (b"-1", b"abc", b"", b"1e3", b"0x10")),
    name("Q01 tags 0", b"/v2/library/hut/tags/list?n=0", 200, may_fetch=True),
    *(name(f"Q02 {len(n)} digits", b"/v2/library/hut/tags/list?n=" + n, 200, 400, may_fetch=True)
      for n in (b"1000000000", b"9223372036854775807", b"9" * 400)),
    *(name(f"Q03 {query!r}", b"/v2/library/hut/tags/list?" + query, 200, 400, may_fetch=True) for query in (b"n=1&n=2", b"n=1;n=2", b"n[]=1")),
    name("Q05", b"/v2/library/hut/tags/list?n=5&last=zzzz", 200, holds=b'"tags":[]', lacks=b"\r\nLink:", may_fetch=True),
    name("Q06", b"/v2/library/hut/manifests/latest?ns=docker.io", 200, holds=b"OCI-Namespace: docker.io"),
    *(name(f"Q07 {ns!r}", b"/v2/library/hut/manifests/latest?ns=" + ns, 404, 400) for ns in
      (b"evil.test", b"169.254.169.254", b"[::1]:80", b"0x7f000001", b"")),
    name("Q09", b"/v2/library/hut/manifests/latest?ns=a&ns=docker.io", 400),
    name("Q10", b"/v2/library/hut/manifests/latest?ns=" + b"a" * 300, 400, 404),
    *(name(f"Q11 {n}", b"/v2/library/hut/manifests/latest?cb=%d" % n, 200) for n in (1, 2, 10**6)),
    name("Q13 digest", b"/v2/library/hut/manifests/latest?digest=sha256:" + D64, 200),
    name("Q13 mount", b"/v2/library/hut/manifests/latest?mount=sha256:" + D64 + b"&from=evil", 200),
    answered("Q14", get(b"/v2/library/hut/manifests/latest?" + b"a" * 65536), 414),
]

ROWS = [*PATHS, *QUERIES]


def ranges(path: bytes, size: int) -> list[Row]:
    """Section R, of a cached blob of that size."""
    def ask(id: str, value: bytes, *statuses: int, **more) -> Row:
        return answered(id, get(path, b"Range: " + value), *statuses, **more)

    def found(first: int, last: int) -> bytes:
        return b"Content-Range: bytes %d-%d/%d" % (first, last, size)

    return [
        ask("R01 first", b"bytes=0-0", 206, holds=found(0, 0)),
        ask("R01 open", b"bytes=0-", 206, holds=found(0, size - 1)),
        ask("R01 suffix", b"bytes=-1", 206, holds=found(size - 1, size - 1)),
        ask("R01 inside", b"bytes=5-9", 206, holds=found(5, 9)),
        *(ask(f"R03 {value!r}", b"bytes=" + value, 416, holds=b"Content-Range: bytes */%d" % size)
          for value in (b"%d-" % size, b"%d-%d" % (size, size), b"-0")),
        ask("R04 max", b"bytes=0-18446744073709551615", 206, 200),
        ask("R04 beyond", b"bytes=0-99999999999999999999", 206, 200),
        *(ask(f"R05 {value!r}", b"bytes=-" + value, 206, 200) for value in
          (b"9223372036854775808", b"9223372036854775809", b"%d" % size, b"%d" % (size + 1))),
        ask("R07 items", b"items=0-5", 200),
        ask("R07 upper", b"BYTES=0-1", 200, 206),
        ask("R08 two", b"bytes=0-0,2-2", 206, holds=b"multipart/byteranges"),
        ask("R08 1024", b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(0, 2048, 2)), 206, holds=b"multipart/byteranges"),
        ask("R08 1300", b"bytes=" + b",".join(b"0-%d" % n for n in range(1300)), 400),
        answered("R09", get(path, b"Range: bytes=0-0", b"Range: bytes=5-9"), 200, 400),
        answered("R12 wrong", get(path, b"Range: bytes=0-0", b'If-Range: "wrong"'), 200),
        answered("R12 date", get(path, b"Range: bytes=0-0", b"If-Range: Tue, 24 Nov 2026 10:00:00 GMT"), 200),
        *(answered(f"R16 {value!r}", get(path, b"If-Modified-Since: " + value), 200) for value in
          (b"Tue, 24 Nov 2099 10:00:00 GMT", b"Tue, 24 Nov 1999 10:00:00 GMT", b"\xff")),
        *(ask(f"nonsense {value!r}", value, 200, 400) for value in
          (b"bytes=", b"bytes", b"=", b"bytes=-", b"bytes=a-b", b"bytes=5", b"bytes=9-5", b"bytes 0-5", b"bytes=0-5;x", b"bytes=1-2-3", b"bytes=0x1-2",
           b"bytes=+1-2", b"bytes= 0 - 5", b"bytes=,", b"bytes=\xff")),
    ]
