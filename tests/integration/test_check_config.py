"""`check-config` and `serve` on configurations that are broken: each error with its file, line, key and reason.

The files in `broken_configs` say themselves what is expected: `# expect: LINE KEY: a part of the reason`, a line for each
error, `-` where there is no key. Whatever else is reported is a failure as well.
"""

import ctypes
import dataclasses
import json
import os
import pathlib
import re
import socket
import subprocess

from harness import case, paths, wait
from harness.process import Process

BROKEN = pathlib.Path(__file__).resolve().parent / "broken_configs"
# What the files call the registry. The tests put the port of a listener of their own there, which must stay alone.
REGISTRY = b"127.0.0.1:4999"
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2
_libc = ctypes.CDLL(None)


def printable(text: str) -> str:
    """What would begin another line is a question mark where a person sees it."""
    return re.sub(r"[\x00-\x1f\x7f]", "?", text)


@dataclasses.dataclass(frozen=True)
class Expected:
    line: int
    key: str
    reason: str

    def fits(self, error: dict) -> bool:
        return (error["line"], printable(error["key"])) == (self.line, self.key) and self.reason in error["reason"]


def expectations(text: str) -> list[Expected]:
    found = re.findall(r"^# expect: (\d+) (.+?): (.+?)\r?$", text, re.MULTILINE)
    return [Expected(int(line), "" if key == "-" else key, reason) for line, key, reason in found]


def shown_as(error: dict) -> str:
    """The line that a person gets to see."""
    place = f":{error['line']}:{error['column']}" if error["line"] else ""
    key = f"{error['key']}: " if error["key"] else ""
    return printable(f"entrepot: {error['source']}{place}: {key}{error['reason']}")


def obey_modes():
    """So that a file's mode counts for root too. Fails for others, for whom it does anyway."""
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


class CheckConfigTest(case.TestCase):
    def setUp(self):
        super().setUp()
        # The cache's default directory, and the one that relative paths start in: whatever appears there is a mistake.
        self.state, self.here = self.scratch / "state", self.scratch / "here"
        self.here.mkdir()
        self.registry = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.registry.close)
        self.registry.setblocking(False)
        self.before_it_runs = None
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
        self.environment = {**clean, "STATE_DIRECTORY": str(self.state)}

    def run_binary(self, *words, env: dict | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([paths.BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, cwd=self.here,
                              env={**self.environment, **(env or {})}, timeout=paths.patience(60), text=True,
                              errors="replace", check=False, preexec_fn=self.before_it_runs)

    def write(self, name: str, data: bytes) -> pathlib.Path:
        file = self.scratch / name
        file.write_bytes(data.replace(REGISTRY, b"127.0.0.1:%d" % self.registry.getsockname()[1]))
        return file

    def errors(self, *words, env: dict | None = None) -> list[dict]:
        """What is refused, after it was refused in all three ways: as text, as JSON, and by serve."""
        shown, as_json, served = (self.run_binary(*verb, *words, env=env)
                                  for verb in (["check-config"], ["check-config", "--json"], ["serve"]))
        self.assertEqual((shown.returncode, as_json.returncode, served.returncode), (1, 1, 1), shown.stderr)
        self.assertEqual((shown.stdout, as_json.stderr, served.stdout), ("", "", ""))
        self.assertEqual(served.stderr, shown.stderr)
        errors = json.loads(as_json.stdout)["errors"]
        self.assertEqual([shown_as(error) for error in errors], shown.stderr.splitlines())
        self.assertLess(len(shown.stderr), 64 << 10)
        self.assertFalse(self.state.exists(), "a cache directory was made")
        self.assertEqual(list(self.here.iterdir()), [])
        with self.assertRaises(BlockingIOError, msg="an upstream was dialled"):
            self.registry.accept()
        return errors

    def assert_errors(self, errors: list[dict], source, expected: list[Expected]):
        self.assertEqual({error["source"] for error in errors}, {str(source)})
        listing = "\n".join(shown_as(error) for error in errors)
        left = list(errors)
        for wanted in expected:
            fitting = [error for error in left if wanted.fits(error)]
            self.assertTrue(fitting, f"{wanted} is missing:\n{listing}")
            left.remove(fitting[0])
        self.assertEqual(left, [], "more than was expected")

    def test_every_broken_file(self):
        files = sorted(BROKEN.glob("*.toml"))
        self.assertGreaterEqual(len(files), 40)
        for broken in files:
            with self.subTest(broken.name):
                data = broken.read_bytes()
                expected = expectations(data.decode(errors="replace"))
                self.assertTrue(expected, "the file does not say what is expected")
                file = self.write(broken.name, data)
                errors = self.errors("--config", file)
                self.assert_errors(errors, file, expected)
                self.assertNotIn("canary", "".join(map(shown_as, errors)))

    def test_files_that_cannot_be_read(self):
        folder, missing = self.scratch / "folder.toml", self.scratch / "missing.toml"
        folder.mkdir()
        for file, reason in ((folder, "cannot be read: Is a directory"), (missing, "cannot be read: No such file or directory"),
                             (self.write("below.toml", b"") / "file.toml", "cannot be read: Not a directory")):
            with self.subTest(file.name):
                self.assert_errors(self.errors("--config", file), file, [Expected(0, "", reason)])

    def test_a_file_that_may_not_be_read(self):
        file = self.write("secret.toml", b"")
        file.chmod(0)
        self.before_it_runs = obey_modes
        self.assert_errors(self.errors("--config", file), file, [Expected(0, "", "cannot be read: Permission denied")])

    @case.short
    def test_files_out_of_all_proportion(self):
        for name, data, expected in (
                ("deep", b"a = " + b"[" * 100_000 + b"\n", Expected(1, "a", "is nested too deeply")),
                ("deep-tables", b"a = " + b"{ b = " * 50_000 + b"\n", Expected(1, "a", "is nested too deeply")),
                ("deep-name", b"[" + b".".join([b"a"] * 50_000) + b"]\n", Expected(1, "", "is nested too deeply")),
                ("long-value", b'[log]\nlevel = "' + b"x" * 900_000 + b'"\n', Expected(2, "log.level", "is longer than 4096")),
                ("long-comment", b"#" * 900_000 + b"\nthreads = 4\n", Expected(2, "threads", "did you mean server.threads?")),
                ("huge", b"# nothing\n" * 200_000, Expected(0, "", "is larger than 1MiB"))):
            with self.subTest(name):
                file = self.write(f"{name}.toml", data)
                self.assert_errors(self.errors("--config", file), file, [expected])

    @case.short
    def test_a_long_key_is_cut_short(self):
        for text in (b"k" * 900_000 + b" = 1\n", b"[" + b"k" * 900_000 + b"]\n"):
            [error] = self.errors("--config", self.write("long-key.toml", text))
            self.assertEqual(error["line"], 1)
            self.assertTrue(error["key"].startswith("kkkk"))
            self.assertLess(len(error["key"]), 400)

    @case.short
    def test_a_file_broken_everywhere_is_not_repeated(self):
        errors = self.errors("--config", self.write("log.toml", b"[log]\n" + b"level = \x01\n" * 50_000))
        self.assertLess(len(errors), 20)
        self.assertIn("more is wrong", errors[-1]["reason"])

    @case.short
    def test_errors_of_the_command_line_are_named_so(self):
        words = ("server.threads=many", "cache.max_sise=1GiB", "upstream.quay.io.url=https://ci:canary@quay.io", "log.level=info",
                 "log.level=warn", "canary")
        errors = self.errors(*(word for setting in words for word in ("--set", setting)))
        self.assertEqual([(error["source"], error["line"], error["key"]) for error in errors], [
            ("--set server.threads", 0, "server.threads"), ("--set cache.max_sise", 0, "cache.max_sise"),
            ("--set upstream.quay.io.url", 0, "upstream.quay.io.url"), ("--set log.level", 0, "log.level"), ("--set", 0, "")])
        self.assertNotIn("canary", json.dumps(errors))
        self.assertEqual(errors[1]["reason"], "unknown key (did you mean max_size?)")

    @case.short
    def test_errors_of_the_environment_are_named_so(self):
        errors = self.errors(env={"ENTREPOT_CACHE__MAX_SIZE": "plenty", "ENTREPOT_CACHE__MAXSIZE": "1GiB",
                                  "ENTREPOT_UPSTREAM__QUAY_IO__PASSWORD": "canary", "ENTREPOT_PORT": "tcp://10.0.0.1:5000"})
        self.assertEqual({(error["source"], error["key"]) for error in errors}, {
            ("environment variable ENTREPOT_CACHE__MAX_SIZE", "cache.max_size"),
            ("environment variable ENTREPOT_CACHE__MAXSIZE", ""),
            ("environment variable ENTREPOT_UPSTREAM__QUAY_IO__PASSWORD", "upstream.quay.io.password")})
        self.assertNotIn("canary", json.dumps(errors))

    def test_the_three_sources_are_reported_together(self):
        file = self.write("file.toml", b"[server]\nthreads = 99\n")
        errors = self.errors("--config", file, "--set", "log.format=prose", env={"ENTREPOT_LOG__LEVEL": "loud"})
        self.assertEqual([error["key"] for error in errors], ["server.threads", "log.level", "log.format"])

    def test_a_good_file_is_printed_and_served(self):
        """The control: the same ways show a cache directory and an upstream connection where there are any."""
        file = self.write("good.toml", b'[server]\nlisten = ["unix:%s/data.sock"]\n[admin]\nlisten = ""\n[[upstream]]\n'
                          b'name = "docker.io"\nurl = "http://127.0.0.1:4999"\n' % str(self.scratch).encode())
        checked = self.run_binary("check-config", "--config", file)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.assertIn("max_size = \"20GiB\"", checked.stdout)
        self.assertFalse(self.state.exists(), "check-config made a cache directory")
        served = Process([paths.BINARY, "serve", "--config", file], self.log_folder / "served.log", env=self.environment,
                         cwd=self.here)
        self.addCleanup(served.kill)
        wait.until((self.scratch / "data.sock").exists, "entrepot to listen")
        self.assertTrue(self.state.exists())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.scratch / "data.sock"))
            client.sendall(b"GET /v2/library/hut/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n")
            self.registry.settimeout(paths.patience(20))
            self.registry.accept()[0].close()
