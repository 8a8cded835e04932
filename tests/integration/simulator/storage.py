"""Where redirects lead."""

from harness import answers
from harness.answers import Answer
from harness.server import Seen
from harness.upstream import Storage


class S3(Storage):
    """A bucket behind presigned URLs: signed for GET alone, and one kind of authentication at a time."""

    def honest_answer(self, seen: Seen) -> Answer:
        if seen.header("Authorization"):
            return answers.xml(400, "InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                               "Signature query string parameter or the Authorization header should be specified")
        if seen.method == "HEAD":
            return answers.xml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        return super().honest_answer(seen)
