"""The disk that fails on command, and the small ext4, do what they say."""

import json
import os
import signal
import subprocess
import sys
import time

from harness import case, wait

# Run under the shim: `steps` are Python statements, each of whose outcome is printed.
PROGRAM = """
import errno, json, os, sys
root, steps = sys.argv[1], json.loads(sys.argv[2])
names = {"os": os, "root": root}
for step in steps:
    try:
        exec("result = " + step, names)
        print(step.split("(")[0], names["result"], flush=True)
    except OSError as failure:
        print(step.split("(")[0], errno.errorcode[failure.errno], flush=True)
"""
MAKE = "os.open(root + '/a', os.O_RDWR | os.O_CREAT)"


class DiskFaultsTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.root = self.scratch / "root"
        self.root.mkdir()
        self.faults = self.make_disk_faults(self.root)

    def begin(self, *steps: str):
        return subprocess.Popen([sys.executable, "-c", PROGRAM, self.root, json.dumps(steps)], text=True, stdout=subprocess.PIPE,
                                env=os.environ | self.faults.environment)

    def run_steps(self, *steps: str) -> tuple[list[str], int]:
        process = self.begin(*steps)
        printed, _ = process.communicate(timeout=30)
        return printed.splitlines(), process.returncode

    def outcomes(self, *steps: str) -> list[str]:
        printed, code = self.run_steps(*steps)
        self.assertEqual(code, 0)
        return [line.split()[-1] for line in printed]

    @case.short
    def test_errors(self):
        made = self.faults.lay("create", "*", "errno ENOSPC")
        self.assertEqual(self.outcomes(MAKE, "os.mkdir(root + '/d')"), ["ENOSPC", "None"])
        self.assertEqual((made.matched, made.happened), (1, 1))
        self.faults.clear()
        calls = {"os.write(3, b'x')": "write", "os.pwrite(3, b'x', 0)": "write", "os.writev(3, [b'x'])": "write",
                 "os.pread(3, 9, 0)": "read", "os.read(3, 9)": "read", "os.preadv(3, [bytearray(9)], 0)": "read",
                 "os.fsync(3)": "fsync", "os.fdatasync(3)": "fdatasync", "os.ftruncate(3, 5)": "ftruncate",
                 "os.posix_fallocate(3, 0, 5)": "fallocate", "os.link(root + '/a', root + '/b')": "link",
                 "os.rename(root + '/a', root + '/b')": "rename", "os.unlink(root + '/a')": "unlink",
                 "os.mkdir(root + '/e')": "mkdir", "os.open(root + '/a', os.O_RDONLY)": "open",
                 "os.sendfile(1, 3, 0, 9)": "sendfile", "os.open('a', os.O_RDONLY, dir_fd=os.open(root, 0))": "open"}
        for step, call in calls.items():
            with self.subTest(step):
                broken = self.faults.lay(call, "[ae]", "errno EIO")
                self.assertEqual(self.outcomes(MAKE, step)[1], "EIO")
                self.assertEqual(broken.happened, 1)
                self.faults.clear()
                self.assertNotEqual(self.outcomes(MAKE, step)[1], "EIO")

    def test_others_are_left_alone(self):
        (self.scratch / "root and more").mkdir()
        everything = self.faults.lay("*", "*", "errno EIO")
        outside = "os.open(root + ' and more/a', os.O_RDWR | os.O_CREAT)"
        self.assertEqual(self.outcomes(outside, "os.write(3, b'x')", "os.mkdir(root + '/../d')")[:2], ["3", "1"])
        self.assertEqual(everything.matched, 1)  # a path is taken as it is written

    def test_which_of_the_calls(self):
        second = self.faults.lay("write", "a", "errno EIO", 2, 3)
        counted = self.faults.lay("write", "a", "count")
        self.assertEqual(self.outcomes(MAKE, *["os.write(3, b'x')"] * 5)[1:], ["1", "EIO", "EIO", "1", "1"])
        self.assertEqual((second.matched, second.happened, counted.matched), (5, 2, 5))

    def test_short_and_slow(self):
        self.faults.lay("write", "a", "short 2")
        self.faults.lay("fsync", "a", "delay 300")
        begun = time.monotonic()
        self.assertEqual(self.outcomes(MAKE, "os.write(3, b'four')", "os.fsync(3)"), ["3", "2", "None"])
        self.assertGreater(time.monotonic() - begun, 0.3)

    def test_held_until_it_is_over(self):
        held = self.faults.lay("fsync", "a", "hold")
        process = self.begin(MAKE, "os.fsync(3)", "os.write(3, b'x')")
        wait.until(lambda: held.happened, "the call to be held")
        self.assertIsNone(process.poll())
        self.faults.clear()
        self.assertEqual(process.communicate(timeout=30)[0].split(), ["os.open", "3", "os.fsync", "None", "os.write", "1"])

    def test_killed(self):
        for action, kept in (("kill", 0), ("kill-after", 1)):
            with self.subTest(action):
                self.faults.lay("write", "a", action)
                printed, code = self.run_steps("os.open(root + '/a', os.O_RDWR | os.O_CREAT | os.O_TRUNC)", "os.write(3, b'x')")
                self.assertEqual((len(printed), code), (1, -signal.SIGKILL))
                self.assertEqual((self.root / "a").stat().st_size, kept)
                self.faults.clear()

    def test_the_trace(self):
        self.faults.start_trace()
        self.outcomes(MAKE, "os.pwrite(3, b'xyz', 0)", "os.rename(root + '/a', root + '/b')", "os.unlink(root + '/none')")
        calls = [call for call in self.faults.stop_trace() if call.name not in ("open", "read")]
        self.assertEqual(calls, [("create", "a", 3), ("write", "a", 3), ("rename", "a -> b", 0), ("unlink", "none", -2)])


class Ext4Test(case.TestCase):
    def test_what_was_not_synced_is_lost(self):
        disk = self.make_ext4(24)
        for name, is_synced in (("synced", True), ("lost", False)):
            with open(disk.mount_point / name, "wb") as file:
                file.write(b"x" * 10_000)
                file.flush()
                if is_synced:
                    os.fsync(file.fileno())
        disk.cut()
        with self.assertRaises(OSError):
            (disk.mount_point / "new").touch()
        disk.power_on()
        self.assertEqual((disk.mount_point / "synced").read_bytes(), b"x" * 10_000)
        lost = disk.mount_point / "lost"
        self.assertTrue(not lost.exists() or lost.stat().st_size == 0)

    def test_the_shim_cuts_too(self):
        disk = self.make_ext4(24)
        (disk.mount_point / "before").write_bytes(b"x")
        disk.sync()
        faults = self.make_disk_faults(disk.mount_point)
        faults.lay("write", "a", "cut 2")
        steps = json.dumps([MAKE, "os.write(3, b'x')"])
        process = subprocess.run([sys.executable, "-c", PROGRAM, disk.mount_point, steps], check=False, capture_output=True,
                                 env=os.environ | faults.environment)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        disk.power_on()
        self.assertEqual((disk.mount_point / "before").read_bytes(), b"x")
        self.assertFalse((disk.mount_point / "a").exists())

    def test_full_and_out_of_inodes(self):
        disk = self.make_ext4(16, inodes=64)
        disk.fill()
        self.assertLess(disk.free(), 4096)
        disk.make_room()
        disk.use_up_inodes()
        with self.assertRaises(OSError):
            (disk.mount_point / "one more").touch()
        disk.make_room()
        (disk.mount_point / "one more").touch()
