"""Who may include whom (architecture: "Floors"), and which files see which C library."""

import posixpath
import re

from sources import Finding, cpp_files, line_of

# A room, and the rooms it may include from besides itself. `proxy/main.cc` knows them all.
FLOORS = {
    "base": (),
    "cache": ("base",),
    "upstream": ("base",),
    "proxy/http": ("base",),
    "proxy/pull": ("cache", "upstream", "base"),
    "proxy/warm": ("proxy/pull", "cache", "upstream", "base"),
    "proxy/manage": ("cache", "upstream", "base"),
    "proxy/access": ("cache", "upstream", "base"),
    "proxy/registry": ("proxy/pull", "proxy/access", "proxy/http", "base"),
    "proxy/config": ("upstream", "cache", "proxy/http", "base"),
    "proxy/admin": ("proxy/http", "proxy/config", "proxy/pull", "proxy/access", "cache", "upstream", "base"),
    "proxy/cli": ("proxy/config", "proxy/manage", "proxy/http", "cache", "upstream", "base"),
}
# Puts the parts together, as main.cc does, and so knows every room.
FLOORS["proxy/daemon"] = tuple(FLOORS)
# A library's header: where it may be seen, and by how many files (a header and its source count as one).
LIBRARIES = {
    "lmdb.h": (r"cache/[^/]+$", 1),
    "curl/curl.h": (r"upstream/(curl[^/]*|aws/curl[^/]*|url\.cc)$|proxy/cli/control_client\.cc$", None),  # url.cc: what we check is what curl dials
    "llhttp.h": (r"proxy/http/[^/]+$", 1),
    "uv.h": (r"base/loop/[^/]+$|upstream/curl[^/]*$|proxy/main\.cc$", None),
}
_SSL = "openssl/ssl.h"  # one file of proxy/http, the curl files, and the store of CAs that they share
_SSL_UPSTREAM = ("upstream/curl", "upstream/ca_store")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def room_of(path: str) -> str | None:
    return next((room for room in FLOORS if path.startswith(room + "/")), None)


def check(files: dict[str, str]) -> list[Finding]:
    findings: list[Finding] = []
    seen_by: dict[str, dict[str, tuple[str, int]]] = {}
    for path, text in cpp_files(files).items():
        room = room_of(path)
        if room is None and path != "proxy/main.cc":
            findings.append(Finding(path, 1, "lies in no room that the include rules know"))
            continue
        for found in _INCLUDE.finditer(text):
            ours, system = found.groups()
            line = line_of(text, found.start())
            if ours:
                findings += _ours(path, room, ours, line, files)
            if system in LIBRARIES or system == _SSL:
                seen_by.setdefault(system, {})[path] = (posixpath.splitext(path)[0], line)
    return findings + _libraries(seen_by)


def _ours(path, room, included, line, files) -> list[Finding]:
    if included not in files:
        return [Finding(path, line, f'"{included}" is not a path from the top of the repository')]
    if room is None:
        return []
    target = room_of(included)
    if target == room or target in FLOORS[room]:
        return []
    allowed = ", ".join(FLOORS[room]) or "nothing"
    return [Finding(path, line, f'{room} may include {allowed}, not "{included}"')]


def _libraries(seen_by) -> list[Finding]:
    findings = []
    for header, places in seen_by.items():
        if header == _SSL:
            stems = {stem for path, (stem, _) in places.items() if not path.startswith(_SSL_UPSTREAM)}
            bad = [p for p in places if not p.startswith((*_SSL_UPSTREAM, "proxy/http/"))]
            most = 1
        else:
            where, most = LIBRARIES[header]
            stems = {stem for stem, _ in places.values()}
            bad = [path for path in places if not re.match(where, path)]
        findings += [Finding(path, places[path][1], f"<{header}> must not be seen here") for path in bad]
        if most is not None and len(stems) > most:
            names = ", ".join(sorted(stems))
            path = min(places)
            findings.append(Finding(path, places[path][1], f"<{header}> is seen by more than one file: {names}"))
    return findings
