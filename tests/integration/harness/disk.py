"""What a cache directory takes on its disk, watched while tests run; and a disk that is small."""

import ctypes
import os
import pathlib
import threading

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x20000, 0x4000, 0x40000, 2
_libc = ctypes.CDLL(None, use_errno=True)


def used(folder: pathlib.Path) -> int:
    """Bytes on disk of all files below: blocks, not lengths; a file with two names once."""
    return sum(_files(folder).values())


def used_while_it_changes(folder: pathlib.Path) -> int:
    """What files below certainly took together at one moment, while some come and go. One look would count a file that is
    evicted a moment later and the one that takes its place; so this counts what is there in two looks, by the smaller."""
    before, after = _files(folder), _files(folder)
    return sum(min(size, after[key]) for key, size in before.items() if key in after)


def _files(folder: pathlib.Path) -> dict[tuple, int]:
    files = {}
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(path, name))
            except FileNotFoundError:  # evicted meanwhile
                continue
            # A part and its blob are one file, and both names hold the digest; the number alone is used again by others.
            files[(status.st_ino, name.removesuffix(".link").rsplit("-", 1)[-1])] = status.st_blocks * 512
    return files


def anonymous_memory(pid: int) -> int:
    """Bytes of memory that belong to the process alone: not the pages of files that it has mapped."""
    return _status(pid, "RssAnon")


def peak_memory(pid: int) -> int:
    """The most bytes that the process has ever had in memory, mapped files included."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{pid}/status has no {name}")


class Highest:
    """Samples a number again and again in a thread, and keeps the highest: `with Highest(lambda: …) as highest`."""

    def __init__(self, sample, every: float = 0.01):
        self._sample, self._every = sample, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.value, self.samples = 0, 0
        self._failure: BaseException | None = None

    def _run(self):
        try:
            while True:
                self.value = max(self.value, self._sample())
                self.samples += 1
                if self._stop.wait(self._every):
                    return
        except BaseException as failure:
            self._failure = failure

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise AssertionError("the sampling failed") from self._failure


def why_no_mount() -> str | None:
    return None if os.geteuid() == 0 else "mounting a small file system needs root"


def mount_small(folder: pathlib.Path, size: str):
    """A tmpfs of that size at `folder`. In a mount namespace of our own: nobody else sees it, and it ends with the run."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")
    folder.mkdir(parents=True)
    _check(_libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size},mode=0700".encode()), "mount tmpfs")


def unmount(folder: pathlib.Path):
    _check(_libc.umount2(os.fsencode(folder), _MNT_DETACH), "umount")


def _check(result: int, what: str):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
