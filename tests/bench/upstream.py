"""The upstream: Debian's docker-registry, with a store of its own."""

import pathlib

from harness.registry import Registry


class Upstream:
    name = "upstream"

    def __init__(self, folder: pathlib.Path):
        self._log = folder / "upstream.log"
        self._registry = Registry(folder / "upstream", self._log, read_only=False)
        self._read = 0
        self._counts = {}

    @property
    def address(self) -> str:
        return self._registry.address

    @property
    def url(self) -> str:
        return self._registry.url

    @property
    def pid(self) -> int:
        return self._registry._process.pid

    def seen(self) -> dict[str, int]:
        """Requests answered so far: of blobs and manifests, and others (pings). Reads only what is new in the log."""
        with open(self._log, "rb") as log:
            log.seek(self._read)
            text = log.read()
        end = text.rfind(b"\n") + 1
        self._read += end
        for line in text[:end].splitlines():
            if b'"response completed' in line:
                kind = "objects" if b"/blobs/" in line or b"/manifests/" in line else "others"
                self._counts[kind] = self._counts.get(kind, 0) + 1
        return {"objects": self._counts.get("objects", 0), "others": self._counts.get("others", 0)}

    def stop(self):
        self._registry.stop()
