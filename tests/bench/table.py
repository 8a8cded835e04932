"""From samples to what is read: median and spread, ratios within a round, Markdown."""

import statistics

REFERENCES = ("nginx", "docker-registry", "upstream")


class Table:
    """The samples of one row: for each rival one a round, None where it failed."""

    def __init__(self, row, title: str):
        self.row, self.title = row, title
        self.samples: dict[str, list] = {}
        self.failures: dict[str, str] = {}

    def add(self, rival: str, sample: dict):
        self.samples.setdefault(rival, []).append(sample)

    def fail(self, rival: str, why: str):
        self.samples.setdefault(rival, []).append(None)
        self.failures[rival] = why

    def markdown(self) -> str:
        references = [name for name in REFERENCES if any(self.samples.get(name, ()))]
        titles = []
        for column in self.row.columns:
            titles.append(column.title)
            titles += [f"× {name}" for name in references] if column.compared else []
        lines = [f"### {self.title}", "", "| | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(titles)]
        for rival in self.samples:
            lines.append(f"| {rival} | " + " | ".join(self._cells(rival, references)) + " |")
        return "\n".join(lines + ["", *self._notes()])

    def _cells(self, rival, references) -> list[str]:
        cells = []
        for column in self.row.columns:
            cells.append(_spread([s[column.key] for s in self.samples[rival] if s], column.digits))
            if column.compared:
                cells += ["" if name == rival else _ratio(self._ratios(rival, name, column.key)) for name in references]
        return cells

    def _ratios(self, rival, reference, key) -> list[float]:
        pairs = zip(self.samples[rival], self.samples[reference])
        return [mine[key] / theirs[key] for mine, theirs in pairs if mine and theirs and theirs[key]]

    def _notes(self) -> list[str]:
        notes = [f"{rival} failed at least once: {why}" for rival, why in self.failures.items()]
        for rival, samples in self.samples.items():
            if rival == "upstream":
                continue
            asked = sum(s["upstream_objects"] for s in samples if s and "requests" in s)
            pings = sum(s["upstream_others"] for s in samples if s and "requests" in s)
            of = sum(s["requests"] for s in samples if s and "requests" in s)
            if of and asked + pings:
                notes.append(f"{rival} asked the upstream meanwhile: {asked / of:.2f} times a request for the object, "
                             f"{pings / of:.2f} times for /v2/.")
        return [*notes, ""] if notes else []

    def foreign(self) -> list[float]:
        return [s["foreign_cpu"] for samples in self.samples.values() for s in samples if s]


def _spread(numbers, digits: int) -> str:
    if not numbers:
        return "–"
    middle, least, most = (f"{n:,.{digits}f}" for n in (statistics.median(numbers), min(numbers), max(numbers)))
    return middle if least == most else f"**{middle}** ({least}–{most})"


def _ratio(numbers) -> str:
    """With two digits that say something, however small."""
    digits = 2
    while numbers and statistics.median(numbers) < 10 ** (1 - digits) and digits < 5:
        digits += 1
    return _spread(numbers, digits)


def quietness(tables) -> str:
    """How much else ran on the machine while samples were taken."""
    shares = sorted(share for table in tables for share in table.foreign())
    if not shares:
        return "no samples"
    return (f"other processes used {statistics.median(shares):.0%} of the machine's CPU time (median of the samples; at most "
            f"{shares[-1]:.0%}; {sum(share > 0.1 for share in shares)} of {len(shares)} samples above 10%)")
