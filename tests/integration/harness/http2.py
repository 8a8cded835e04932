"""HTTP/2 for the small server (RFC 9113), by the h2 library: one connection's conversation.

It does less than a real server: the streams of a connection are answered one after another, and what is about the framing of
HTTP/1.1 (quirks.chunked, a length that lies, a head in single bytes, interim answers) has no meaning here.
"""

import collections
import ssl

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from . import answers


class Talk:
    def __init__(self, connection: ssl.SSLSocket):
        self._connection = connection
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        self._requests: dict[int, tuple[list[tuple[str, str]], bytearray]] = {}  # that are still coming in
        self._complete: collections.deque[int] = collections.deque()
        self._stream = 0
        self._h2.initiate_connection()
        self._flush()

    def next_request(self) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
        """Method, target, headers and body. None when the client has gone."""
        while not self._complete:
            if not self._take():
                return None
        self._stream = self._complete.popleft()
        fields, body = self._requests.pop(self._stream)
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        headers = [("Host", pseudo[":authority"]), *((name, value) for name, value in fields if not name.startswith(":"))]
        return pseudo[":method"], pseudo[":path"], headers, bytes(body)

    def send(self, answer: answers.Answer, has_body: bool, count):
        """Like answers.send. `cut_how` "stream" ends the stream alone."""
        answer.framing, has_body = "length", has_body and answer.chunks is not None
        answers.wait_for_head(self, answer)
        headers = [(":status", str(answer.status)), *((name.lower(), value) for name, value in answer.headers)]
        if answer.length is not None:
            headers.append(("content-length", str(answer.length)))
        try:
            self._h2.send_headers(self._stream, headers, end_stream=not has_body)
            self._flush()
            if has_body:
                answers.send_body(self, answer, count)
                self._h2.end_stream(self._stream)
                self._flush()
        except h2.exceptions.StreamClosedError:
            pass  # the client wants no more of it
        except answers.Hangup:
            if answer.cut_how != "stream":
                raise
            self._h2.reset_stream(self._stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self._flush()

    # As a socket, for what sends a body.

    def sendall(self, data: bytes | memoryview):
        data = memoryview(data)
        while data:
            room = min(self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size)
            if room > 0:
                self._h2.send_data(self._stream, bytes(data[:room]))
                data = data[room:]
                self._flush()
            elif not self._take():
                raise answers.Hangup

    def fileno(self) -> int:
        return self._connection.fileno()

    def _flush(self):
        self._connection.sendall(self._h2.data_to_send())

    def _take(self) -> bool:
        """What the client says next. False when it has gone."""
        data = self._connection.recv(65536)
        if not data:
            return False
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self._requests[event.stream_id] = (event.headers, bytearray())
            elif isinstance(event, h2.events.DataReceived):
                self._requests[event.stream_id][1].extend(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self._complete.append(event.stream_id)
            elif isinstance(event, h2.events.StreamReset) and event.stream_id in self._complete:
                self._complete.remove(event.stream_id)
        self._flush()
        return True
