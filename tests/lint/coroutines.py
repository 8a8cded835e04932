"""The part of C++ coroutines that g++ 12 gets right, and nothing else (architecture: "Flows and pumps").

`co_await` stands alone: as a statement, as the whole initialiser of one variable, or after `co_return`. What is awaited
is a name or a call whose arguments are names, constants, std::move(name), or literals that stay literals: g++ 12 destroys
temporaries in an awaiting expression twice, or copies them, and says nothing. No lambda is a coroutine, no parameter of
one is a T&&.
"""

import re

from sources import Finding, cpp_files, line_of, without_comments_and_strings

# The Task machinery itself, and the probe that shows what goes wrong outside the subset.
_EXEMPT = re.compile(r"base/task/|tests/.*compiler_probe")
_TYPE = r"(?:const\s+)?[A-Za-z_][\w:]*(?:<[^;=(){}]*>)?(?:::[A-Za-z_]\w*)*(?:\s*[*&])?"
_BEFORE = re.compile(rf"^(?:co_return|{_TYPE}\s+[A-Za-z_]\w*\s*=)?$")
_NAME = r"[*&]?(?:this\s*->\s*)?[A-Za-z_]\w*(?:\s*(?:\.|->|::)\s*~?[A-Za-z_]\w*)*"
_CONSTANT = r"-?\d[\w'.]*|true|false|nullptr|\*this"
_LITERAL = '""'
_ARGUMENT = re.compile(rf"^(?:{_NAME}|{_CONSTANT}|std::move\(\s*{_NAME}\s*\))$")
_CALLEE = re.compile(rf"^(?:{_NAME}|std::move\(\s*{_NAME}\s*\))(?:<[^;(){{}}]*>)?$")
_TASK_FUNCTION = re.compile(r"\b(?:Task|Awaiter|Completion)\w*<[^;{}()]*>\s+(?:\w+::)*(\w+)\s*\(")


def check(files: dict[str, str]) -> list[Finding]:
    sources = {path: without_comments_and_strings(text)
               for path, text in cpp_files(files, "base", "cache", "upstream", "proxy", "tests").items()}
    takes_strings = {name for code in sources.values() for name in _functions_with_strings(code)}
    findings = []
    for path, code in sources.items():
        if _EXEMPT.search(path):
            continue
        for offset, why in (*_awaits(code, takes_strings), *_lambdas(code), *_parameters(code)):
            findings.append(Finding(path, line_of(code, offset), why))
    return findings


def _functions_with_strings(code: str):
    """Names of coroutines that take a std::string: a literal given to one makes a temporary."""
    for found in _TASK_FUNCTION.finditer(code):
        close = _matching(code, found.end() - 1)
        if close is not None and re.search(r"\bstd::string\b", code[found.end():close]):
            yield found.group(1)


def _awaits(code: str, takes_strings: set[str]):
    for found in re.finditer(r"\bco_await\b", code):
        begin = _statement_begin(code, found.start())
        begin = _after_preprocessor(code, begin, found.start())
        before = _without_control(code[begin:found.start()].strip())
        end = code.find(";", found.end())
        awaited = code[found.end():end].strip()
        if not _BEFORE.match(" ".join(before.split())):
            yield found.start(), f"co_await inside a larger expression: {' '.join(code[begin:end].split())[:100]}"
        elif why := _bad_awaited(awaited, takes_strings):
            yield found.start(), f"{why}: {' '.join(awaited.split())[:100]}"


def _statement_begin(code: str, at: int) -> int:
    begin = at
    while begin > 0:
        begin = max(code.rfind(mark, 0, begin - 1) for mark in ";{}") + 1
        if code.count(")", begin, at) <= code.count("(", begin, at):
            break  # else that was a semicolon in the head of a `for`
    return begin


def _after_preprocessor(code: str, begin: int, end: int) -> int:
    last = list(re.finditer(r"^[ \t]*#[^\n]*\n", code[begin:end], re.MULTILINE))
    return begin + last[-1].end() if last else begin


def _without_control(before: str) -> str:
    """Takes `if (…)`, `else`, `for (…)`, `while (…)` and labels off the front, where they are complete."""
    while True:
        found = re.match(r"(?:else\b|do\b|case\s[^:;]*:(?!:)|default\s*:|(?:if|for|while|switch)(?:\s+constexpr)?\s*(?=\())",
                         before)
        if not found:
            return before
        rest = before[found.end():].lstrip()
        if rest.startswith("("):
            close = _matching(rest, 0)
            if close is None:
                return before  # the co_await is inside the parentheses
            rest = rest[close + 1:].lstrip()
        before = rest


def _bad_awaited(awaited: str, takes_strings: set[str]) -> str | None:
    if "co_await" in awaited:
        return "two co_await in one statement"
    if not awaited.endswith(")"):
        return None if _CALLEE.match(awaited) else "what is awaited is more than a name or a call"
    open_at = _matching_back(awaited, len(awaited) - 1)
    callee = awaited[:open_at].strip()
    if callee == "std::move":
        return None
    # Fine in front of the last call: getters, `loop().run_on(name)`, and looking into a Result, `(*body)->read()`.
    callee = re.sub(r"^\(\s*\*\s*(\w+)\s*\)", r"\1", callee.replace("()", ""))
    if not _CALLEE.match(callee):
        return "what is awaited is more than a name or a call"
    for argument in _split(awaited[open_at + 1:-1]):
        if argument == _LITERAL and re.split(r"\W+", callee)[-1] not in takes_strings:
            continue
        if argument and not _ARGUMENT.match(argument):
            return f"argument of an awaited call must be a name or std::move(name), not `{' '.join(argument.split())[:60]}`"
    return None


def _lambdas(code: str):
    for found in re.finditer(r"\{", code):
        if not _is_lambda(code[max(0, found.start() - 2000):found.start()]):
            continue
        close = _matching(code, found.start())
        body = code[found.start():close]
        inner = re.search(r"\bco_(?:await|return|yield)\b", body)
        if inner:
            yield found.start() + inner.start(), "a lambda must not be a coroutine: its captures die before it does"


def _is_lambda(before: str) -> bool:
    before = re.sub(r"->\s*[\w:<>,*&\s]+$", "", before.rstrip()).rstrip()
    before = re.sub(r"(?:\b(?:mutable|constexpr|noexcept)\s*)+$", "", before).rstrip()
    if before.endswith(")"):
        open_at = _matching_back(before, len(before) - 1)
        if open_at is None:
            return False
        before = before[:open_at].rstrip()
    if not before.endswith("]"):
        return False
    open_at = _matching_back(before, len(before) - 1)
    if open_at is None:
        return False
    in_front = before[:open_at].rstrip()
    return not re.search(r"[\w\])]$", in_front) or re.search(r"\b(?:return|co_return)$", in_front) is not None


def _parameters(code: str):
    for found in _TASK_FUNCTION.finditer(code):
        close = _matching(code, found.end() - 1)
        if close is None:
            continue
        if "&&" in code[found.end():close]:
            yield found.start(), "a coroutine must not take a T&&: what it refers to is gone after the first co_await"


_PAIRS = {"(": ")", "[": "]", "{": "}"}


def _matching(code: str, at: int) -> int | None:
    depth, opening, closing = 0, code[at], _PAIRS[code[at]]
    for offset in range(at, len(code)):
        if code[offset] == opening:
            depth += 1
        elif code[offset] == closing:
            depth -= 1
            if depth == 0:
                return offset
    return None


def _matching_back(code: str, at: int) -> int | None:
    closing = code[at]
    opening = next(o for o, c in _PAIRS.items() if c == closing)
    depth = 0
    for offset in range(at, -1, -1):
        if code[offset] == closing:
            depth += 1
        elif code[offset] == opening:
            depth -= 1
            if depth == 0:
                return offset
    return None


def _split(arguments: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for offset, character in enumerate(arguments):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(arguments[begin:offset].strip())
            begin = offset + 1
    return [*parts, arguments[begin:].strip()]
