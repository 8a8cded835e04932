"""Many clients at once, each in a thread of its own, whose progress a test can see and wait for."""

import threading

from . import wait
from .content import LARGE

# A deadline, for the size of the blobs at hand.
SECONDS = 60 * max(1, LARGE >> 25)


class Crowd:
    """`calls` are functions of `on_bytes`: `lambda on_bytes: client.get(target, on_bytes=on_bytes)`. They start together,
    at once."""

    def __init__(self, calls):
        calls = list(calls)
        self.replies = [None] * len(calls)
        self.got = [0] * len(calls)       # how many bytes of body each has
        self._ended = [False] * len(calls)
        self._failures: list[BaseException] = []
        self._barrier = threading.Barrier(len(calls))
        for number, call in enumerate(calls):
            threading.Thread(target=self._run, args=(number, call), daemon=True).start()

    def _run(self, number: int, call):
        try:
            self._barrier.wait()
            self.replies[number] = call(lambda total: self.got.__setitem__(number, total))
        except BaseException as failure:  # told by whoever waits
            self._failures.append(failure)
        self._ended[number] = True

    def wait_for(self, least: int, what: str = "", who=None):
        """Until each (or each of `who`, by number) has so many bytes of body. One that ends before is a failure."""
        who = range(len(self.got)) if who is None else who

        def all_have():
            self._expect_no_failure()
            ended = [n for n in who if self._ended[n]]
            behind = [n for n in who if self.got[n] < least]
            early = [self.replies[n] for n in behind if n in ended]
            assert not early, f"ended before {least} bytes ({what}): {early[:3]}"
            return not behind

        wait.until(all_have, f"{least} bytes for each client ({what})", SECONDS)

    def wait_ended(self, who=None):
        """Until each (of `who`) has ended; their replies."""
        who = range(len(self.got)) if who is None else who
        wait.until(lambda: all(self._ended[n] for n in who), "clients to end", SECONDS)
        self._expect_no_failure()
        return [self.replies[n] for n in who]

    def _expect_no_failure(self):
        if self._failures:
            raise AssertionError(f"{len(self._failures)} clients failed") from self._failures[0]
