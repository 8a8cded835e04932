"""The right bytes of what a test knows: the images of the store, and blobs that it makes on the spot.

Scripted servers take what they serve from here, and clients look here what a range must hold. One for each test; a blob
that was added is there for every server of that test.
"""

import hashlib
import json
import os
import pathlib
from typing import Iterator

from .image import Blob, Store

# The size of the blobs of tests about large ones. tools/soak runs the same tests with larger ones.
LARGE = int(os.environ.get("ENTREPOT_TEST_BLOB_MIB", "32")) << 20

OCTETS = "application/octet-stream"
_CHUNK = 256 * 1024


def noise(size: int, seed) -> bytes:
    """Bytes that no compression makes smaller, the same for the same seed."""
    return hashlib.shake_128(f"entrepot {seed}".encode()).digest(size)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


class Content:
    def __init__(self, store: Store | None = None):
        self._store = store
        self._added: dict[str, tuple[str, bytes]] = {}
        self._slices: dict[tuple[str, int, int], str] = {}

    def add(self, data: bytes, media_type: str = OCTETS, algorithm: str = "sha256") -> Blob:
        blob = Blob(digest_of(data, algorithm), len(data), media_type)
        self._added[blob.digest] = (media_type, data)
        return blob

    def make(self, size: int, seed=0) -> Blob:
        """A new blob out of nothing. Another seed makes another blob."""
        return self.add(noise(size, seed))

    def drop(self, blob: Blob):
        self._added.pop(blob.digest, None)

    def clear(self):
        """Forgets what was made: a test that has ended is still known to its run."""
        self._added.clear()

    def has(self, digest: str) -> bool:
        return digest in self._added or (self._store is not None and self._store.path(digest).exists())

    def size(self, digest: str) -> int:
        return len(self._added[digest][1]) if digest in self._added else self._store.path(digest).stat().st_size

    def manifest_type(self, digest: str) -> str:
        if digest in self._added:
            return self._added[digest][0]
        return json.loads(self._store.path(digest).read_bytes()).get("mediaType", "application/vnd.oci.image.manifest.v1+json")

    def chunks(self, digest: str, first: int, last: int) -> Iterator[bytes]:
        """Bytes [first, last]."""
        if digest in self._added:
            data = memoryview(self._added[digest][1])
            return (data[at:min(at + _CHUNK, last + 1)] for at in range(first, last + 1, _CHUNK))
        return _read(self._store.path(digest), first, last)

    def slice_digest(self, digest: str, first: int, last: int) -> str:
        """What bytes [first, last] hash to, by the algorithm of `digest`."""
        key = (digest, first, last)
        if key not in self._slices:
            algorithm = digest.split(":")[0]
            whole = hashlib.new(algorithm)
            for chunk in self.chunks(digest, first, last):
                whole.update(chunk)
            self._slices[key] = f"{algorithm}:{whole.hexdigest()}"
        return self._slices[key]


def _read(path: pathlib.Path, first: int, last: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(first)
        left = last + 1 - first
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
