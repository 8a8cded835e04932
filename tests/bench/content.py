"""The repository that everybody serves: a small, a middling and a large blob and a manifest, the same bytes in every run."""

import dataclasses
import hashlib
import http.client
import json
import random

NAME = "library/bench"
TAG = "latest"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ACCEPT = f"{MANIFEST_TYPE}, application/vnd.docker.distribution.manifest.v2+json"

_PIECE = 4 << 20
MEDIUM = 64 << 20


@dataclasses.dataclass(frozen=True)
class Thing:
    """What can be asked for: a path, and the bytes that must come."""
    path: str
    digest: str
    size: int


@dataclasses.dataclass(frozen=True)
class Content:
    small: Thing
    medium: Thing
    large: Thing
    by_digest: Thing
    by_tag: Thing


def push(address: str, large_size: int) -> Content:
    """Makes the repository in an empty registry that takes uploads."""
    connection = http.client.HTTPConnection(address, timeout=60)
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    config_digest = _push_blob(connection, lambda: iter((config,)), len(config))
    small = _push_blob(connection, lambda: _noise(4096, seed=1), 4096)
    medium = _push_blob(connection, lambda: _noise(MEDIUM, seed=3), MEDIUM)
    large = _push_blob(connection, lambda: _noise(large_size, seed=2), large_size)

    def descriptor(kind, digest, size):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": size}

    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": descriptor("config.v1+json", config_digest, len(config)),
        "layers": [descriptor("layer.v1.tar", small, 4096), descriptor("layer.v1.tar", medium, MEDIUM),
                   descriptor("layer.v1.tar", large, large_size)]}).encode()
    _ask(connection, "PUT", f"/v2/{NAME}/manifests/{TAG}", manifest, {"Content-Type": MANIFEST_TYPE})
    connection.close()
    digest = _digest((manifest,))
    return Content(
        small=Thing(f"/v2/{NAME}/blobs/{small}", small, 4096),
        medium=Thing(f"/v2/{NAME}/blobs/{medium}", medium, MEDIUM),
        large=Thing(f"/v2/{NAME}/blobs/{large}", large, large_size),
        by_digest=Thing(f"/v2/{NAME}/manifests/{digest}", digest, len(manifest)),
        by_tag=Thing(f"/v2/{NAME}/manifests/{TAG}", digest, len(manifest)))


def _noise(size: int, seed: int):
    """Incompressible and reproducible, in pieces."""
    source = random.Random(seed)
    while size > 0:
        piece = min(size, _PIECE)
        yield source.randbytes(piece)
        size -= piece


def _digest(pieces) -> str:
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    return f"sha256:{hashed.hexdigest()}"


def _push_blob(connection, pieces, size: int) -> str:
    digest = _digest(pieces())
    location = _ask(connection, "POST", f"/v2/{NAME}/blobs/uploads/", b"", {}).getheader("Location")
    path = location.split("//", 1)[-1].partition("/")[2]
    _ask(connection, "PUT", f"/{path}{'&' if '?' in path else '?'}digest={digest}", pieces(),
         {"Content-Length": str(size), "Content-Type": "application/octet-stream"})
    return digest


def _ask(connection, method: str, target: str, body, headers: dict) -> http.client.HTTPResponse:
    connection.request(method, target, body=body, headers=headers)
    response = connection.getresponse()
    said = response.read()
    if response.status not in (201, 202):
        raise RuntimeError(f"the upstream answered {method} with {response.status}: {said[:300]!r}")
    return response
