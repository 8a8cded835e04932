"""A small ext4 of a test's own, on a loop device: full when it is full, read-only when told so, and its power can be cut.

It lives in a mount namespace of its own with its image in memory, so nothing of it is left when the run ends, however it ends.
"""

import fcntl
import os
import pathlib
import struct
import subprocess

from . import disk, process

_SHUTDOWN = 0x8004587d  # EXT4_IOC_SHUTDOWN
FLUSHED, JOURNAL_FLUSHED, NOTHING_FLUSHED = 0, 1, 2


class Ext4:
    """Mounted at `folder`/disk. Call it from the thread that starts the processes which are to see it."""

    def __init__(self, folder: pathlib.Path, mib: int, inodes: int | None = None):
        self.mount_point = folder / "disk"
        self._folder, self._ballast = folder, self.mount_point / "ballast"
        disk.mount_small(folder, f"{mib + 8}m")
        self._image = folder / "image"
        self._image.touch()
        os.truncate(self._image, mib << 20)
        few = ["-N", str(inodes)] if inodes else []
        process.run(["mkfs.ext4", "-q", "-F", "-m", "0", *few, self._image])
        self.mount_point.mkdir()
        self.mount()

    def mount(self):
        """Replays the journal, where it has to be."""
        process.run(["mount", "-t", "ext4", "-o", "loop,noatime", self._image, self.mount_point])

    def unmount(self, lazily: bool = False):
        process.run(["umount", *(["-l"] if lazily else []), self.mount_point])

    def remount(self, how: str):
        """"ro", "rw", or "abort": as after an error, read-only until it is mounted again."""
        process.run(["mount", "-o", f"remount,{how}", self.mount_point])

    def sync(self):
        process.run(["sync", "-f", self.mount_point])

    def cut(self, flag: int = NOTHING_FLUSHED):
        """The power fails: nothing that is not on the disk will ever be."""
        directory = os.open(self.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, _SHUTDOWN, struct.pack("=I", flag))
        finally:
            os.close(directory)

    def power_on(self):
        """After a cut, when nobody has files open on it any more."""
        self.unmount()
        self.mount()

    def fill(self, leave: int = 0):
        """To the last byte, or so that `leave` bytes are free."""
        with open(self._ballast, "ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while self.free() >= leave + size or not leave:
                        file.write(bytes(size))
                except OSError:
                    pass

    def free(self) -> int:
        status = os.statvfs(self.mount_point)
        return status.f_bavail * status.f_frsize

    def use_up_inodes(self):
        self._ballast.mkdir()
        try:
            for number in range(1 << 20):
                (self._ballast / str(number)).touch()
        except OSError:
            return

    def make_room(self):
        """Undoes `fill` and `use_up_inodes`."""
        process.run(["rm", "-rf", self._ballast])

    def close(self):
        """For clean-ups: whatever state it is in."""
        subprocess.run(["umount", "-l", str(self.mount_point)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        disk.unmount(self._folder)
