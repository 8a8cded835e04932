"""Where things are: the repository, the binary under test, and the folders that tests write to."""

import os
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("ENTREPOT_BUILD_DIR", REPOSITORY / "build"))
BINARY = pathlib.Path(os.environ.get("ENTREPOT_BIN", BUILD / "release" / "entrepot")).resolve()

# One name for a run, so that a run with the asan binary does not overwrite the logs of one with the release binary.
RUN = os.environ.get("ENTREPOT_TEST_RUN", BINARY.parent.name)

IMAGES = BUILD / "test-images"
LOGS = BUILD / "test-logs" / RUN
RESULTS = BUILD / "test-results" / RUN

# Caches and data roots. Not below the repository: a unix socket's path may have 107 characters.
SCRATCH = pathlib.Path(os.environ.get("ENTREPOT_TEST_TMP", "/var/tmp"))


def is_sanitized() -> bool:
    """True when the binary under test was built with a sanitizer: everything takes several times as long."""
    return any(name in BINARY.parent.name for name in ("asan", "tsan"))


def patience(seconds: float) -> float:
    """A deadline for the machine at hand: generous, because it is only reached when something is broken."""
    return seconds * (5 if is_sanitized() else 1)
