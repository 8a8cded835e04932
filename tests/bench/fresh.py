"""A rival as it is when it begins: a process of its own, with an empty cache. Over TLS, when there is a certificate."""

import contextlib
import itertools
import shutil

_numbers = itertools.count(1)


class FreshRow:
    """A row (rows.py) that measures processes of its own: nothing is to be prepared in those that run."""

    def others(self, _bench) -> tuple:
        """Who else takes part, besides the rivals."""
        return ()

    def prepare(self, _bench, _rival):
        pass


@contextlib.contextmanager
def fresh(bench, rival, tls=None):
    folder = bench.scratch / f"fresh-{next(_numbers)}"
    one = type(rival)(bench.upstream.url, folder, tls)
    bench.running.append(one)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        bench.running.remove(one)
        shutil.rmtree(folder, ignore_errors=True)
