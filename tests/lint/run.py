#!/usr/bin/python3
"""Runs the lints over the repository, after their own tests. Exit code 1 when there is a finding."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
HERE = str(pathlib.Path(__file__).resolve().parent)
sys.path.insert(0, HERE)

import build_lists  # noqa: E402
import coroutines  # noqa: E402
import floors  # noqa: E402
import sources  # noqa: E402
import words  # noqa: E402


def main() -> int:
    own = unittest.TextTestRunner(verbosity=0).run(unittest.TestLoader().discover(HERE))
    files = sources.repository_files()
    findings = [finding for lint in (floors, build_lists, words, coroutines) for finding in lint.check(files)]
    for finding in findings:
        print(finding)
    print(f"lint: {len(files)} files, {len(findings)} findings")
    return 0 if own.wasSuccessful() and not findings else 1


if __name__ == "__main__":
    sys.exit(main())
