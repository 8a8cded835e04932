"""Crash-point enumeration: a scenario is played again and again, each time with another end at another of its calls of the disk.

A point is an ending and the number of a call. How many calls a scenario makes is counted by playing it once to its end."""

import http.client
import json
import random
import shutil
import time

from . import case, disk, index_file, process, wait
from .disk_faults import CHANGES

MIB = 1 << 20
INDEX = "application/vnd.oci.image.index.v1+json"
REPOSITORY = "/v2/library/crash"

# The calls that each ending is tried at: what has changed nothing need not be the last call, but may fail.
ENDINGS = {
    "kill": CHANGES, "kill-after": CHANGES, "cut 2": CHANGES, "cut 1": CHANGES, "errno ENOSPC": CHANGES,
    "errno EIO": ("open", "read", "mmap", *CHANGES),
}


class Scenario:
    """`budget` is the cache's; `starts` says that the start of the process is what is cut short; `evicts`, that what was
    acknowledged may have gone by right."""
    budget, starts, evicts = 64 * MIB, False, False

    def __init__(self, test: "CrashPointCase"):
        self.test = test
        self.objects: list = []        # all that may be asked for at the end
        self.acknowledged: set = set()  # before the scenario begins

    def prepare(self):
        """With a sound disk. Leaves the process running or not."""

    def play(self, seen: "Seen"):
        """With the disk that ends it."""

    def judge(self):
        """After the next start: what must hold beyond what always must."""

    def blob(self, size: int, name: str):
        self.objects.append(self.test.content.make(size, f"crash point {name}"))
        return self.objects[-1]

    def manifest(self, name: str, *children):
        named = [{"mediaType": one.media_type, "digest": one.digest, "size": one.size} for one in children]
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": named, "annotations": {"name": name}}
        self.objects.append(self.test.content.add(json.dumps(document).encode(), INDEX))
        return self.objects[-1]

    def image(self, tag: str, *layers):
        """Stored under a tag, with its layers."""
        made = self.manifest(tag, *layers)
        self.test.upstream.tag_digest("library/crash", tag, made.digest)
        self.test.assertEqual(self.test.proxy.client().get(target(made, tag)).digest, made.digest)
        self.store(made, *layers)
        return made

    def store(self, *objects):
        for one in objects:
            self.test.assertEqual(self.test.proxy.client().get(target(one)).digest, one.digest)
        self.test.proxy.wait_committed([one.digest for one in objects])
        self.acknowledged.update(objects)


def target(one, tag: str = "") -> str:
    return f"{REPOSITORY}/{'manifests' if one.media_type == INDEX else 'blobs'}/{tag or one.digest}"


class Seen:
    """What clients saw while a scenario was played."""

    def __init__(self, test: "CrashPointCase"):
        self._test = test
        self.acknowledged: set = set()

    def get(self, one, tag: str = ""):
        """Whatever is complete is right, and is no 5xx. Nothing, when the process has gone."""
        reply = self._test.proxy.client().attempt(target(one, tag))
        if reply is not None and reply.complete:
            self._test.assertEqual((reply.status, reply.digest), (200, one.digest), reply.headers)
        return reply

    def verb(self, name: str, **request) -> bool:
        """Whether the daemon said that it is done."""
        try:
            reply = self._test.proxy.control().request("POST", f"/api/v1/verbs/{name}", body=json.dumps(request).encode())
        except (OSError, http.client.HTTPException):  # it has gone
            return False
        return reply.complete and reply.status == 200

    def get_and_wait(self, one, tag: str = ""):
        """Until it is acknowledged, or will not be."""
        self.get(one, tag)
        absent, deadline = 0, time.monotonic() + 2
        while absent < 6 and time.monotonic() < deadline:
            try:
                state = self._test.proxy.state(one.digest)
            except (OSError, http.client.HTTPException, AssertionError):  # it has gone, or the disk's error was for us
                return
            if state == "committed":
                self.acknowledged.add(one)
                return
            absent = absent + 1 if state == "absent" else 0
            time.sleep(0.005)


class CrashPointCase(case.TestCase):
    def begin(self, scenario: Scenario):
        self.scenario = scenario
        self.ext4 = self.make_ext4(160)
        self.cache, self.prepared = self.ext4.mount_point / "cache", self.scratch / "prepared"
        self.cache.mkdir(mode=0o700)
        self.faults = self.make_disk_faults(self.cache)
        self.faulty = self.faults.environment
        self.proxy = self.make_entrepot(
            self.hub(self.upstream.url, tag_ttl="0s"), cache__directory=str(self.cache), cache__min_free="0B", server__threads=2,
            control__listen=f"unix:{self.scratch}/control.sock", cache__max_size=f"{scenario.budget}B")
        scenario.prepare()
        if self.proxy.is_running:
            self.proxy.stop()
        process.run(["cp", "-a", "--sparse=always", self.cache, self.prepared])

    # -- one life under the shim

    def set_back(self):
        shutil.rmtree(self.cache)
        process.run(["cp", "-a", "--sparse=always", self.prepared, self.cache])
        self.ext4.sync()  # what was there before is not what may be lost
        self.upstream.forget()

    def live(self, prepare_fault) -> Seen:
        """Starts on the faulty disk and plays the scenario. `prepare_fault` is called where the calls begin to count."""
        self.set_back()
        self.proxy.set_environment(self.faulty)
        seen = Seen(self)
        if self.scenario.starts:
            prepare_fault()
        try:
            self.proxy.start()
        except AssertionError as failure:
            self.assertRegex(str(failure), r"entrepot ended with (-9|[1-9]\d*):", "it may refuse to start, or be killed by us")
            return seen
        if not self.scenario.starts:
            prepare_fault()
        self.scenario.play(seen)
        return seen

    def count_calls(self) -> list[str]:
        """The names of the calls of a scenario that nothing disturbs."""
        self.live(self.faults.start_trace)
        calls = [call.name for call in self.faults.stop_trace()]
        self.proxy.stop()
        return calls

    def points(self, calls: list[str]) -> list[tuple[str, int]]:
        return [(ending, number) for ending, names in ENDINGS.items()
                for number in range(1, sum(name in names for name in calls) + 1)]

    # -- one point

    def try_point(self, ending: str, number: int) -> bool:
        """False when the scenario had ended before the call was reached."""
        rules = []
        seen = self.live(lambda: rules.append(self.faults.lay(",".join(ENDINGS[ending]), "*", ending, number, number)))
        has_happened = bool(rules) and rules[0].happened > 0
        self.acknowledged += len(seen.acknowledged)
        self.end_life(ending, has_happened)
        self.faults.clear()
        self.proxy.set_environment({"LD_PRELOAD": ""})
        self.proxy.start()
        self.check(seen)
        return has_happened

    def end_life(self, ending: str, has_happened: bool):
        if ending.startswith("errno") or not has_happened:
            if self.proxy.is_running:
                self.proxy.kill()
            return
        wait.until(lambda: not self.proxy.is_running, "the process to be killed")
        self.proxy.kill()  # its log is looked at
        if ending.startswith("cut"):
            self.ext4.power_on()

    def check(self, seen: Seen):
        """What must hold after every end."""
        self.assertLessEqual(disk.used(self.cache), self.scenario.budget)
        self.expect_no_strangers()
        self.scenario.judge()
        self.upstream.forget()
        self.upstream.stop_listening()
        try:
            self.expect_kept(self.scenario.acknowledged | seen.acknowledged)
        finally:
            self.upstream.listen_again()
        for one in self.scenario.objects:
            reply = self.proxy.client().get(target(one))
            self.assertEqual((reply.status, reply.digest, reply.error), (200, one.digest, ""), f"{target(one)} {reply.headers}")
        if not self.scenario.evicts:
            self.proxy.wait_committed([one.digest for one in self.scenario.objects], 10)
            wait.until(lambda: not os_names(self.cache / "parts"), "the parts to be gone", 5)
        self.assertLessEqual(disk.used(self.cache), self.scenario.budget)
        self.expect_no_strangers()
        self.proxy.stop()

    def expect_kept(self, acknowledged: set):
        for one in acknowledged:
            if self.scenario.evicts and self.proxy.state(one.digest) != "committed":
                continue
            reply = self.proxy.client().get(target(one))
            self.assertEqual((reply.status, reply.digest, reply.error), (200, one.digest, ""), f"acknowledged, and lost: {one}")
            self.assert_hit(reply)

    def expect_no_strangers(self):
        """Every file is one that the index knows; of temporary names there are none."""
        names = {path.name for path in self.cache.iterdir()}
        self.assertLessEqual(names, {"LOCK", "FORMAT", "index", "refs.log", "blobs", "parts"})
        self.assertEqual(os_names(self.cache / "index"), ["data.mdb", "lock.mdb"])
        self.assertEqual([name for name in os_names(self.cache / "parts") if name.endswith(".link")], [])
        wait.until(self.is_index_right, "the index and the files to agree", 5)

    def is_index_right(self) -> bool:
        rows = index_file.blobs(self.cache)
        return index_file.files(self.cache) == {digest: size for digest, (_, size) in rows.items()}

    # -- many points

    def enumerate(self, most: int, seed: str) -> str:
        """Tries `most` points, or all (0); says in a line what was done."""
        points = self.points(self.count_calls())
        chosen = points if most == 0 or most >= len(points) else random.Random(seed).sample(points, most)
        reached, failed, begun = 0, 0, time.monotonic()
        self.acknowledged = 0
        for ending, number in chosen:
            with self.subTest(ending=ending, call=number):
                try:
                    reached += self.try_point(ending, number)
                except BaseException:
                    failed += 1
                    self.give_up_point()
                    raise
        self.assertGreater(reached, len(chosen) // 2, "most points must be reached")
        return (f"{len(points)} points, {len(chosen)} tried, {reached} reached, {self.acknowledged} objects acknowledged in them, "
                f"{failed} failed, {time.monotonic() - begun:.0f} s, seed {seed}")

    def give_up_point(self):
        """So that the next one can be tried."""
        self.faults.clear()
        if self.proxy.is_running:
            self.proxy.kill()
        try:
            next(self.cache.iterdir())
        except OSError:
            self.ext4.power_on()


def os_names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
