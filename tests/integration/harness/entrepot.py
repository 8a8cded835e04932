"""The program under test: the real binary, on ports of its own, with a cache directory that outlives its restarts.

Ending it checks what must hold whatever the test is about: it exits with 0 when asked to end, no event loop stalled, no
sanitizer complained, and no secret of the run is in its log.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from . import paths, secrets, wait
from .client import Client
from .own_etc import OwnEtc
from .process import Process

_SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error:")
_LOG_PAUSE, _LOG_LOOKS = 0.02, 10  # seconds
_STALLED = re.compile(r"^.* warn +loop \d+ stalled.*$|^.*\bstalled\b.*$", re.MULTILINE)


class Stalled(AssertionError):
    """An event loop took too long for one iteration. run.py looks whether that comes again."""


@dataclasses.dataclass(frozen=True)
class Answered:
    """A line of the access log."""
    method: str
    target: str
    status: str
    user_agent: str
    upstream: str


def _field(line: str, name: str) -> str:
    found = re.search(rf'\b{name}=("((?:[^"\\]|\\.)*)"|\S*)', line)
    return (found.group(2) or found.group(1)).strip('"') if found else ""


class Entrepot:
    """`upstreams` are tables of the configuration; `settings` are keys for --set. `ca_file`: its listener has TLS.
    `environment` comes on top of an environment that says nothing of proxies or AWS; `etc` is the /etc that it sees. `under`: a
    command that runs it and makes it slow, so that it may stall."""

    def __init__(self, folder: pathlib.Path, log: pathlib.Path, upstreams: list[dict], settings: dict | None = None,
                 truth=None, ca_file: pathlib.Path | None = None, environment: dict | None = None, etc: OwnEtc | None = None,
                 under: tuple[str, ...] = ()):
        if not paths.BINARY.exists():
            raise AssertionError(f"no entrepot at {paths.BINARY}: build it with tools/build, or set ENTREPOT_BIN")
        self.cache = pathlib.Path((settings or {}).get("cache.directory", folder / "cache"))
        self._log, self._truth, self._ca_file, self._etc, self._under = log, truth, ca_file, etc, under
        self._environment = _environment() | {"HOME": str(folder)} | (environment or {})
        self._config = folder / "entrepot.toml"
        self._tables = to_toml(upstreams)
        self._config.write_text(self._tables)
        self._settings = {"server.listen": ["127.0.0.1:0"], "admin.listen": "127.0.0.1:0",
                          "cache.directory": str(self.cache), "log.level": "debug", "cache.scrub_rate": "0",
                          **(settings or {})}
        self._process: Process | None = None
        self._starts = 0
        self.addresses: dict[str, str] = {}
        self.start()

    # -- life

    def start(self):
        """Starts it on its cache and waits until it is ready."""
        log = self._begin()
        wait.until(self._is_listening, f"entrepot to listen ({log})")
        wait.until(self._is_ready, f"entrepot to be ready ({log})")

    def set_key(self, key: str, value):
        """For the next start."""
        self._settings[key] = value

    def reload(self, **cache):
        """Keys of `cache` as they are in its file from now on, and SIGHUP. What --set says would win, so it says nothing of them."""
        self._config.write_text(self._tables + "[cache]\n" + "".join(f"{key} = {_toml_value(value)}\n" for key, value in cache.items()))
        self._process.send(signal.SIGHUP)

    def set_environment(self, environment: dict):
        """For the next start, on top of what it has."""
        self._environment |= environment

    def start_and_kill(self, seconds: float):
        """Starts it, and kills it so soon that it may not be ready yet."""
        self._begin()
        time.sleep(seconds)
        self.kill()

    def _begin(self) -> pathlib.Path:
        self._starts += 1
        log = self._log.with_name(f"{self._log.stem}-{self._starts}.log")
        log.unlink(missing_ok=True)
        command = [*self._under, paths.BINARY, "serve", "--config", self._config]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value if isinstance(value, str) else _toml_value(value)}"]
        self._process = Process(self._etc.command(command) if self._etc else command, log, env=self._environment)
        self.addresses = {}
        return log

    def _is_listening(self) -> bool:
        if self._process.exit_code() is not None:
            raise AssertionError(f"entrepot ended with {self._process.exit_code()}:\n{self.log()[-3000:]}")
        for line in self._process.text().splitlines():
            address = re.search(r"\baddress=(\S+)", line)
            listener = re.search(r"\blistener=(\w+)", line)
            if " listening " in line and address and listener:
                self.addresses[listener.group(1)] = address.group(1).strip('"')
        return {"data", "admin"} <= self.addresses.keys()

    def _is_ready(self) -> bool:
        try:
            return self.admin().get("/readyz").status == 200
        except OSError:
            return self._is_listening() and False  # which says so if it has ended

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.exit_code() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask_to_stop(self):
        """SIGTERM, without waiting. `stop` afterwards waits for the end."""
        self._process.send(signal.SIGTERM)

    def stop(self):
        """SIGTERM, and everything that must hold at an orderly end."""
        try:
            self._expect_no_secrets()
            self._expect_no_stalls()
        finally:
            code = self._process.stop(paths.patience(30))
        self.check_log()
        assert code == 0, f"entrepot ended with {code} on SIGTERM; log: {self._process.log}\n{self.log()[-2000:]}"

    def wait_stopped(self):
        """After `ask_to_stop`."""
        code = self._process.wait(paths.patience(60))
        self.check_log()
        assert code == 0, f"entrepot ended with {code} on SIGTERM; log: {self._process.log}\n{self.log()[-2000:]}"

    def kill(self):
        """kill -9."""
        self._process.kill()
        self.check_log()

    def restart(self, how: str = "stop"):
        """Ends it by "stop" or "kill" and starts it again on the same cache, on new ports."""
        getattr(self, how)()
        self.start()

    def finish(self):
        """For teardowns: ends it if it still runs."""
        if self.is_running:
            self.stop()

    # -- what it says

    def log(self) -> str:
        """What it has logged. Its log has a thread of its own, which may be a moment behind what clients have seen: until nothing
        comes any more."""
        text = self._process.text()
        for _ in range(_LOG_LOOKS if self.is_running else 0):
            time.sleep(_LOG_PAUSE)
            later = self._process.text()
            if len(later) == len(text):
                break
            text = later
        return text

    def check_log(self):
        text = self.log()
        complaint = _SANITIZER.search(text)
        assert not complaint, f"a sanitizer complained: {text[complaint.start():][:4000]}"
        stalled = _STALLED.findall(text)
        if stalled and not self._under:
            raise Stalled(f"{len(stalled)} stalls, {self._process.log}: {stalled[:5]}")
        leaked = secrets.found_in(text)
        assert not leaked, f"the log holds secrets: {leaked} ({self._process.log})"

    def _expect_no_secrets(self):
        """Where everybody on the machine, or whoever watches it, may look."""
        for place, text in (("its metrics", self.admin().get("/metrics").body.decode()),
                            ("its command line", pathlib.Path(f"/proc/{self.pid}/cmdline").read_text())):
            leaked = secrets.found_in(text)
            assert not leaked, f"{place} hold secrets: {leaked}"

    def _expect_no_stalls(self):
        stalls = self.metric("entrepot_loop_stalls_total")
        assert stalls is not None, "/metrics has no entrepot_loop_stalls_total"
        if stalls != 0 and not self._under:
            raise Stalled(f"{stalls:.0f} stalls: {_STALLED.findall(self.log())[:5]} ({self._process.log})")

    def run(self, *arguments, seconds: float = 60) -> subprocess.CompletedProcess:
        """A verb on its cache, with its configuration, whether it runs or not."""
        command = [paths.BINARY, arguments[0], "--config", self._config]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value if isinstance(value, str) else _toml_value(value)}"]
        return subprocess.run([*command, *arguments[1:]], env=self._environment, capture_output=True, text=True,
                              timeout=paths.patience(seconds), check=False)

    def tell(self, *arguments) -> dict:
        """What the verb says as JSON. It must succeed."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, f"{arguments}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return json.loads(ended.stdout)

    def images(self, *arguments) -> dict[str, dict]:
        """`entrepot ls`, by the images' names."""
        return {image["image"]: image for image in self.tell("ls", *arguments)["images"]}

    def answered(self) -> list["Answered"]:
        """The requests of its access log, in the order of their answers' ends."""
        lines = (line for line in self.log().splitlines() if " answered " in line)
        return [Answered(**{name: _field(line, name) for name in ("method", "target", "status", "user_agent", "upstream")})
                for line in lines]

    def metric(self, name: str, **labels: str) -> float | None:
        """The sum of the series of that name that have these labels; None when there is none."""
        text = self.admin().get("/metrics").body.decode()
        values = []
        for line in text.splitlines():
            found = re.match(rf"{name}(?:\{{(.*)\}})? ([0-9.eE+-]+)", line)
            if found and all(f'{k}="{v}"' in (found.group(1) or "") for k, v in labels.items()):
                values.append(float(found.group(2)))
        return sum(values) if values else None

    # -- talking to it

    @property
    def address(self) -> str:
        return self.addresses["data"]

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._ca_file else 'http'}://{self.address}"

    def client(self, **options) -> Client:
        return Client(self.url, **{"truth": self._truth, "ca_file": self._ca_file, **options})

    def admin(self) -> Client:
        return Client(f"http://{self.addresses['admin']}")

    def control(self) -> Client:
        """The control socket: HTTP over a unix socket, in the cache directory unless control.listen says otherwise."""
        place = self._settings.get("control.listen", f"unix:{self.cache}/control.sock").removeprefix("unix:")
        return Client(f"unix://{place}")

    def state(self, digest: str) -> str:
        """"absent", "filling" or "committed"."""
        reply = self.control().get(f"/api/v1/objects/{digest}")
        assert reply.status == 200, f"the control socket answered {reply.status}: {reply.body}"
        return json.loads(reply.body)["state"]

    def wait_committed(self, digests, seconds: float = 30):
        """Until every digest is acknowledged: from then on not even kill -9 may lose it."""
        waiting = set(digests)

        def all_committed():
            waiting.difference_update([d for d in waiting if self.state(d) == "committed"])
            return not waiting

        wait.until(all_committed, f"commits in {self.cache}", seconds)


def to_toml(upstreams: list[dict]) -> str:
    lines = ["builtin_upstreams = false"] if upstreams else []
    for table in upstreams:
        lines.append("[[upstream]]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value) -> str:
    if isinstance(value, pathlib.Path):
        value = str(value)
    return json.dumps(value)


def _environment() -> dict:
    return {
        **{name: "" for name in os.environ if name.startswith("AWS_")},  # the tests' own cloud alone
        "HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": "", "NOTIFY_SOCKET": "",
        "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:verify_asan_link_order=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=66",
    }
