"""Section M: what an upstream may give as a manifest, by digest, and what the client gets then."""

import dataclasses
import json

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
D64 = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Row:
    id: str
    body: bytes
    is_good: bool
    media_type: str = OCI_MANIFEST
    served_as: str = ""       # where it is not `media_type`
    or_good: bool = False     # either will do: such a size is not believed, and not looked at by anybody else
    code: str = "MANIFEST_INVALID"   # of the 502


def descriptor(digest: str = f"sha256:{D64}", size=5, media_type: str = "application/vnd.oci.image.layer.v1.tar") -> dict:
    return {"mediaType": media_type, "digest": digest, "size": size}


def manifest(**more) -> dict:
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(media_type="application/vnd.oci.empty.v1+json"),
            "layers": [descriptor()], **more}


def index(children: list[dict], **more) -> dict:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children, **more}


def text(document) -> bytes:
    return json.dumps(document).encode()


def bad(id: str, body, **more) -> Row:
    return Row(id, body if isinstance(body, bytes) else text(body), False, **more)


def good(id: str, body, **more) -> Row:
    return Row(id, body if isinstance(body, bytes) else text(body), True, **more)


def with_size(size: str) -> bytes:
    return text(manifest()).replace(b'"size": 5', b'"size": ' + size.encode(), 1)


def padded(size: int) -> bytes:
    """A good manifest of exactly so many bytes."""
    body = text(manifest(annotations={"pad": ""}))
    return body.replace(b'"pad": ""', b'"pad": "' + b"x" * (size - len(body)) + b'"')


ROWS = [
    *(bad(f"M01 {body!r}", body) for body in (b"", b"null", b"[]", b'"x"', b"{", b"5")),
    bad("M01 spaces", b" " * (4 * MIB)),
    good("M02 4 MiB", padded(4 * MIB)),
    bad("M02 and one", padded(4 * MIB + 1), code="UNAVAILABLE"),
    bad("M04 media type", text(manifest()).replace(b'"mediaType"', b'"mediaType": "x", "mediaType"', 1)),
    bad("M04 layers", text(manifest()).replace(b'"layers"', b'"layers": [], "layers"')),
    bad("M05 manifests and layers", manifest(manifests=[])),
    bad("M05 manifests and config", index([descriptor(media_type=OCI_MANIFEST)], config=descriptor()), media_type=OCI_INDEX),
    bad("M06", manifest(mediaType=OCI_INDEX)),
    bad("M08 BOM", b"\xef\xbb\xbf" + text(manifest())),
    bad("M08 UTF-16", json.dumps(manifest()).encode("utf-16")),
    bad("M08 UTF-8", text(manifest(annotations={"a": "?"})).replace(b"?", b"\xff")),
    bad("M08 surrogate", text(manifest(annotations={"a": "?"})).replace(b"?", b"\\ud800")),
    bad("M08 NUL in a digest", text(manifest()).replace(D64[:3].encode(), b"\\u0000", 1)),
    *(bad(f"M09 {size}", with_size(size), or_good=size not in ("1e999", "NaN")) for size in
      ("-1", "1.5", "1e999", "9223372036854775808", '"5"', "NaN")),
    bad("M09 missing", text(manifest()).replace(b', "size": 5', b"", 1), or_good=True),
    *(bad(f"M10 {digest!r}", manifest(layers=[descriptor(digest)])) for digest in
      ("sha256:../../x", "sha256:", "x", "", f"sha256:{D64.upper()}", f"md5:{'a' * 32}")),
    good("M13 many children", index([descriptor(f"sha256:{n:064x}", media_type=OCI_MANIFEST) for n in range(10_000)]), media_type=OCI_INDEX),
    bad("M13 too many", index([{"digest": f"sha256:{n:064x}", "size": 1} for n in range(100_000)]), media_type=OCI_INDEX, code="UNAVAILABLE"),
    bad("M13 deep", b"[" * 100_000),
    bad("M13 deep inside", text(manifest(annotations={"a": "?"})).replace(b'"?"', b"[" * 50_000 + b"]" * 50_000)),
    good("M14 no layers", manifest(layers=[])),
    good("M14 artifact", manifest(artifactType="application/vnd.example+type", layers=[])),
    bad("M16", b'{"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": [], "signatures": []}', media_type=SIGNED),
    good("M17", text(manifest(unknown={"b": 1, "a": [1, 2.50, -0.0, 1e2]})).replace(b", ", b" ,\r\n\t ")),
    good("M18", manifest(), media_type=f"{OCI_MANIFEST}; charset=utf-8", served_as=OCI_MANIFEST),
    good("M20 subject of nobody", manifest(subject=descriptor(media_type=OCI_MANIFEST))),
    bad("M20 broken subject", manifest(subject={"digest": "x"}), or_good=True),
    good("M21 3 MiB of annotations", manifest(annotations={"a": "x" * (3 * MIB)})),
    good("M21 many keys", manifest(annotations={f"key-{n}": "" for n in range(100_000)})),
    *(bad(f"M22 {number}", text(manifest(annotations={"a": "?"})).replace(b'"?"', number)) for number in (b"00", b"+1", b"0x1", b"1.", b".5", b"-")),
    good("M22 large exponent", text(manifest(extra="?")).replace(b'"?"', b"1E400"), or_good=True),
    good("M22 negative zero", text(manifest(extra="?")).replace(b'"?"', b"-0")),
    good("Docker", {**manifest(), "mediaType": DOCKER}, media_type=DOCKER),
    bad("text/html", b"<!DOCTYPE html><html>log in</html>", media_type="text/html", code="UNAVAILABLE"),
    bad("trailing", text(manifest()) + b"{}"),
]
