"""A child process that writes to a log file, is ended by its own id, and does not outlive the test run."""

import ctypes
import os
import pathlib
import signal
import subprocess

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
    """Runs a command to its end, with `input`, and returns what it printed. Its failure is told with its output."""
    done = subprocess.run(
        [str(word) for word in command], input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})}, timeout=seconds, text=True, errors="replace")
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout
