"""Pickled values over pipes between a run and its worker processes."""

from __future__ import annotations

import pickle
import struct
from typing import IO, Any

LENGTH = struct.Struct("<Q")


def send(pipe: IO[bytes], value: object) -> None:
    """Write one value; `OSError` where the other end is gone."""
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def receive_bytes(pipe: IO[bytes]) -> bytes:
    """Read one value, still pickled; `EOFError` where the other end is gone."""
    header = pipe.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(header)
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return content


def receive(pipe: IO[bytes]) -> Any:
    """Read one value; `EOFError` where the other end is gone."""
    return pickle.loads(receive_bytes(pipe))
