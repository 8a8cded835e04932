"""Ends of the process, wanted and unwanted: what was acknowledged is still there."""

import threading

from harness import case, quirks, wait


class RestartTest(case.TestCase):
    def everything_is_still_a_hit(self, how: str, name: str):
        upstream = self.make_upstream(behind=self.make_registry())
        entrepot = self.make_entrepot(self.hub(upstream.url))
        the_image = self.store.image(name)
        repository = f"library/{name}"
        self.pull_everything(entrepot.client(), repository, the_image)
        entrepot.wait_committed(the_image.digests)
        upstream.forget()
        for _ in range(2):
            entrepot.restart(how)
            self.assertEqual({entrepot.state(d) for d in the_image.digests}, {"committed"})
            # The tag may be asked for again after kill -9; what it names may not.
            by_tag, *rest = self.pull_everything(entrepot.client(), repository, the_image)
            for reply in rest if how == "kill" else [by_tag, *rest]:
                self.assert_hit(reply)
        self.assertEqual([r.target for r in upstream.seen("GET")], [])

    @case.short
    def test_after_a_restart_everything_committed_is_a_hit(self):
        self.everything_is_still_a_hit("stop", "hut")

    @case.short
    def test_after_kill_9_everything_committed_is_a_hit(self):
        self.everything_is_still_a_hit("kill", "hut")

    def test_a_large_image_survives_kill_9(self):
        self.everything_is_still_a_hit("kill", "house")

    def test_a_docker_daemon_pulls_warm_after_kill_9(self):
        registry = self.make_registry()
        entrepot = self.make_entrepot(self.hub(registry.url))
        house = self.store.image("house")
        first = self.make_dockerd(entrepot.url, "dockerd-1")
        self.assertEqual(first.pull("house:latest"), house.root.digest)
        first.stop()
        entrepot.wait_committed(house.digests)
        entrepot.restart("kill")
        before = len(registry.requests())
        second = self.make_dockerd(entrepot.url, "dockerd-2")
        self.assertEqual(second.pull("house:latest"), house.root.digest)
        self.assertEqual([r.target for r in registry.requests()[before:] if r.method == "GET"], [])

    @case.short
    def test_kill_9_in_the_middle_of_a_fill_costs_no_more_than_the_fill(self):
        upstream = self.make_upstream()
        entrepot = self.make_entrepot(self.hub(upstream.url))
        layer = self.store.image("house").layers[4]
        target = f"/v2/library/house/blobs/{layer.digest}"
        gate, halfway = threading.Event(), threading.Event()
        self.addCleanup(gate.set)
        upstream.on("GET", layer.digest, quirks.stall(layer.size // 2, gate), times=1)
        client = threading.Thread(
            target=lambda: entrepot.client().get(target, on_bytes=lambda n: n > layer.size // 4 and halfway.set()))
        client.start()
        self.assertTrue(halfway.wait(30), "the client got nothing while the blob was being fetched")
        entrepot.restart("kill")
        client.join(30)
        gate.set()
        self.assertNotEqual(entrepot.state(layer.digest), "committed")
        reply = entrepot.client().get(target)
        self.assertEqual((reply.status, reply.digest), (200, layer.digest))
        entrepot.wait_committed([layer.digest])

    def test_a_second_process_on_the_same_cache_is_refused(self):
        entrepot = self.make_entrepot(self.hub(self.make_upstream().url))
        with self.assertRaisesRegex(AssertionError, "entrepot ended with"):
            self.make_entrepot(self.hub("http://127.0.0.1:9"), name="another", cache__directory=str(entrepot.cache))
        self.assertEqual(entrepot.client().get("/v2/").status, 200)


@case.short
class DrainTest(case.TestCase):
    def test_sigterm_lets_a_running_download_finish(self):
        upstream = self.make_upstream()
        entrepot = self.make_entrepot(self.hub(upstream.url))
        layer = self.store.image("house").layers[4]
        gate, halfway = threading.Event(), threading.Event()
        self.addCleanup(gate.set)
        upstream.on("GET", layer.digest, quirks.stall(layer.size // 2, gate), quirks.trickle(10_000_000))
        replies = []
        client = threading.Thread(target=lambda: replies.append(entrepot.client().get(
            f"/v2/library/house/blobs/{layer.digest}", on_bytes=lambda n: n > layer.size // 4 and halfway.set())))
        client.start()
        self.assertTrue(halfway.wait(30), "the client got nothing while the blob was being fetched")

        entrepot.ask_to_stop()
        wait.until(lambda: entrepot.admin().get("/readyz").status == 503, "/readyz to say that it is draining")
        self.assertTrue(entrepot.is_running)
        gate.set()
        client.join(60)
        entrepot.wait_stopped()
        self.assertEqual([(r.status, r.digest, r.error) for r in replies], [(200, layer.digest, "")])

    def test_sigterm_without_work_ends_at_once(self):
        entrepot = self.make_entrepot(self.hub(self.make_upstream().url))
        kept = entrepot.client(keep=True)
        self.assertEqual(kept.get("/v2/").status, 200)  # an idle connection is no reason to wait
        entrepot.stop()
