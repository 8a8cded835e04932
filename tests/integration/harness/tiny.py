"""A tiny image out of nothing: the same bytes on every machine and for ever. What the cache fixtures hold."""

import hashlib
import json

from .image import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Blob, Image

REPOSITORY = "library/tiny"


def contents() -> tuple[Image, dict[str, tuple[str, bytes]]]:
    """The image, and by digest the type and bytes of everything in it."""
    everything: dict[str, tuple[str, bytes]] = {}

    def add(data: bytes, media_type: str) -> dict:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        everything[digest] = (media_type, data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add_json(value: dict, media_type: str) -> dict:
        return add(json.dumps(value, sort_keys=True).encode(), media_type)

    config = add_json({"architecture": "amd64", "os": "linux"}, OCI_CONFIG)
    layers = [add(_noise(size), OCI_LAYER) for size in (0, 1, 4096, 64 * 1024 + 1, 300_000)]
    manifest = add_json({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}, OCI_MANIFEST)
    add_json({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": layers}, DOCKER_MANIFEST)
    root = add_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [manifest]}, OCI_INDEX)

    def blob(descriptor: dict) -> Blob:
        return Blob(descriptor["digest"], descriptor["size"], descriptor["mediaType"])

    return Image("tiny", "latest", blob(root), blob(manifest), blob(config), tuple(map(blob, layers))), everything


def serve(upstream):
    """Makes a scripted upstream hold it."""
    image, everything = contents()
    upstream.tag(REPOSITORY, image)
    for media_type, data in everything.values():
        upstream.content.add(data, media_type)


def _noise(size: int) -> bytes:
    blocks = (hashlib.sha256(b"entrepot %d %d" % (size, n)).digest() for n in range(size // 32 + 1))
    return b"".join(blocks)[:size]
