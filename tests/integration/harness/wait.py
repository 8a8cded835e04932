"""Waiting for a condition with a deadline, instead of sleeping."""

import time

from .paths import patience


class Timeout(AssertionError):
    pass


def until(condition, what: str, seconds: float = 20, every: float = 0.02):
    """Calls `condition` until it returns something true, and returns that. `what` says what was waited for."""
    deadline = time.monotonic() + patience(seconds)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Timeout(f"waited {patience(seconds):.0f} s in vain for {what}")
        time.sleep(every)
