#!/usr/bin/python3
"""The scripted upstream as a program, for tests that are not written in Python.

    tests/integration/scripted_upstream.py

prints one line of JSON, {"port": …, "url": …}, and serves until its standard input is closed. Without rules it is a
registry of what was added. It is scripted over HTTP, on the same port:

    POST   /-/blobs?media_type=…   the body is a blob or manifest; its bytes may also be made: ?size=…&seed=…
                                   gives {"digest": …, "size": …, "media_type": …}
    POST   /-/tags                 {"repository": …, "tag": …, "digest": …}
    POST   /-/rules                {"method": "GET", "containing": "/blobs/", "times": 1, "to_ranges": true,
                                    "quirks": [{"cut": {"after": 1000, "how": "rst"}}, {"chunked": {}}]}
                                   all but `quirks` may be missing; a quirk is a function of harness/quirks.py and its arguments
    DELETE /-/rules                no quirks any more
    POST   /-/gates/<name>         opens the gate that {"stall": {"after": 1000, "gate": "<name>"}} waits for
    GET    /-/seen?method=…&containing=…   what it was asked, oldest first
    DELETE /-/seen                 forgets that

Answers of these are 200 and JSON, or 400 and {"error": …}. They are not recorded.
"""

import collections
import json
import pathlib
import sys
import threading
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import answers, quirks  # noqa: E402
from harness.content import OCTETS, Content  # noqa: E402
from harness.server import Seen  # noqa: E402
from harness.upstream import ScriptedUpstream  # noqa: E402

_CONTROL = "/-/"
_QUIRKS = ("cut", "stall", "trickle", "hang_up", "silence", "late_head", "head_in_bytes", "claim_length", "chunked",
           "until_close", "http_1_0", "flip", "add_header", "gzip_encoded", "partial_unasked", "ignore_range", "refuse_range",
           "shift_content_range", "html", "failing", "plain_text", "redirect")


class ControlledUpstream(ScriptedUpstream):
    def __init__(self):
        self._gates = collections.defaultdict(threading.Event)
        super().__init__(Content())

    def is_recorded(self, seen: Seen) -> bool:
        return not seen.path.startswith(_CONTROL)

    def answer(self, seen: Seen) -> answers.Answer:
        if self.is_recorded(seen):
            return super().answer(seen)
        try:
            said = self._control(seen, seen.path.removeprefix(_CONTROL))
            return answers.with_body(200, "application/json", json.dumps(said).encode())
        except Exception as failure:  # the script is wrong: whoever wrote it is told
            return answers.with_body(400, "application/json", json.dumps({"error": repr(failure)}).encode())

    def _control(self, seen: Seen, what: str):
        asked = {name: values[0] for name, values in urllib.parse.parse_qs(seen.target.partition("?")[2]).items()}
        match seen.method, what.split("/"):
            case "POST", ["blobs"]:
                return self._add(seen.body, **asked)
            case "POST", ["tags"]:
                return self.tag_digest(**json.loads(seen.body))
            case "POST", ["rules"]:
                return self._add_rule(**json.loads(seen.body))
            case "DELETE", ["rules"]:
                return self.behave()
            case "POST", ["gates", name]:
                return self._gates[name].set()
            case "GET", ["seen"]:
                return [_told(one) for one in self.seen(asked.get("method"), asked.get("containing", ""))]
            case "DELETE", ["seen"]:
                return self.forget()
        raise ValueError(f"there is no {seen.method} /-/{what}")

    def _add(self, body: bytes, media_type: str = OCTETS, size: str = "", seed: str = ""):
        blob = self.content.make(int(size), seed) if size else self.content.add(body, media_type)
        return {"digest": blob.digest, "size": blob.size, "media_type": blob.media_type}

    def _add_rule(self, quirks: list, method: str = "GET", containing: str = "", times: float = float("inf"),
                  to_ranges: bool | None = None):
        made = [self._quirk(name, arguments) for one in quirks for name, arguments in one.items()]
        self.on(method, containing, *made, times=times, to_ranges=to_ranges)

    def _quirk(self, name: str, arguments: dict) -> quirks.Quirk:
        if name not in _QUIRKS:
            raise ValueError(f"there is no quirk {name}")
        if "gate" in arguments:
            arguments["gate"] = self._gates[arguments["gate"]]
        return getattr(quirks, name)(**arguments)


def _told(seen: Seen) -> dict:
    return {"method": seen.method, "target": seen.target, "headers": seen.headers, "connection": seen.connection,
            "status": seen.status, "sent": seen.sent, "ended": seen.ended}


def main():
    with ControlledUpstream() as upstream:
        print(json.dumps({"port": upstream.port, "url": upstream.url}), flush=True)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
