"""Credentials for tests. Each is a canary: once made, no log of the run may hold it, in any of its encodings."""

import base64
import pathlib
import secrets as random_source

_canaries: dict[str, str] = {}   # value → label


def make(label: str) -> str:
    """A new secret. The label tells which one leaked."""
    value = f"canary{random_source.token_hex(12)}"
    _canaries[value] = label
    return value


def remember(label: str, value: str):
    """Makes a canary of a value that somebody else made: a token, a signed query."""
    _canaries[value] = label


def basic(username: str, password: str) -> str:
    """The value of an Authorization header, itself a canary."""
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    _canaries[encoded] = f"basic of {username}"
    return f"Basic {encoded}"


def found_in(text: str) -> list[str]:
    """The labels of the secrets that the text holds."""
    return [label for value, label in _canaries.items() if value in text]


def write(path: pathlib.Path, value: str) -> pathlib.Path:
    """A file only its owner may read, ending in a line break as editors leave it."""
    path.write_text(value + "\n")
    path.chmod(0o600)
    return path
