"""A disk that fails on command: the program runs with tests/shim/disk_faults.c preloaded, and a test lays rules.

    faults = self.make_disk_faults(root)
    proxy = self.make_entrepot(…, environment=faults.environment, cache__directory=str(root))
    full = faults.lay("create", "parts/*", "errno ENOSPC")
    …
    self.assertGreater(full.happened, 0)
    faults.clear()
"""

import collections
import mmap
import pathlib
import struct

from . import paths, process

SOURCE = paths.REPOSITORY / "tests" / "shim" / "disk_faults.c"
_NUMBERS = 4096
_HEADER = 3 * 8
_FOR_EVER = 1 << 62

# Calls after which the disk is another one than before.
CHANGES = ("create", "write", "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate", "msync", "link", "rename", "unlink",
           "mkdir")

Call = collections.namedtuple("Call", "name path result")  # result: negative, an errno


class Rule:
    """What was laid, and how often it matched and happened so far."""

    def __init__(self, faults: "DiskFaults", number: int, line: str):
        self._faults, self._number, self.line = faults, number, line

    @property
    def matched(self) -> int:
        return self._faults.count(self._number, 0)

    @property
    def happened(self) -> int:
        return self._faults.count(self._number, 1)


class DiskFaults:
    """For one process at a time, on files below `root`. Its own files are in `folder`, which must not be below it."""

    def __init__(self, folder: pathlib.Path, root: pathlib.Path):
        folder.mkdir(parents=True)
        self._library = folder / "disk_faults.so"
        process.run(["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", self._library, SOURCE])
        self._rules, self._trace = folder / "rules", folder / "trace"
        self._rules.write_text("")
        shared = folder / "shared"
        shared.write_bytes(bytes(_HEADER + 16 * _NUMBERS))
        with open(shared, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)
        self._laid: list[Rule] = []
        self._numbers = iter(range(1, _NUMBERS))
        self.environment = {
            "LD_PRELOAD": str(self._library), "DISK_FAULTS_ROOT": str(root.resolve()), "DISK_FAULTS_RULES": str(self._rules),
            "DISK_FAULTS_SHARED": str(shared), "DISK_FAULTS_TRACE": str(self._trace),
        }

    def lay(self, calls: str, glob: str, action: str, first: int = 1, last: int = _FOR_EVER) -> Rule:
        """From the next call on. `calls`, `glob` and `action` are described in tests/shim/README.md. Earlier rules go first."""
        number = next(self._numbers, None)
        if number is None:
            self._numbers = iter(range(1, _NUMBERS))
            number = next(self._numbers)
        struct.pack_into("=QQ", self._shared, _HEADER + 16 * number, 0, 0)
        rule = Rule(self, number, f"{number} {calls} {glob} {first}-{last} {action}")
        self._laid.append(rule)
        self._publish()
        return rule

    def clear(self):
        """The disk is well again; what was held goes on."""
        self._laid.clear()
        self._publish()

    def count(self, number: int, which: int) -> int:
        return self._read(_HEADER + 16 * number + 8 * which)

    def start_trace(self, most: int = 20_000):
        """Of all calls, `most` at most."""
        self._trace.unlink(missing_ok=True)
        struct.pack_into("=QQ", self._shared, 8, 1, most)

    def stop_trace(self) -> list[Call]:
        """What was called, in the order in which the calls ended."""
        struct.pack_into("=Q", self._shared, 8, 0)
        assert self._read(16) > 0, "there were more calls than may be traced"
        lines = self._trace.read_text().splitlines() if self._trace.exists() else []
        return [Call(name, path, int(result)) for name, path, result in (line.split("\t") for line in lines)]

    def _publish(self):
        fresh = self._rules.with_suffix(".new")
        fresh.write_text("".join(f"{rule.line}\n" for rule in self._laid))
        fresh.rename(self._rules)
        struct.pack_into("=Q", self._shared, 0, self._read(0) + 1)

    def _read(self, offset: int) -> int:
        return struct.unpack_from("=Q", self._shared, offset)[0]
