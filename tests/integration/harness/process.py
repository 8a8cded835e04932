"""A child process that writes to a log file, is ended by its own id, and does not outlive the test run."""

import ctypes
import os
import pathlib
import signal
import subprocess
import tempfile

from . import paths

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """Start it from the main thread: the kernel ends it when the thread that started it ends."""

    def __init__(self, command, log: pathlib.Path, env: dict | None = None, cwd: pathlib.Path | None = None):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.command = [str(word) for word in command]
        self._file = open(log, "ab")
        self._popen = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file, cwd=cwd,
            env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._popen.poll()

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: int):
        self._popen.send_signal(number)

    def wait(self, seconds: float) -> int:
        return self._popen.wait(timeout=seconds)

    def stop(self, seconds: float = 20, number: int = signal.SIGTERM) -> int:
        """Asks it to end, insists after `seconds`, and returns the exit code."""
        if self.exit_code() is None:
            self.send(number)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            return self.wait(10)
        finally:
            self._file.close()

    def kill(self):
        """kill -9: nothing in the process gets a say."""
        if self.exit_code() is None:
            self.send(signal.SIGKILL)
        self.wait(10)
        self._file.close()


def run(command, env: dict | None = None, seconds: float = 300, check: bool = True, input: str = "") -> str:
    """Runs a command to its end, with `input`, and returns what it printed. Its failure is told with its output, and so is that
    it took too long; then whatever it started is ended with it. Files, not pipes: what it leaves behind may hold a pipe open for
    ever."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
        given.write(input.encode())
        given.seek(0)
        process = subprocess.Popen(words, stdin=given, stdout=printed, stderr=printed, env={**os.environ, **(env or {})},
                                   start_new_session=True)
        try:
            code = process.wait(timeout=paths.patience(seconds))
        except BaseException as reason:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            printed.seek(0)
            raise AssertionError(f"{' '.join(words)} was ended ({reason}):\n{printed.read()[-4000:].decode(errors='replace')}")
        printed.seek(0)
        text = printed.read().decode(errors="replace").replace("\r\n", "\n")
    if check and code != 0:
        raise AssertionError(f"{' '.join(words)} ended with {code}:\n{text[-4000:]}")
    return text
