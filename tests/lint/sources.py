"""What the lints look at: the repository's files as text, and C++ without its comments and strings."""

import dataclasses
import os
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODULES = ("base", "cache", "upstream", "proxy")
CPP = (".cc", ".h")
TEXT = (*CPP, ".c", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ".toml", ".yml", ".service", ".socket", ".conf", "")
_SKIPPED = {"build", ".git", "__pycache__"}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


def repository_files() -> dict[str, str]:
    """Path (from the top, with slashes) to content, of every text file outside build/."""
    files = {}
    for folder, folders, names in os.walk(REPOSITORY):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for name in sorted(names):
            path = pathlib.Path(folder) / name
            if path.suffix in TEXT and path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if b"\0" not in data:
                    files[str(path.relative_to(REPOSITORY))] = data.decode(errors="replace")
    return files


def cpp_files(files: dict[str, str], *folders: str) -> dict[str, str]:
    return {path: text for path, text in files.items()
            if path.endswith(CPP) and path.startswith(tuple(f"{folder}/" for folder in folders or MODULES))}


_COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:[^"\\\n]|\\.)*"|(?<![0-9a-zA-Z_])\'(?:[^\'\\\n]|\\.)+\'',
    re.DOTALL)


def without_comments_and_strings(text: str) -> str:
    """The same text with comments blanked out and strings emptied; lines keep their numbers."""
    def blank(found: re.Match) -> str:
        whole = found.group()
        lines = "\n" * whole.count("\n")
        if whole.startswith(("//", "/*")):
            return " " + lines
        return ('""' if whole[0] in '"R' else "' '") + lines
    return _COMMENT_OR_STRING.sub(blank, text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
