"""A network of the test's own: whatever is started inside sees loopback and one address that is none of loopback's, since
docker and podman do not verify the certificates of 127.0.0.1. Needs root."""

import ctypes
import os

from .process import run

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class OwnNetwork:
    """For the main thread, and the threads and processes that it starts meanwhile."""
    ADDRESS = "192.0.2.10"   # of RFC 5737: nobody's

    def __init__(self):
        self._before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(_CLONE_NEWNET))
        run(["ip", "link", "set", "lo", "up"])
        run(["ip", "address", "add", f"{self.ADDRESS}/32", "dev", "lo"])

    def leave(self):
        _check(_libc.setns(self._before, _CLONE_NEWNET))
        os.close(self._before)


def _check(result: int):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
