"""Words and calls that we do without, lines that a file may have, and paths that belong to one machine only."""

import re

from sources import CPP, Finding, cpp_files, line_of, without_comments_and_strings

MAX_LINES = 450

_NAMES = re.compile(r"\b\w*(?:Manager|Helper|Util(?:s|ity|ities)?)(?![a-z])\w*|\b(?:\w*_)?(?:manager|helper|utils?)(?:_\w*)?\b"
                    r"|\b\w*[Dd]ownstream\w*")
_CALLS = (
    (re.compile(r"\w*lenient\w*", re.IGNORECASE), "llhttp's leniencies stay off"),
    (re.compile(r"CURLOPT_FOLLOWLOCATION\s*,(?!\s*0)"), "redirects are followed by hand, so that credentials stay behind"),
    (re.compile(r"(?<![\w.>])(?:std::|::)?(strcpy|strcat|sprintf|vsprintf|gets|system|popen)\s*\("), "unsafe call"),
)
# What systemd calls itself is a term, not a way out of finding a name.
_TERMS = re.compile(r"[Ss]ervice_?[Mm]anager")
# Spelt so that this file does not contain what it looks for. Made-up people may have a home in a test.
_PLACES = re.compile("(?<![\\w.$}])/(?:" + "|".join(
    ("home/(?!me\\b|user\\b)[a-z]", "Users/[A-Za-z]", "root/", "work/(?:main|shared|\\.)")) + ")")


def check(files: dict[str, str]) -> list[Finding]:
    return _check_words(files) + _check_lengths(files) + _check_places(files)


def _check_words(files) -> list[Finding]:
    findings = []
    for path, text in cpp_files(files, "base", "cache", "upstream", "proxy", "tests").items():
        code = without_comments_and_strings(text)
        code = _TERMS.sub("", code)
        if found := _NAMES.search(_TERMS.sub("", re.sub(r"[/.]", " ", path))):
            findings.append(Finding(path, 1, f"a name that says nothing: {found.group()}"))
        for found in _NAMES.finditer(code):
            findings.append(Finding(path, line_of(code, found.start()), f"a name that says nothing: {found.group()}"))
        for pattern, why in _CALLS if not path.startswith("tests/") else ():
            for found in pattern.finditer(code):
                findings.append(Finding(path, line_of(code, found.start()), f"{found.group().strip()}: {why}"))
    return findings


def _check_lengths(files) -> list[Finding]:
    findings = []
    for path, text in files.items():
        lines = text.count("\n")
        if path.endswith((*CPP, ".py", ".sh")) and lines > MAX_LINES:
            findings.append(Finding(path, lines, f"{lines} lines; a file of more than {MAX_LINES} is two files"))
    return findings


def _check_places(files) -> list[Finding]:
    findings = []
    for path, text in files.items():
        for found in _PLACES.finditer(text):
            shown = text[found.start():].split("\n")[0][:30]
            findings.append(Finding(path, line_of(text, found.start()), f"a path of one machine: {shown}"))
    return findings
