"""Every source and every test file is in the build. A test that nobody compiles is worse than none."""

import posixpath
import re

from sources import Finding


def check(files: dict[str, str]) -> list[Finding]:
    findings = []
    lists = {posixpath.dirname(path): text for path, text in files.items() if path.endswith("CMakeLists.txt")}
    for path in files:
        if not path.endswith(".cc") or not path.startswith(("base/", "cache/", "upstream/", "proxy/", "tests/")):
            continue
        if not any(_names(text, folder, path) for folder, text in lists.items()):
            kind = "test" if path.endswith("_test.cc") else "source"
            findings.append(Finding(path, 1, f"{kind} file is named in no CMakeLists.txt: it is not built"))
    return findings


def _names(text: str, folder: str, path: str) -> bool:
    if folder and not path.startswith(folder + "/"):
        return False
    relative = posixpath.relpath(path, folder or ".")
    uncommented = re.sub(r"#[^\n]*", "", text)
    return re.search(rf"(?<![\w./-]){re.escape(relative)}(?![\w./-])", uncommented) is not None
