"""Each registry that people pull from, as it is known to behave (simulator/), under its own name and over TLS: skopeo pulls a
public and a private image of it through entrepot, with an empty cache and again with a full one; what the service was asked is
compared request by request, and its secrets with the hosts that saw them."""

import json

from harness import answers, quirks, secrets
from harness.content import digest_of
from simulator import ecr, github, gitlab, google, hub, kubernetes, plain, quay
from simulator.case import RegistryCase, short


class HubTest(RegistryCase):
    URL = "https://registry-1.docker.io"
    NAME = "registry-1.docker.io"
    TOKEN = "auth.docker.io GET /token"

    def setUp(self):
        super().setUp()
        self.hub = self.serve(hub.Hub, users={"reader": self.password})
        self.hub.publish("library/hut", self.hut)
        self.hub.publish("team/hut", self.hut, private=True)
        self.cdns = {cdn.name for cdn in self.hub.cdns}

    def get(self, proxy, repository: str = "library/hut", **options):
        return proxy.client().get(f"/v2/{self.NAME}/{repository}/manifests/latest", **options)

    def test_public(self):
        self.cold_and_warm(self.hub, self.start(self.URL), "library/hut", token=self.TOKEN, storages=self.cdns)
        [asked] = self.hub.tokens.seen()
        self.assertEqual(asked.query, {"service": ["registry.docker.io"], "scope": ["repository:library/hut:pull"]})
        self.assertIsNone(asked.header("Authorization"))
        self.assertEqual(self.hub.registry.used, {"192.0.2.1": 3}, "the index and two manifests count, HEADs do not")

    def test_private(self):
        proxy = self.start(self.URL, **self.own())
        self.cold_and_warm(self.hub, proxy, "team/hut", token=self.TOKEN, storages=self.cdns)
        self.pull_hut(proxy, f"{self.NAME}/library/hut")
        self.only(self.hub, "basic of reader", "auth.docker.io")
        self.only(self.hub, "token of", self.NAME)
        self.only(self.hub, "signed query", *self.cdns)
        self.only(self.hub, "upstream password")

    def test_what_nobody_may_read_is_refused(self):
        proxy = self.start(self.URL)
        self.refuse(proxy, f"{self.NAME}/team/hut:latest", "unauthorized", "denied")
        self.refuse(proxy, f"{self.NAME}/team/nothing:latest", "unauthorized", "denied")
        self.refuse(proxy, f"{self.NAME}/library/hut:nothing", "manifest unknown")
        self.assertEqual(len(self.hub.tokens.seen()), 3, "each repository's token is asked for once")

    def test_50_pulls_of_a_tag_that_moves_count_for_new_digests_alone(self):
        proxy = self.start(self.URL)
        images = [self.make_index(number) for number in range(5)]
        for pull in range(50):
            image = images[pull // 10]
            self.hub.registry.tag_digest("library/hut", "latest", image.digest)
            self.assertEqual(self.get(proxy).digest, image.digest)
        self.assertEqual(self.hub.registry.used, {"192.0.2.1": len(images)})
        self.assertEqual(len(self.hub.registry.seen("HEAD", "/manifests/")), 51, "one for each pull, one without a token")

    def test_a_used_up_limit_leaves_what_is_cached(self):
        """The last pull is answered with 200 and `remaining: 0`; the next GET of a manifest is a 429."""
        self.hub.registry.limit = 1
        proxy = self.start(self.URL)
        self.assertEqual(self.get(proxy).digest, self.hut.root.digest)
        self.hub.publish("library/other", self.hut)
        self.assertEqual(self.get(proxy).status, 200, "a HEAD is free")
        self.hub.registry.tag_digest("library/hut", "latest", self.make_index(1).digest)
        stale = self.get(proxy)
        self.assertEqual((stale.status, stale.digest), (200, self.hut.root.digest))
        self.assertIn("stale", stale.header("Cache-Status"))
        self.hub.registry.tag_digest("library/other", "latest", self.make_index(2).digest)
        self.refused_with_a_time(self.get(proxy, "library/other"))
        self.hub.registry.is_abused = True
        self.assertEqual((self.get(proxy).status, self.get(proxy).digest), (200, self.hut.root.digest))
        self.refused_with_a_time(self.get(proxy, "library/third"))

    def test_a_move_to_what_is_cached_costs_no_pull(self):
        self.hub.registry.limit = 2
        proxy = self.start(self.URL)
        other = self.make_index(1)
        self.hub.registry.tag_digest("library/hut", "other", other.digest)
        self.assertEqual(self.get(proxy).digest, self.hut.root.digest)
        self.assertEqual(proxy.client().get(f"/v2/{self.NAME}/library/hut/manifests/other").digest, other.digest)
        proxy.wait_committed([other.digest])
        self.hub.registry.tag_digest("library/hut", "latest", other.digest)
        self.assertEqual(self.get(proxy).digest, other.digest, "though none is left")

    def refused_with_a_time(self, reply):
        self.assertEqual((reply.status, reply.json()["errors"][0]["code"]), (429, "TOOMANYREQUESTS"))
        self.assertTrue(1 <= int(reply.header("Retry-After")) <= 60, reply.headers)

    def test_as_the_mirror_of_a_docker_daemon(self):
        """Short names too, which are library's: it knows this registry by its host."""
        proxy = self.start(self.URL, default=True)
        self.etc.trust(proxy.address, self.authority.ca_file)
        docker = self.make_dockerd(proxy.url, etc=self.etc)
        self.assertEqual(docker.pull("hut:latest"), self.hut.root.digest)
        docker.forget()
        self.hub.forget()
        self.assertEqual(docker.pull("hut:latest"), self.hut.root.digest)
        self.assertEqual(self.hub.traffic(), [f"{self.NAME} HEAD /v2/library/hut/manifests/latest"])

    def test_a_short_name_is_the_librarys(self):
        proxy = self.start(self.URL, upstream="docker.io")
        self.assertEqual(proxy.client().get("/v2/docker.io/hut/manifests/latest").digest, self.hut.root.digest)
        self.assertEqual({seen.path for seen in self.hub.registry.seen()},
                         {"/v2/library/hut/manifests/latest", f"/v2/library/hut/manifests/{self.hut.root.digest}"})

    def test_a_blob_head_that_is_redirected(self):
        self.hub.registry.redirects_blob_heads = True
        proxy = self.start(self.URL)
        for blob in self.hut.blobs:
            reply = proxy.client().head(f"/v2/{self.NAME}/library/hut/blobs/{blob.digest}")
            self.assertEqual((reply.status, int(reply.header("Content-Length"))), (200, blob.size))


class QuayTest(RegistryCase):
    URL, TOKEN, STORAGES = "https://quay.io", "quay.io GET /v2/auth", {"cdn01.quay.io"}

    def setUp(self):
        super().setUp()
        self.quay = self.serve(quay.Quay, users={"team+robot": self.password})
        self.quay.publish("projectquay/hut", self.hut)
        self.quay.publish("team/hut", self.hut, private=True)
        self.basic = secrets.basic("team+robot", self.password)

    def test_public(self):
        self.cold_and_warm(self.quay, self.start(self.URL), "projectquay/hut", token=self.TOKEN, storages=self.STORAGES)

    def test_private(self):
        proxy = self.start(self.URL, **self.own("team+robot"))
        self.cold_and_warm(self.quay, proxy, "team/hut", token=self.TOKEN, storages=self.STORAGES)
        self.pull_hut(proxy, "quay.io/projectquay/hut")
        self.only(self.quay, "basic of team+robot", "quay.io")
        self.only(self.quay, "token of", "quay.io")
        self.only(self.quay, "signed query", *self.STORAGES)

    def test_a_signature_that_has_ended_is_asked_for_anew(self):
        """The redirect says that it may be kept for a year; its URL is dead after ten minutes."""
        proxy = self.start(self.URL)
        self.quay.cdn.lifetime = 0
        [first, second, *_] = [blob.digest for blob in self.hut.blobs]
        path = "/v2/quay.io/projectquay/hut/blobs/"
        refused = proxy.client().get(path + first)
        self.assertGreaterEqual(refused.status, 400)
        self.assertEqual(len(self.quay.cdn.seen()), 2, "once more, and no more")
        self.quay.cdn.on("GET", second, quirks.instead(lambda: answers.xml(403, "AccessDenied", "Request has expired")), times=1)
        self.quay.cdn.lifetime = 600
        self.assertEqual(proxy.client().get(path + second).digest, second)

    def test_what_is_not_there(self):
        self.quay.registry.expired.add(("projectquay/hut", "old"))
        proxy = self.start(self.URL)
        self.refuse(proxy, "quay.io/projectquay/hut:old", "manifest unknown")
        self.refuse(proxy, "quay.io/projectquay/nothing:latest", "unauthorized", "denied")
        unknown = digest_of(b"not there")
        reply = proxy.client().get(f"/v2/quay.io/projectquay/hut/referrers/{unknown}")
        self.assertEqual((reply.status, reply.json()["manifests"]), (200, []))

    def test_tags_in_pages_of_both_kinds(self):
        tags = [f"v{number:03}" for number in range(250)]
        for tag in tags:
            self.quay.registry.tag_digest("projectquay/hut", tag, self.hut.root.digest)
        for self.quay.registry.next_page in (False, True):
            proxy = self.start(self.URL, name=f"entrepot-{self.quay.registry.next_page}")
            found, page = [], "/v2/quay.io/projectquay/hut/tags/list"
            while page:
                reply = proxy.client().get(page)
                found += reply.json()["tags"]
                page = reply.header("Link").partition("<")[2].partition(">")[0]
            self.assertEqual(found, sorted(["latest", *tags]))

    def test_blobs_that_come_from_the_registry_itself(self):
        self.quay.registry.is_direct = False
        self.cold_and_warm(self.quay, self.start(self.URL), "projectquay/hut", token=self.TOKEN)

    def test_a_burst_of_502_is_not_felt(self):
        self.quay.registry.on("GET", "/manifests/", quirks.failing(502), times=2)
        self.quay.registry.on("GET", "/blobs/", quirks.failing(502), times=3)
        self.pull_hut(self.start(self.URL), "quay.io/projectquay/hut")


class ArtifactRegistryTest(RegistryCase):
    URL, TOKEN = "https://europe-docker.pkg.dev", "europe-docker.pkg.dev GET /v2/token"
    STORAGES = {"europe-docker.pkg.dev"}   # blobs' tickets are of the same host

    def setUp(self):
        super().setUp()
        self.password = json.dumps({"type": "service_account", "private_key": secrets.make("private key") * 60}, indent=2)
        self.google = self.serve(google.ArtifactRegistry, users={"_json_key": self.password})
        self.google.publish("project/repo/hut", self.hut)
        self.google.publish("project/private/hut", self.hut, private=True)

    def test_public(self):
        self.cold_and_warm(self.google, self.start(self.URL), "project/repo/hut", token=self.TOKEN, storages=self.STORAGES)

    def test_private_by_a_key_file_as_it_is(self):
        secrets.basic("_json_key", self.password)
        proxy = self.start(self.URL, **self.own("_json_key"))
        self.cold_and_warm(self.google, proxy, "project/private/hut", token=self.TOKEN, storages=self.STORAGES)
        self.only(self.google, "basic of _json_key", "europe-docker.pkg.dev")
        self.only(self.google, "token of", "europe-docker.pkg.dev")

    def test_a_log_in_page_is_no_list_of_referrers(self):
        proxy = self.start(self.URL)
        reply = proxy.client().get(f"/v2/europe-docker.pkg.dev/project/repo/hut/referrers/{self.hut.root.digest}")
        self.assertEqual((reply.status, reply.json()["manifests"]), (200, []))
        self.assertEqual(len(self.google.accounts.seen()), 1)


class GhcrTest(RegistryCase):
    URL, TOKEN, STORAGES = "https://ghcr.io", "ghcr.io GET /token", {"pkg-containers.githubusercontent.com"}

    def setUp(self):
        super().setUp()
        self.ghcr = self.serve(github.Ghcr, users={"reader": self.password})
        self.ghcr.publish("owner/hut", self.hut)
        self.ghcr.publish("owner/private", self.hut, private=True)

    def test_public(self):
        self.cold_and_warm(self.ghcr, self.start(self.URL), "owner/hut", token=self.TOKEN, storages=self.STORAGES)

    def test_private(self):
        proxy = self.start(self.URL, **self.own())
        self.cold_and_warm(self.ghcr, proxy, "owner/private", token=self.TOKEN, storages=self.STORAGES)
        self.only(self.ghcr, "basic of reader", "ghcr.io")
        self.only(self.ghcr, "token of", "ghcr.io")
        self.only(self.ghcr, "signed query", *self.STORAGES)

    def test_no_token_without_rights(self):
        for self.ghcr.registry.tokens.status_without_rights in (401, 403):
            proxy = self.start(self.URL, name=f"entrepot-{self.ghcr.registry.tokens.status_without_rights}")
            self.refuse(proxy, "ghcr.io/owner/private:latest", "unauthorized", "denied")

    def test_a_token_of_ours_that_has_ended_leaves_what_is_public(self):
        self.ghcr.directory.users["reader"] = "another"
        proxy = self.start(self.URL, **{**self.own(), "access": "public"})
        self.pull_hut(proxy, "ghcr.io/owner/hut")

    def test_too_many_requests(self):
        proxy = self.start(self.URL)
        path = "/v2/ghcr.io/owner/hut/manifests/latest"
        self.assertEqual(proxy.client().get(path).digest, self.hut.root.digest)
        for busy_for, seconds in (("880.092µs", "1"), ("7.5s", "8")):
            self.ghcr.registry.busy_for = busy_for
            self.assertEqual(proxy.client().get(path).digest, self.hut.root.digest)
            refused = proxy.client().get(f"/v2/ghcr.io/owner/hut/blobs/{self.hut.layers[0].digest}")
            self.assertEqual((refused.status, refused.header("Retry-After")), (429, seconds))


class KubernetesTest(RegistryCase):
    def test_public(self):
        service = self.serve(kubernetes.Kubernetes)
        service.publish("hut", self.hut)
        proxy = self.start("https://registry.k8s.io")
        self.pull_hut(proxy, "registry.k8s.io/hut")
        index, amd64, arm64 = (short(digest) for digest in (self.hut.root.digest, *self.platforms()))
        asked = [("HEAD", "latest"), *(("GET", one) for one in (index, amd64, arm64))]
        expected = [text for method, what in asked for text in (
            f"registry.k8s.io {method} /v2/hut/manifests/{what}",
            f"europe-west1-docker.pkg.dev {method} /v2/k8s-artifacts-prod/images/hut/manifests/{what}")]
        traffic = service.traffic()
        self.assertEqual([line for line in traffic if "/manifests/" in line], expected)
        blobs = [text for blob in self.blobs() for text in (f"registry.k8s.io GET /v2/hut/blobs/{short(blob)}",
                                                            f"{service.bucket.name} GET /storage/{short(blob)}")]
        self.assertEqual(sorted(line for line in traffic if "/manifests/" not in line), sorted(blobs))
        self.look_at_requests(service)
        self.assertEqual([seen.text() for server in service.servers for seen in server.seen() if seen.header("Authorization")], [])
        service.forget()
        self.pull_hut(proxy, "registry.k8s.io/hut")
        self.assertEqual(service.traffic(), expected[:2])


class GitLabTest(RegistryCase):
    URL, TOKEN, STORAGES = "https://registry.gitlab.com", "gitlab.com GET /jwt/auth", {"cdn.registry.gitlab-static.net"}

    def setUp(self):
        super().setUp()
        self.gitlab = self.serve(gitlab.GitLab, users={"reader": self.password})
        self.gitlab.publish("group/project/hut", self.hut)
        self.gitlab.publish("group/private/hut", self.hut, private=True)

    def test_public(self):
        self.cold_and_warm(self.gitlab, self.start(self.URL), "group/project/hut", token=self.TOKEN, storages=self.STORAGES)

    def test_private_with_tokens_of_another_host(self):
        proxy = self.start(self.URL, **self.own())
        self.cold_and_warm(self.gitlab, proxy, "group/private/hut", token=self.TOKEN, storages=self.STORAGES)
        self.only(self.gitlab, "basic of reader", "gitlab.com")
        self.only(self.gitlab, "token of", "registry.gitlab.com")
        self.only(self.gitlab, "signed query", *self.STORAGES)

    def test_a_wrong_password_is_refused(self):
        self.gitlab.directory.users["reader"] = "another"
        proxy = self.start(self.URL, **self.own())
        self.refuse(proxy, "registry.gitlab.com/group/private/hut:latest", "unauthorized", "denied", "502")
        self.assertEqual(len(self.gitlab.tokens.seen()), 1, "it is shown once, and rests")

    def test_manifests_signed_for_get(self):
        """The dependency proxy: a HEAD is answered by the bucket with 403, so the tag is asked for by GET."""
        self.gitlab.registry.signs_manifests = True
        proxy = self.start(self.URL)
        for _ in range(2):
            self.pull_hut(proxy, "registry.gitlab.com/group/project/hut")
        self.assertEqual([seen.method for seen in self.gitlab.bucket.seen()].count("HEAD"), 2)


class EcrTest(RegistryCase):
    """By its host name alone: no key of ours says where its API is."""

    def test_private(self):
        service = self.serve(ecr.Ecr)
        service.publish("team/hut", self.hut)
        name = service.registry.name
        proxy = self.start(f"https://{name}", access="shared", allow_unauthenticated_private=True,
                           environment=service.keys.environment())
        self.cold_and_warm(service, proxy, "team/hut", storages={service.bucket.name})
        self.assertEqual(service.cloud.signers, ["the account"])
        self.assertEqual(service.cloud.flaws, [])
        self.only(service, "ECR token of", name)
        self.only(service, "AWS secret of")
        self.only(service, "signed query", service.bucket.name)
        self.refuse(proxy, f"{name}/team/nothing:latest", "manifest unknown")

    def test_public_for_nothing(self):
        service = self.serve(ecr.EcrPublicService)
        service.publish("docker/library/hut", self.hut)
        self.cold_and_warm(service, self.start("https://public.ecr.aws"), "docker/library/hut",
                           token="public.ecr.aws GET /token/", storages={service.cdn.name})
        self.assertEqual(service.registry.seen("GET", "/token/")[0].query["scope"], ["aws"])

    def test_public_with_an_account(self):
        service = self.serve(ecr.EcrPublicService)
        service.publish("docker/library/hut", self.hut)
        for access in ("shared", "public"):
            more = {"allow_unauthenticated_private": True} if access == "shared" else {}
            proxy = self.start("https://public.ecr.aws", name=f"entrepot-{access}", auth="ecr", access=access,
                               environment=service.keys.environment(), **more)
            self.pull_hut(proxy, "public.ecr.aws/docker/library/hut")
        self.assertEqual(set(service.cloud.signers), {"the account"})
        self.assertEqual(service.cloud.flaws, [])
        self.only(service, "ECR token of", "public.ecr.aws")
        self.only(service, "signed query", service.cdn.name)


class PlainTest(RegistryCase):
    NAME = "registry.example.test"

    def test_public(self):
        service = self.serve(plain.Plain, behind=self.make_registry())
        self.cold_and_warm(service, self.start(f"https://{self.NAME}"), "library/hut")

    def test_private(self):
        service = self.serve(plain.Plain, behind=self.make_registry(basic=("reader", self.password)))
        proxy = self.start(f"https://{self.NAME}", **self.own())
        self.pull_hut(proxy, f"{self.NAME}/keys/hut")
        self.only(service, "basic of reader", self.NAME)
        service.forget()
        self.pull_hut(proxy, f"{self.NAME}/keys/hut")
        self.assertEqual(service.traffic(), [f"{self.NAME} HEAD /v2/keys/hut/manifests/latest"])
