"""AWS Signature Version 4 as the service checks it: recomputed from the request that came in, with Python's own hashes."""

import hashlib
import hmac
import re
import urllib.parse

from harness.server import Seen

_FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                   r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


def access_key_of(seen: Seen) -> str:
    found = _FORM.match(seen.header("Authorization") or "")
    return found.group(1) if found else ""


def flaw(seen: Seen, secret: str, service: str, region: str, wanted: set[str]) -> str:
    """What is wrong with the request's signature; "" when nothing is. `wanted` are headers that must be signed."""
    found = _FORM.match(seen.header("Authorization") or "")
    if not found:
        return "no signature"
    _, day, its_region, its_service, signed, signature = found.groups()
    names = signed.split(";")
    if (its_region, its_service) != (region, service):
        return f"signed for {its_service} in {its_region}"
    if names != sorted(names) or not wanted <= set(names):
        return f"signed headers are {signed}"
    date = seen.header("X-Amz-Date") or ""
    if not date.startswith(day):
        return f"X-Amz-Date is {date}"
    path, _, query = seen.target.partition("?")
    canonical_query = "&".join(sorted(f"{urllib.parse.quote(k, '')}={urllib.parse.quote(v, '')}"
                                      for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True)))
    headers = "".join(f"{name}:{' '.join((seen.header(name) or '').split())}\n" for name in names)
    canonical = "\n".join([seen.method, path, canonical_query, headers, signed, hashlib.sha256(seen.body).hexdigest()])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, text.encode(), "sha256").hexdigest()
    return "" if hmac.compare_digest(expected, signature) else "the signature does not match"
