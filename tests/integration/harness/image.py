"""Real images made on the spot, from the files of installed Debian packages.

Made once per machine and kept in build/test-images: an OCI layout, and a docker-registry store that the layout was pushed
to by skopeo. Tests start as many registries on that store as they like; they only read it.

  library/house    the real thing: six layers, the four big ones 10-150 MB compressed; an OCI index of two platforms.
                   Tags `latest` (the index) and `docker` (Docker schema 2, one platform).
  library/hut      the same in small: three layers, 1 MB together; for tests that pull often.
  keys/house, keys/hut   the same again: repositories that tests make private.
"""

import dataclasses
import fcntl
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import tarfile

from . import paths
from .process import run

RECIPE = 3  # counts up when an image made by this file changes
BIG_LAYERS = (("docker.io",), ("containerd", "umoci"), ("cpp-12", "g++-12"), ("docker-registry", "skopeo"))
REPOSITORIES = {"house": ("library/house", "keys/house"), "hut": ("library/hut", "keys/hut")}

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclasses.dataclass(frozen=True)
class Blob:
    digest: str
    size: int
    media_type: str


@dataclasses.dataclass(frozen=True)
class Image:
    """What the upstream holds under one tag: every digest a pull must end up with."""
    name: str                 # "house"
    tag: str
    root: Blob                # what the tag names: an index, or a manifest
    manifest: Blob            # of linux/amd64
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def manifests(self) -> list[Blob]:
        return list(dict.fromkeys((self.root, self.manifest)))

    @property
    def blobs(self) -> list[Blob]:
        return list(dict.fromkeys((self.config, *self.layers)))

    @property
    def digests(self) -> list[str]:
        return [part.digest for part in (*self.manifests, *self.blobs)]


class Store:
    """The folder with everything in it."""

    def __init__(self, folder: pathlib.Path):
        self.registry_root = folder / "registry"
        self._folder = folder

    def path(self, digest: str) -> pathlib.Path:
        """The file that holds a blob's or manifest's bytes."""
        algorithm, value = digest.split(":")
        return self.registry_root / "docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"

    def image(self, name: str, tag: str = "latest") -> Image:
        return _read_image(self._folder / f"{name}-{tag}", name, tag)


def store() -> Store:
    """The store, made now if this machine does not have it yet. Safe to call from several runs at once."""
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    folder = paths.IMAGES / _key()
    with open(paths.IMAGES / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = paths.IMAGES / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            _make(unfinished)
            unfinished.rename(folder)
    return Store(folder)


def _key() -> str:
    packages = sorted(name for group in BIG_LAYERS for name in group) + ["busybox-static"]
    versions = run(["dpkg-query", "-W", "-f", "${Package}=${Version}\n", *packages])
    return hashlib.sha256(f"{RECIPE}\n{versions}".encode()).hexdigest()[:16]


def _make(folder: pathlib.Path):
    from .registry import Registry  # here, because a registry needs no image and an image needs a registry

    _Layout(folder / "house-latest").write([_busybox(), *map(_package_files, BIG_LAYERS), _small_files()], index=True)
    _Layout(folder / "hut-latest").write([_busybox(), _package_files(("busybox-static",)), _small_files()], index=True)
    (folder / "registry").mkdir()
    with Registry(folder / "registry", folder / "registry.log", read_only=False) as registry:
        for name, repositories in REPOSITORIES.items():
            skopeo = ["skopeo", "--insecure-policy", "--override-arch", "amd64", "copy", "--quiet"]
            run([*skopeo, "--format", "v2s2", f"oci:{folder}/{name}-latest:latest", f"dir:{folder}/{name}-docker"])
            for repository in repositories:
                to = f"docker://{registry.address}/{repository}"
                unchanged = ["--all", "--preserve-digests", "--dest-tls-verify=false"]
                run([*skopeo, *unchanged, f"oci:{folder}/{name}-latest:latest", f"{to}:latest"])
                run([*skopeo, *unchanged, f"dir:{folder}/{name}-docker", f"{to}:docker"])
    for name in REPOSITORIES:  # the registry holds the big files now; manifests and configurations stay readable here
        for layer in _read_image(folder / f"{name}-latest", name, "latest").layers:
            (folder / f"{name}-latest/blobs/sha256" / layer.digest.split(":")[1]).unlink(missing_ok=True)
            (folder / f"{name}-docker" / layer.digest.split(":")[1]).unlink(missing_ok=True)


def _read_image(folder: pathlib.Path, name: str, tag: str) -> Image:
    if (folder / "manifest.json").exists():  # skopeo's dir: format, one manifest
        text = (folder / "manifest.json").read_bytes()
        root = manifest = Blob(_digest(text), len(text), json.loads(text)["mediaType"])
    else:
        def parse(digest):
            return json.loads((folder / "blobs/sha256" / digest.split(":")[1]).read_bytes())

        root = _blob(json.loads((folder / "index.json").read_bytes())["manifests"][0])
        amd64 = [m for m in parse(root.digest)["manifests"] if m["platform"]["architecture"] == "amd64"]
        manifest = _blob(amd64[0])
        text = (folder / "blobs/sha256" / manifest.digest.split(":")[1]).read_bytes()
    parsed = json.loads(text)
    return Image(name, tag, root, manifest, _blob(parsed["config"]), tuple(map(_blob, parsed["layers"])))


def _blob(descriptor: dict) -> Blob:
    return Blob(descriptor["digest"], descriptor["size"], descriptor["mediaType"])


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class _Layout:
    """Writes an OCI image layout (image-spec, image-layout.md)."""

    def __init__(self, folder: pathlib.Path):
        self._blobs = folder / "blobs/sha256"
        self._folder = folder
        self._blobs.mkdir(parents=True)

    def write(self, layers: list, index: bool):
        """`layers` are functions that fill an open tar file."""
        written = [self._layer(fill) for fill in layers]
        manifests = [self._manifest(architecture, written) for architecture in ("amd64", "arm64")]
        root = self._json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}, OCI_INDEX)
        root["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        (self._folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (self._folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))

    def _manifest(self, architecture: str, layers: list) -> dict:
        config = self._json({
            "architecture": architecture, "os": "linux", "created": "2020-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [{"created_by": f"layer {n}"} for n in range(len(layers))],
        }, OCI_CONFIG)
        descriptor = self._json({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
                                 "layers": [layer for layer, _ in layers]}, OCI_MANIFEST)
        descriptor["platform"] = {"architecture": architecture, "os": "linux"}
        return descriptor

    def _json(self, value: dict, media_type: str) -> dict:
        data = json.dumps(value, indent=1).encode()
        (self._blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
        return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}

    def _layer(self, fill) -> tuple[dict, str]:
        path = self._blobs / "layer"
        with open(path, "wb") as file:
            packed = _Hashing(file)
            with gzip.GzipFile("", "wb", 1, packed, mtime=0) as zipped:
                plain = _Hashing(zipped)
                with tarfile.open(fileobj=plain, mode="w|", format=tarfile.GNU_FORMAT) as tar:
                    fill(tar)
        path.rename(self._blobs / packed.hash.hexdigest())
        digest = "sha256:" + packed.hash.hexdigest()
        return ({"mediaType": OCI_LAYER, "digest": digest, "size": packed.size}, "sha256:" + plain.hash.hexdigest())


class _Hashing:
    """A file to write to, which hashes what goes through."""

    def __init__(self, file):
        self._file, self.hash, self.size = file, hashlib.sha256(), 0

    def write(self, data) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self):
        self._file.flush()


def _entry(name: str, size: int = 0, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.linkname, info.mtime = size, mode, kind, target, 1577836800
    return info


def _busybox():
    def fill(tar: tarfile.TarFile):
        busybox = pathlib.Path("/bin/busybox")
        tar.addfile(_entry("bin", mode=0o755, kind=tarfile.DIRTYPE))
        with open(busybox, "rb") as file:
            tar.addfile(_entry("bin/busybox", busybox.stat().st_size, 0o755), file)
        for applet in ("sh", "echo", "cat", "ls", "sha256sum"):
            tar.addfile(_entry(f"bin/{applet}", kind=tarfile.SYMTYPE, mode=0o777, target="busybox"))
    return fill


def _small_files():
    """A layer of a few hundred bytes: registries, proxies and clients have a path of their own for small blobs."""
    def fill(tar: tarfile.TarFile):
        for name, text in (("etc/passwd", "root:x:0:0::/:/bin/sh\n"), ("etc/motd", "an entrepot test image\n")):
            tar.addfile(_entry(name, len(text)), io.BytesIO(text.encode()))
    return fill


def _package_files(packages: tuple[str, ...]):
    def fill(tar: tarfile.TarFile):
        listed = run(["dpkg", "-L", *packages]).split("\n")
        for name in sorted(set(listed)):
            path = pathlib.Path(name)
            if not name.startswith("/usr/") or path.is_symlink() or not path.is_file():
                continue
            with open(path, "rb") as file:
                mode = 0o755 if os.access(path, os.X_OK) else 0o644
                tar.addfile(_entry("opt" + name, path.stat().st_size, mode), file)
    return fill
