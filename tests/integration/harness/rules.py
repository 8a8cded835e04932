"""A server whose honest answers are changed by rules that a test lays down."""

import dataclasses

from .answers import Answer
from .quirks import Quirk
from .server import Seen, Server


@dataclasses.dataclass
class _Rule:
    method: str
    containing: str
    quirks: tuple[Quirk, ...]
    left: float
    to_ranges: bool | None

    def fits(self, seen: Seen) -> bool:
        return (self.left > 0 and self.method in (seen.method, "*") and self.containing in seen.path
                and self.to_ranges in (None, seen.header("Range") is not None))


class RuledServer(Server):
    """Subclasses say in `honest_answer(seen)` what they would answer without rules."""

    def __init__(self, **place):
        self._rules: list[_Rule] = []
        super().__init__(**place)

    def on(self, method: str, containing: str, *quirks: Quirk, times: float = float("inf"), to_ranges: bool | None = None):
        """Applies the quirks to the next `times` answers to such requests; with `to_ranges`, to those that asked for a
        Range only (True), or that did not (False). Later rules come on top of earlier ones. `method` "*": any."""
        with self._lock:
            self._rules.append(_Rule(method, containing, quirks, times, to_ranges))

    def behave(self):
        """No quirks any more."""
        with self._lock:
            self._rules.clear()

    def honest_answer(self, seen: Seen) -> Answer:
        raise NotImplementedError

    def answer(self, seen: Seen) -> Answer:
        answer = self.honest_answer(seen)
        for quirk in self._quirks_for(seen):
            quirk(answer)
        return answer

    def _quirks_for(self, seen: Seen) -> list[Quirk]:
        quirks = []
        with self._lock:
            for rule in self._rules:
                if rule.fits(seen):
                    rule.left -= 1
                    quirks += rule.quirks
        return quirks
