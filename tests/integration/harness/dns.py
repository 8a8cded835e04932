"""A name server for names that are nobody's (RFC 1035): A records alone, over UDP, at port 53 of the test's own network."""

import socket
import struct
import threading

_FIT = 28   # A records in an answer of 512 bytes


class NameServer:
    """`answers`: name → the addresses that each question in turn is answered with; the last ones for all that follow. A name that
    is not there is NXDOMAIN. `asked` are the names of the questions."""

    def __init__(self, answers: dict[str, list[list[str]]], address: str = "127.0.0.1", code: int = 0, is_silent: bool = False,
                 is_nonsense: bool = False):
        """`code`: the RCODE of all answers."""
        self._answers, self.asked = answers, []
        self._code, self._is_silent, self._is_nonsense = code, is_silent, is_nonsense
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._socket.settimeout(0.1)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self):
        """The port is free then."""
        self._is_stopping = True
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while not self._is_stopping:
            try:
                question, asker = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if answer := self._answer(question):
                self._socket.sendto(answer, asker)

    def _answer(self, question: bytes) -> bytes:
        if self._is_silent:
            return b""
        if self._is_nonsense:
            return question[:2] + b"\x81\x80" + b"\xff" * 40
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        asked, (kind,) = question[12:at + 5], struct.unpack(">H", question[at + 1:at + 3])
        name, addresses = ".".join(labels), []
        known = self._answers.get(name)
        if known and kind == 1:
            self.asked.append(name)
            addresses = known[0]
            if len(known) > 1:
                known.pop(0)
        addresses, is_cut = addresses[:_FIT], len(addresses) > _FIT
        records = [b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + socket.inet_aton(address) for address in addresses]
        flags = (0x8180 if known else 0x8183) | self._code | (0x0200 if is_cut else 0)
        return question[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + asked + b"".join(records)
