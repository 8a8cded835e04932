"""Amazon ECR, private and public: how entrepot gets its token, from every source of AWS credentials, and what it does when
one fails. Everything over TLS; the stand-ins are in simulator/ecr.py and aws.py."""

import contextlib
import json
import threading
import time

from harness import case, paths, quirks, secrets, wait
from simulator import aws, ecr
from simulator.storage import S3

ROLE = "arn:aws:iam::123456789012:role/puller"


class EcrCase(case.TestCase):
    def setUp(self):
        super().setUp()
        tls = self.authority.server()
        self.cloud = self._serve(aws.Cloud(tls=tls))
        self.addCleanup(lambda: self.assertEqual(self.cloud.flaws, [], "what was wrong with signatures"))
        self.s3 = self._serve(S3(self.content, tls=tls))
        self.addCleanup(lambda: self.assertEqual(self.s3.leaked, [], "credentials reached the bucket"))
        self.registry = self.make_ecr(ecr.EcrRegistry, tls)
        self.hut = self.store.image("hut")
        self.keys = self.cloud.make_keys("the user")

    def make_ecr(self, kind, tls):
        made = self._serve(kind(self.cloud, self.s3, self.content, tls=tls))
        made.tag("team/hut", self.store.image("hut"))
        return made

    def table(self, **more) -> dict:
        return {"name": "ecr.test", "url": self.registry.url, "default": True, "auth": "ecr", "access": "shared",
                "allow_unauthenticated_private": True, "ecr_region": self.cloud.region, "ecr_endpoint": self.cloud.url,
                "ca_file": str(self.authority.ca_file), "allow_private": ["127.0.0.0/8"]} | more

    def start(self, environment: dict | None = None, name: str = "entrepot", drain_timeout: str = "60s", **more):
        """What belongs to AWS goes to our cloud, or to a port where nobody is."""
        cloud = {"AWS_ENDPOINT_URL_STS": self.cloud.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}
        return self.make_entrepot(self.table(**more), name=name, environment=cloud | (environment or {}),
                                  server__drain_timeout=drain_timeout)

    def get_root(self, proxy):
        return proxy.client().get(f"/v2/team/hut/manifests/{self.hut.root.digest}")

    def get_root_quietly(self, proxy):
        with contextlib.suppress(Exception):
            self.get_root(proxy)

    def write(self, name: str, text: str) -> str:
        path = self.scratch / name
        path.write_text(text)
        return str(path)


@case.short
class PrivateRegistryTest(EcrCase):
    def test_everything_cold_and_warm_by_one_token(self):
        proxy = self.start(self.keys.environment())
        self.pull_everything(proxy.client(), "team/hut", self.hut)
        self.assertEqual(self.cloud.signers, ["the user"])
        self.assertEqual({r.header("Authorization").split()[0] for r in self.registry.seen()}, {"Basic"},
                         "the token is shown unasked, and nothing else is")
        self.assertEqual(len(self.s3.seen("GET")), len(self.hut.blobs))
        proxy.wait_committed(self.hut.digests)
        before = len(self.registry.seen()), len(self.s3.seen())
        for reply in self.pull_everything(proxy.client(), "team/hut", self.hut):
            self.assert_hit(reply)
        self.assertEqual((len(self.registry.seen()), len(self.s3.seen())), before)
        self.assertIn("by the environment's AWS_ACCESS_KEY_ID", proxy.log())

    def test_all_loops_ask_for_one_token(self):
        proxy = self.make_entrepot(self.table(), environment=self.keys.environment(), server__threads=4)
        replies = [proxy.client().get(f"/v2/team/hut/blobs/{blob.digest}") for blob in self.hut.blobs for _ in range(8)]
        self.assertEqual({r.status for r in replies}, {200})
        self.assertEqual(self.cloud.signers, ["the user"])

    def test_a_token_that_ends_is_replaced(self):
        self.cloud.token_lifetime = 1.0
        proxy = self.start(self.keys.environment())
        self.assertEqual(self.get_root(proxy).status, 200)
        wait.until(lambda: all(self.cloud.token_state(t) == "expired" for t in self.cloud._tokens), "the token to end")
        self.assertEqual(proxy.client().get(f"/v2/team/hut/manifests/{self.hut.manifest.digest}").status, 200)
        self.assertGreaterEqual(len(self.cloud.signers), 2)

    def test_a_403_without_a_challenge_is_a_token_that_has_ended(self):
        """Before its time: only the registry knows."""
        self.cloud.token_lifetime = paths.patience(8)
        proxy = self.start(self.keys.environment())
        self.assertEqual(self.get_root(proxy).status, 200)
        time.sleep(self.cloud.token_lifetime / 8 + 0.5)  # younger than an eighth of its life, it counts as fresh
        self.cloud.end_all_tokens()
        self.assertEqual(proxy.client().get("/v2/team/hut/manifests/latest").status, 200)
        self.assertEqual(len(self.cloud.signers), 2)
        self.assertEqual([r.status for r in self.registry.seen("HEAD")], [403, 200])

    def test_a_repository_that_is_forbidden_costs_no_token(self):
        proxy = self.start(self.keys.environment())
        self.registry.on("*", "/team/hut/", quirks.failing(403))
        for digest in (b.digest for b in self.hut.blobs):
            self.assertEqual(proxy.client().get(f"/v2/team/hut/blobs/{digest}").status, 403)
        self.assertEqual(len(self.cloud.signers), 1)

    def test_half_way_it_is_renewed_and_an_outage_of_the_api_is_not_felt(self):
        self.cloud.token_lifetime = paths.patience(6)
        proxy = self.start(self.keys.environment())
        self.assertEqual(self.get_root(proxy).status, 200)
        self.cloud.on("POST", "/", quirks.failing(500))
        time.sleep(self.cloud.token_lifetime / 2 + 0.8)  # its end is told in fractions of a second, the clock in whole ones
        self.assertEqual(proxy.client().get(f"/v2/team/hut/manifests/{self.hut.manifest.digest}").status, 200)
        wait.until(lambda: len(self.cloud.seen("POST")) == 4, "the token to be asked for again, three times")
        for blob in self.hut.blobs[:2]:
            self.assertEqual(proxy.client().get(f"/v2/team/hut/blobs/{blob.digest}").status, 200)
        self.assertEqual(len(self.cloud.seen("POST")), 4, "once a minute is enough")

    def test_what_is_cached_is_served_when_no_token_is_to_be_had(self):
        proxy = self.start(self.keys.environment(), tag_ttl="0s")
        self.pull_everything(proxy.client(), "team/hut", self.hut)
        self.cloud.on("POST", "/", quirks.failing(500))
        self.cloud.end_all_tokens()
        proxy.restart()
        reply = proxy.client().get("/v2/team/hut/manifests/latest")
        self.assertEqual((reply.status, reply.digest), (200, self.hut.root.digest))
        self.assertRegex(reply.cache_status, r"detail=stale")
        self.assertRegex(proxy.log(), r" error .*GetAuthorizationToken of ecr in eu-central-1")

    def test_a_passing_fault_of_aws_is_not_felt(self):
        self.cloud.on("POST", "/", quirks.failing(500), times=1)
        self.cloud.on("POST", "/", quirks.hang_up(), times=1)
        self.assertEqual(self.get_root(self.start(self.keys.environment())).status, 200)

    def test_one_whose_aws_hangs_does_not_keep_another_waiting(self):
        self.cloud.on("POST", "/", quirks.silence(), times=1)
        healthy = self._serve(aws.Cloud(tls=self.authority.server("healthy")))
        keys = healthy.make_keys("the user")
        registry = self._serve(ecr.EcrRegistry(healthy, self.s3, self.content, tls=self.authority.server("other")))
        registry.tag("team/hut", self.hut)
        table = self.table(name="other.test", url=registry.url, ecr_endpoint=healthy.url, default=False, aws_profile="other")
        config = self.write("config", f"[profile other]\n{keys.profile()}")
        proxy = self.make_entrepot(self.table(), table, environment=self.keys.environment() | {"AWS_CONFIG_FILE": config},
                                   server__threads=4, server__drain_timeout="0s")
        waiting = [threading.Thread(target=lambda: self.get_root_quietly(proxy)) for _ in range(8)]
        for thread in waiting:
            thread.start()
            self.addCleanup(thread.join)
        wait.until(lambda: self.cloud.seen("POST"), "AWS to be asked")
        reply = proxy.client().get(f"/v2/other.test/team/hut/manifests/{self.hut.root.digest}")
        self.assertEqual(reply.status, 200)
        self.assertEqual([r.status for r in self.cloud.seen("POST")], [0], "the other one is still waited for")
        proxy.stop()

    def test_it_stops_while_aws_says_nothing(self):
        proxy = self.start(self.keys.environment(), drain_timeout="0s")
        self.cloud.on("POST", "/", quirks.silence())
        waiting = threading.Thread(target=lambda: self.get_root_quietly(proxy))
        waiting.start()
        self.addCleanup(waiting.join)
        wait.until(lambda: self.cloud.seen("POST"), "AWS to be asked")
        proxy.stop()

    def test_names_tags_and_errors(self):
        proxy = self.start(self.keys.environment())
        missing = proxy.client().get(f"/v2/team/none/manifests/{self.hut.root.digest}")
        self.assertEqual((missing.status, missing.json()["errors"][0]["code"]), (404, "NAME_UNKNOWN"))
        missing = proxy.client().get("/v2/team/hut/manifests/none")
        self.assertEqual((missing.status, missing.json()["errors"][0]["code"]), (404, "MANIFEST_UNKNOWN"))
        for number in range(7):
            self.registry.tag("team/hut", self.hut, f"v{number}")
        tags, target = [], "/v2/team/hut/tags/list?n=3"
        while target:
            page = proxy.client().get(target)
            self.assertEqual(page.status, 200, page.body)
            tags += page.json()["tags"]
            link = page.header("Link") or ""
            target = link[1:link.index(">")] if link else ""
        self.assertEqual(sorted(tags), sorted(["latest", *(f"v{n}" for n in range(7))]))


class SourcesTest(EcrCase):
    """Each source of credentials, and the failure of each."""

    def pull_by(self, environment: dict, signer: str, said: str, **more):
        proxy = self.start(environment, name=f"entrepot-{len(self.cloud.signers)}", **more)
        self.assertEqual(self.get_root(proxy).status, 200, proxy.log()[-2000:])
        self.assertEqual(self.cloud.signers[-1], signer)
        self.assertIn(said, proxy.log())
        return proxy

    def test_environment_with_a_session_token(self):
        keys = self.cloud.make_keys("a session", temporary=True)
        self.pull_by(keys.environment(), "a session", "the environment's AWS_ACCESS_KEY_ID")

    def test_profiles(self):
        other = self.cloud.make_keys("another user", temporary=True)
        document = self.write("document", json.dumps(other.document()))
        files = {
            "AWS_SHARED_CREDENTIALS_FILE": self.write("credentials", f"[default]\n{self.keys.profile()}"),
            "AWS_CONFIG_FILE": self.write("config", (
                f"[profile ci]\nrole_arn = {ROLE}\nsource_profile = default\n"
                f"[profile tool]\ncredential_process = cat {document}\n"
                f"[profile container]\nrole_arn = {ROLE}\ncredential_source = Environment\n")),
        }
        self.pull_by(files, "the user", 'by AWS profile default')
        self.pull_by(files | {"AWS_PROFILE": "ci"}, f"{ROLE} (AssumeRole)", f'by role {ROLE} by AWS profile default')
        self.pull_by(files | {"AWS_PROFILE": "ci"}, "another user", 'by AWS profile tool, credential_process',
                     aws_profile="tool")
        self.pull_by(files | other.environment(), f"{ROLE} (AssumeRole)", f"by role {ROLE} by the environment's",
                     aws_profile="container")

    def test_web_identity(self):
        """IRSA. The token is read each time: kubelet rotates it."""
        token = secrets.make("web identity token")
        self.cloud.web_identities[token] = ROLE
        token_file = self.write("token", token)
        environment = {"AWS_WEB_IDENTITY_TOKEN_FILE": token_file, "AWS_ROLE_ARN": ROLE}
        self.pull_by(environment, f"{ROLE} (AssumeRoleWithWebIdentity)", f"by role {ROLE} by the web identity token in")

    def test_container_endpoint(self):
        """EKS Pod Identity: the authorization token is in a file, and is rotated."""
        metadata = self._serve(aws.Metadata(self.cloud.make_keys("the pod", temporary=True)))
        metadata.authorization = secrets.make("pod identity token")
        token_file = self.write("pod-token", metadata.authorization)
        environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/v1/credentials",
                       "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token_file}
        self.cloud.token_lifetime = 1.0
        proxy = self.pull_by(environment, "the pod", "by the container's credential endpoint")
        metadata.authorization = secrets.make("next pod identity token")
        self.write("pod-token", metadata.authorization)
        self.cloud.end_all_tokens()
        proxy.restart()
        self.assertEqual(proxy.client().get(f"/v2/team/hut/manifests/{self.hut.manifest.digest}").status, 200)

    def test_instance_metadata(self):
        metadata = self._serve(aws.Metadata(self.cloud.make_keys("the instance", temporary=True)))
        self.pull_by({"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}, "the instance",
                     "by EC2 instance metadata, role instance-role")
        self.assertEqual([r.method for r in metadata.seen()], ["PUT", "GET", "GET"])

    def fails_with(self, environment: dict, *said: str, **more):
        self.count = getattr(self, "count", 0) + 1
        proxy = self.start(environment, name=f"failing-{self.count}", **more)
        reply = self.get_root(proxy)
        self.assertIn(reply.status, (502, 503), reply.body)
        for text in said:
            self.assertIn(text, proxy.log())
        self.assertEqual(self.registry.seen(), [], "nothing is asked without a token")

    def test_what_is_said_when_a_source_fails(self):
        self.fails_with({}, "no AWS credentials: none in the environment", "EC2 instance metadata")
        self.fails_with({"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY")
        self.fails_with(self.keys.environment() | {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"},
                        "refused the credentials of the environment's AWS_ACCESS_KEY_ID: UnrecognizedClientException")
        self.fails_with({"AWS_PROFILE": "none"}, 'AWS profile none: there is none in the AWS configuration files')
        token_file = self.write("token", secrets.make("unknown web identity"))
        self.fails_with({"AWS_WEB_IDENTITY_TOKEN_FILE": token_file, "AWS_ROLE_ARN": ROLE},
                        f"role {ROLE} by the web identity token in {token_file}: InvalidIdentityToken")
        self.fails_with({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent", "AWS_ROLE_ARN": ROLE}, "No such file or directory")
        self.fails_with({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.0.0.1/credentials"},
                        "plain http to 10.0.0.1, which is not this machine")
        metadata = self._serve(aws.Metadata(self.keys))
        metadata.authorization = "another"
        self.fails_with({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/v1/credentials"},
                        "the container's credential endpoint (AWS_CONTAINER_CREDENTIALS_FULL_URI): answered with status 401")
        config = self.write("config", f"[profile f]\nrole_arn = {ROLE}/forbidden\nsource_profile = u\n"
                            f"[profile u]\n{self.keys.profile()}[profile p]\ncredential_process = exit 7\n")
        self.fails_with({"AWS_CONFIG_FILE": config}, "AccessDenied: the user is not authorized to perform: sts:AssumeRole",
                        aws_profile="f")
        self.fails_with({"AWS_CONFIG_FILE": config}, 'AWS profile p, credential_process: /bin/sh: it ended with exit code 7',
                        aws_profile="p")

    def test_what_fails_shows_no_secret(self):
        """The path of a container's endpoint entitles to its role; a proxy's URL may hold a password. That no canary is in
        the log is checked when entrepot ends."""
        metadata = self._serve(aws.Metadata(self.keys))
        metadata.on("*", "/", quirks.hang_up())
        path = secrets.make("path of the container's endpoint")
        self.fails_with({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/v2/credentials/{path}"}, metadata.url)
        proxy_url = f"http://me:{secrets.make('proxy password')}@127.0.0.1:80a"
        environment = self.keys.environment() | {"HTTPS_PROXY": proxy_url, "https_proxy": proxy_url}
        self.fails_with(environment, "the proxy's URL is unusable", proxy="env")

    def test_a_wrong_secret_is_refused_by_the_service(self):
        """The positive control of the signature check."""
        wrong = self.keys.environment() | {"AWS_SECRET_ACCESS_KEY": secrets.make("a wrong AWS secret")}
        self.fails_with(wrong, "InvalidSignatureException")
        self.assertEqual(self.cloud.flaws, ["the signature does not match"])
        self.cloud.flaws.clear()


class PublicRegistryTest(EcrCase):
    def setUp(self):
        super().setUp()
        self.registry = self.make_ecr(ecr.EcrPublic, self.authority.server("public"))

    def table(self, **more) -> dict:
        return super().table(name="public.ecr.aws", ecr_region="us-east-1") | more

    def test_everything_by_its_own_token(self):
        proxy = self.start(self.keys.environment())
        self.pull_everything(proxy.client(), "team/hut", self.hut)
        self.assertEqual(self.cloud.signers, ["the user"])
        self.assertEqual({r.header("Authorization").split()[0] for r in self.registry.seen()}, {"Bearer"})

    def test_a_head_of_a_blob_is_answered_though_it_refuses_every_one(self):
        proxy = self.start(self.keys.environment())
        blob = self.hut.layers[0]
        reply = proxy.client().head(f"/v2/team/hut/blobs/{blob.digest}")
        self.assertEqual((reply.status, reply.header("Content-Length")), (200, str(blob.size)))

    def test_a_400_without_a_challenge_is_a_token_that_has_ended(self):
        self.cloud.token_lifetime = paths.patience(8)
        proxy = self.start(self.keys.environment())
        self.assertEqual(self.get_root(proxy).status, 200)
        time.sleep(self.cloud.token_lifetime / 8 + 0.5)
        self.cloud.end_all_tokens()
        self.assertEqual(proxy.client().get("/v2/team/hut/manifests/latest").status, 200)
        self.assertEqual(len(self.cloud.signers), 2)
