"""Images out of nothing, as small as a test wants them, with layers that several may share."""

import json

from .content import Content
from .image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Blob, Image


def descriptor(blob: Blob) -> dict:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def add_json(content: Content, value: dict, media_type: str) -> Blob:
    return content.add(json.dumps(value).encode(), media_type)


def make_image(content: Content, name: str, layers: list[Blob], tag: str = "latest", subject: Blob | None = None,
               absent_platforms: int = 0) -> Image:
    """An index of one manifest; with `absent_platforms` it names as many that nobody has. `subject`: what it refers to; then it is
    no index."""
    config = add_json(content, {"architecture": "amd64", "os": "linux", "name": name}, OCI_CONFIG)
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config), "layers": [*map(descriptor, layers)]}
    if subject:
        document |= {"subject": descriptor(subject), "artifactType": "application/vnd.example"}
    manifest = root = add_json(content, document, OCI_MANIFEST)
    if not subject:
        absent = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{n:064x}", "size": 7} for n in range(absent_platforms)]
        root = add_json(content, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(manifest), *absent]}, OCI_INDEX)
    return Image(name, tag, root, manifest, config, tuple(layers))


def make_layer(content: Content, size: int, seed) -> Blob:
    blob = content.make(size, seed)
    return Blob(blob.digest, blob.size, OCI_LAYER)
