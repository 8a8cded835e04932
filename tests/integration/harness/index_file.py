"""What the index of a cache says, read by LMDB itself beside the process that has it open: docs/cache-format.md."""

import ctypes
import pathlib

_READ_ONLY, _NO_TLS, _NEXT, _NOT_FOUND = 0x20000, 0x200000, 8, -30798
_ALGORITHMS = {1: "sha256", 2: "sha512"}
_STATES = {1: "committed", 2: "doomed"}


class _Value(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_void_p)]

    def bytes(self) -> bytes:
        return ctypes.string_at(self.data, self.size)


def blobs(cache: pathlib.Path) -> dict[str, tuple[str, int]]:
    """By digest: the state, and the size."""
    rows = _table(cache / "index", b"blob")
    return {f"{_ALGORITHMS[key[0]]}:{key[1:].hex()}": (_STATES[value[1]], int.from_bytes(value[2:10], "big"))
            for key, value in rows.items()}


def files(cache: pathlib.Path) -> dict[str, int]:
    """The sizes of the files in blobs/, by digest."""
    return {f"{path.parent.parent.name}:{path.name}": path.stat().st_size for path in (cache / "blobs").glob("*/*/*")}


def _table(index: pathlib.Path, name: bytes) -> dict[bytes, bytes]:
    lmdb = ctypes.CDLL("liblmdb.so.0")
    lmdb.mdb_env_close.restype = lmdb.mdb_txn_abort.restype = None
    environment, txn, table, cursor = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_void_p()
    _check(lmdb.mdb_env_create(ctypes.byref(environment)))
    try:
        _check(lmdb.mdb_env_set_maxdbs(environment, 16))
        _check(lmdb.mdb_env_open(environment, str(index).encode(), _READ_ONLY | _NO_TLS, 0o600))
        _check(lmdb.mdb_txn_begin(environment, None, _READ_ONLY, ctypes.byref(txn)))
        rows, key, value = {}, _Value(), _Value()
        _check(lmdb.mdb_dbi_open(txn, name, 0, ctypes.byref(table)))
        _check(lmdb.mdb_cursor_open(txn, table, ctypes.byref(cursor)))
        while (code := lmdb.mdb_cursor_get(cursor, ctypes.byref(key), ctypes.byref(value), _NEXT)) == 0:
            rows[key.bytes()] = value.bytes()
        assert code == _NOT_FOUND, f"LMDB: {code}"
        lmdb.mdb_txn_abort(txn)
        return rows
    finally:
        lmdb.mdb_env_close(environment)


def _check(code: int):
    assert code == 0, f"LMDB: {code}"
