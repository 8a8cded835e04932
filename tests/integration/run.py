#!/usr/bin/python3
"""Runs the integration tests against one binary.

    tests/integration/run.py [--short] [--list] [--jobs N] [NAME…]

--short  only what is marked for sanitizer builds. NAME: a module (test_pull), or a part of a test's name.
--jobs N  so many processes side by side, a module at a time in each; most tests wait most of the time.
The binary: ENTREPOT_BIN, or build/release/entrepot.
"""

import argparse
import faulthandler
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import unittest

STALLS_AGAIN = 2
HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from harness import client, paths  # noqa: E402

PATIENCE = int(os.environ.get("ENTREPOT_TEST_SECONDS", 600 if paths.is_sanitized() else 300))


def all_tests(suite):
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from all_tests(part)
        else:
            yield part


def is_short(test) -> bool:
    return getattr(test, "is_short", False) or getattr(getattr(test, test._testMethodName, None), "is_short", False)


class TookTooLong(Exception):
    """Raised in the main thread, wherever it waits."""
    has_happened = False

    @classmethod
    def throw(cls, *_):
        cls.has_happened = True
        faulthandler.dump_traceback(sys.__stderr__)
        raise cls(f"the test took more than {PATIENCE:.0f} s; what each thread was doing stands above")


class Result(unittest.TextTestResult):
    """Says how long each test took, and ends those that hang: the test, then each of its clean-ups."""

    def startTest(self, test):
        self._begun = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, 60)
        super().startTest(test)

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)

    def addSuccess(self, test):
        super(unittest.TextTestResult, self).addSuccess(test)
        self.stream.writeln(f"ok ({time.monotonic() - self._begun:.1f} s)")
        self.stream.flush()

    def getDescription(self, test):
        return test.id()


def failed_tests(result) -> dict[str, bool]:
    """The names of those that failed, and whether a stall is all that is wrong."""
    failed: dict[str, bool] = {}
    for test, traceback in (*result.failures, *result.errors):
        name = getattr(test, "test_case", test).id()
        failed[name] = failed.get(name, True) and "harness.entrepot.Stalled: " in traceback
    return failed


def passes(runner, tests) -> bool:
    """Runs the tests. Those that stalled, and did nothing else wrong, run again, alone: time that a hypervisor takes away
    looks like a stall where it does not say that it does (a program that only reads its clock sees 15 ms of CPU time gone
    there). What our code does comes again."""
    result = runner.run(unittest.TestSuite(tests))
    for _ in range(STALLS_AGAIN):
        failed = failed_tests(result)
        if not failed or not all(failed.values()):
            break
        print(f"stalled, so once more: {', '.join(failed)}", file=sys.stderr)
        result = runner.run(unittest.TestLoader().loadTestsFromNames(sorted(failed)))
    return result.wasSuccessful()


def run(tests) -> int:
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result)
    signal.signal(signal.SIGALRM, TookTooLong.throw)
    return 0 if passes(runner, tests) else 1


def by_module(tests) -> list[list]:
    modules = {}
    for test in tests:
        modules.setdefault(type(test).__module__, []).append(test)
    # Those with the most tests first: the last to end should be short.
    return sorted(modules.values(), key=len, reverse=True)


def run_side_by_side(tests, jobs: int) -> int:
    """What a module's run has said is printed when it has ended."""
    waiting, running, failed = by_module(tests), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            module = waiting.pop(0)
            said = tempfile.TemporaryFile()
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                end(run(module))
            running[child] = module, said
        child, status = os.wait()
        module, said = running.pop(child)
        said.seek(0)
        sys.stderr.write(said.read().decode(errors="replace"))
        sys.stderr.flush()
        if status != 0:
            failed.append(type(module[0]).__module__)
    print(f"{len(tests)} tests, {'failed: ' + ' '.join(failed) if failed else 'all passed'}", file=sys.stderr)
    return 1 if failed else 0


def end(code: int):
    """Without waiting for a thread that hangs; with what others do at the end of a process."""
    client.TALLY.save()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--short", action="store_true")
    arguments.add_argument("--list", action="store_true")
    arguments.add_argument("--jobs", type=int, default=1)
    arguments.add_argument("names", nargs="*")
    chosen = arguments.parse_args()

    tests = list(all_tests(unittest.TestLoader().discover(str(HERE), top_level_dir=str(HERE))))
    if chosen.short:
        tests = [test for test in tests if is_short(test)]
    if chosen.names:
        tests = [test for test in tests if any(name in test.id() for name in chosen.names)]
    if chosen.list:
        print("\n".join(test.id() for test in tests))
        return 0
    if not tests:
        print("no such tests", file=sys.stderr)
        return 2
    shutil.rmtree(paths.RESULTS, ignore_errors=True)
    print(f"{len(tests)} tests, binary {paths.BINARY}, logs in {paths.LOGS}", file=sys.stderr)
    return run_side_by_side(tests, chosen.jobs) if chosen.jobs > 1 else run(tests)


if __name__ == "__main__":
    code = main()
    if TookTooLong.has_happened:
        end(code)
    sys.exit(code)
