"""Another reader of the cache directory, written from docs/cache-format.md alone: it knows nothing of the program. For a cache that
nobody serves."""

import dataclasses
import datetime
import hashlib
import pathlib
import struct

import lmdb

ALGORITHMS = {1: ("sha256", 32), 2: ("sha512", 64)}


def crc32c(data: bytes, table=[]) -> int:
    """Castagnoli, bit-reflected, as RFC 3720 appendix B.4 has it."""
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
            table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


class Fields:
    """The fields of a record, in their order."""

    def __init__(self, record: bytes, key: bytes):
        body, crc = record[:-4], struct.unpack(">I", record[-4:])[0]
        if crc32c(body + key) != crc or body[0] != 1:
            raise ValueError(f"the record of {key!r} is damaged")
        self._rest = body[1:]

    def take(self, count: int) -> bytes:
        taken, self._rest = self._rest[:count], self._rest[count:]
        assert len(taken) == count, "the record is short"
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return struct.unpack(">I", self.take(4))[0]

    def u64(self) -> int:
        return struct.unpack(">Q", self.take(8))[0]

    def text(self) -> str:
        return self.take(self.u32()).decode()

    def digest(self) -> str:
        name, size = ALGORITHMS[self.u8()]
        return f"{name}:{self.take(size).hex()}"

    @property
    def is_at_end(self) -> bool:
        return not self._rest


def digest_of_key(key: bytes) -> tuple[str, bytes]:
    """The digest that a key begins with, and what comes behind it."""
    name, size = ALGORITHMS[key[0]]
    return f"{name}:{key[1:1 + size].hex()}", key[1 + size:]


def digest_key(digest: str) -> bytes:
    name, value = digest.split(":")
    return bytes([1 if name == "sha256" else 2]) + bytes.fromhex(value)


@dataclasses.dataclass
class Blob:
    is_committed: bool
    size: int
    disk_bytes: int
    sequence: int
    pins: int


@dataclasses.dataclass
class Manifest:
    media_type: str
    children: list[str]
    subject: str | None


class CacheReader:
    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        assert (directory / "FORMAT").read_text() == "entrepot cache format 1\n"
        environment = lmdb.open(str(directory / "index"), max_dbs=16, readonly=True, lock=False, subdir=True)
        with environment.begin() as transaction:
            def rows(table: str) -> list[tuple[bytes, bytes]]:
                return list(transaction.cursor(environment.open_db(table.encode(), transaction, create=False)))

            self.meta = dict(rows("meta"))
            self.repositories = {key[1:]: Fields(value, key) for key, value in rows("repo") if key[:1] == b"i"}
            self.blobs = {digest_of_key(key)[0]: _blob(Fields(value, key)) for key, value in rows("blob")}
            self.order = [(struct.unpack(">Q", key[:8])[0], digest_of_key(key[8:])[0]) for key, _ in rows("lru")]
            self.manifests = {digest_of_key(key)[0]: _manifest(Fields(value, key)) for key, value in rows("manifest")}
            self.tags = {(key[:4], key[4:].decode()): _tag(Fields(value, key)) for key, value in rows("tag")}
            self.links = {(digest_of_key(key)[1], digest_of_key(key)[0]) for key, _ in rows("link")}
            self.holders = {(key[:4], digest_of_key(key[4:])[0]) for key, _ in rows("holder")}
            self.referrers = {digest_of_key(digest_of_key(key)[1])[0] for key, _ in rows("referrer")}
        environment.close()
        self.names = {}
        for key, fields in self.repositories.items():
            assert fields.take(4) == key
            self.names[key] = (fields.text(), fields.text())

    def is_here(self, digest: str) -> bool:
        return digest in self.blobs and self.blobs[digest].is_committed

    def closure(self, digest: str) -> set[str]:
        found, to_do = set(), [digest]
        while to_do:
            one = to_do.pop()
            if one not in found:
                found.add(one)
                to_do += self.manifests[one].children if one in self.manifests and self.is_here(one) else []
        return found

    def images(self) -> dict[str, dict]:
        """What `entrepot ls --json` says, by the images' names."""
        images = {}
        for (repository, tag), (digest, checked_at) in self.tags.items():
            if checked_at:
                images["/".join(self.names[repository]) + ":" + tag] = self._image(repository, tag, digest, checked_at)
        for repository in self.names:
            held = {digest for holder, digest in self.holders if holder == repository and digest in self.manifests and self.is_here(digest)}
            named = {digest for (holder, _), (digest, at) in self.tags.items() if holder == repository and at}
            for digest in held:
                named |= set(self.manifests[digest].children)
            for digest in held - named:
                images["/".join(self.names[repository]) + "@" + digest] = self._image(repository, None, digest, 0)
        return images

    def _image(self, repository: bytes, tag: str | None, digest: str, checked_at: int) -> dict:
        upstream, name = self.names[repository]
        parts = self.closure(digest)
        here = [part for part in parts if self.is_here(part)]
        return {"image": f"{upstream}/{name}" + (f":{tag}" if tag else f"@{digest}"), "upstream": upstream, "repository": name,
                "tag": tag, "digest": digest, "media_type": self.manifests[digest].media_type if self.is_here(digest) else None,
                "blobs": len(here), "missing": len(parts) - len(here), "bytes": sum(self.blobs[part].size for part in here),
                "checked_at": _time(checked_at) if checked_at else None, "used_at": self._used_at(digest),
                "pinned": b"p" + digest_key(digest) in self.meta}

    def _used_at(self, digest: str) -> str | None:
        if not self.is_here(digest):
            return None
        marks = sorted((struct.unpack(">Q", key[1:])[0], Fields(value, key).u64()) for key, value in self.meta.items() if key[:1] == b"t" and len(key) == 9)
        before = [at for sequence, at in marks if sequence <= self.blobs[digest].sequence]
        return _time(before[-1]) if before else None

    def check_files(self):
        """Every committed row has its file, with the bytes that its name promises; every file has its row."""
        files = {f"{path.parts[-3]}:{path.name}": path for path in (self.directory / "blobs").rglob("*") if path.is_file()}
        assert set(files) == {digest for digest, blob in self.blobs.items()}, "files and rows differ"
        for digest, path in files.items():
            data = path.read_bytes()
            assert (len(data), hashlib.new(digest.split(":")[0], data).hexdigest()) == (self.blobs[digest].size, digest.split(":")[1]), digest
        assert self.links == self.holders, "links and holders differ"
        order = {(blob.sequence, digest) for digest, blob in self.blobs.items() if blob.is_committed and not blob.pins}
        assert {entry for entry in self.order if entry[0]} == order, "the order of eviction is not that of the rows"


def _blob(fields: Fields) -> Blob:
    return Blob(fields.u8() == 1, fields.u64(), fields.u64(), fields.u64(), fields.u32())


def _manifest(fields: Fields) -> Manifest:
    media_type = fields.text()
    children = [fields.digest() for _ in range(fields.u32())]
    return Manifest(media_type, children, None if fields.is_at_end else fields.digest())


def _tag(fields: Fields) -> tuple[str, int]:
    return fields.digest(), fields.u64()


def _time(milliseconds: int) -> str:
    return datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
