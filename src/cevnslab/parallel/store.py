"""Kept blocks: one file each, with a checksum of what it holds and of whose it is."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StorageError

ENDING = ".block"
PREFIX = "values."
"""Before every name: an array may have the name of an option of `numpy.savez`."""


class BlockStore:
    """A folder of kept blocks; without a folder it keeps nothing.

    A file is taken only if its checksum fits its content, its task and its number: a block that was cut short, changed
    by a single bit, renamed or written by something else is as good as none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def read(self, digest: str, block: int) -> dict[str, NDArray[Any]] | None:
        """The arrays of a kept block, None where there is no whole one."""
        if self.folder is None:
            return None
        place = self.folder / _name(digest, block)
        try:
            # A pipe would be waited for, and a device might never end.
            content = place.read_bytes() if place.is_file() else b""
        except OSError:
            return None
        checksum, payload = content[:32], content[32:]
        return _unpacked(payload) if checksum == _checksum(digest, block, payload) else None

    def keep(self, digest: str, block: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write a block whole or not at all; `StorageError` where that cannot be done, `TypeError` for objects.

        Where a folder stands in its place nothing is kept: the block will be computed again.
        """
        if self.folder is None:
            return
        payload = _packed(arrays)
        partial = self.folder / f"{digest}-{block}.{secrets.token_hex(8)}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(_checksum(digest, block, payload) + payload)
            os.replace(partial, self.folder / _name(digest, block))
        except IsADirectoryError:
            return  # a folder that somebody put there: what is not ours is left, and stops no run
        except OSError as fault:
            raise StorageError(
                f"cannot keep a finished block in {self.folder}: {fault.strerror or fault}; "
                "blocks that are kept already are used when the same command is started again"
            ) from None
        finally:
            with suppress(OSError):  # it is there only after a fault, or where a signal came
                partial.unlink(missing_ok=True)


def _name(digest: str, block: int) -> str:
    return f"{digest}-{block}{ENDING}"


def _checksum(digest: str, block: int, payload: bytes) -> bytes:
    return hashlib.sha256(f"{_name(digest, block)}\n".encode() + payload).digest()


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    if any(values.dtype.hasobject for values in arrays.values()):
        raise TypeError("blocks hold arrays of numbers and words, no objects")
    content = io.BytesIO()
    members: dict[str, Any] = {PREFIX + name: values for name, values in arrays.items()}
    np.savez(content, **members)
    return content.getvalue()


def _unpacked(payload: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(payload), allow_pickle=False) as content:
        return {name.removeprefix(PREFIX): content[name] for name in content.files}
