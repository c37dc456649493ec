"""Functions in a forked process: with limits of time and memory, and a look at what they left."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ADDRESS_SPACE = 6 << 30
"""Beyond it an allocation fails."""
IDLE = 20
"""How many times its limit a process may take by the clock: it waits for a busy machine, or for nothing."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended."""

    status: int | None
    """None where it was ended by the time limit, negative where by a signal."""
    out: str
    err: str
    seconds: float
    """Processor time."""
    megabytes: float
    """The most memory that it, or a process that it waited for, held."""


def forked(function: Callable[[], object], seconds: float) -> Outcome:
    """Call a function in a copy of this process, in a group of its own; its exit status is `sys.exit`'s, or 70.

    `seconds` is the most processor time that it may take.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _in_child(function, out.fileno(), err.fileno())
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(child, child)  # here too: whoever is first
        status, usage = _waited(child, seconds)
        for stream in (out, err):
            stream.seek(0)
        texts = [stream.read(1 << 20).decode("utf-8", "replace") for stream in (out, err)]
        # What it started and did not end goes with it.
        _end_group(child)
        return Outcome(status, texts[0], texts[1], usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _in_child(function: Callable[[], object], out: int, err: int) -> None:
    status = 70
    try:
        os.setpgid(0, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        function()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 70
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _waited(child: int, seconds: float) -> tuple[int | None, resource.struct_rusage]:
    pause, end = 0.001, time.monotonic() + IDLE * seconds
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage
        if _processor_time(child) > seconds or time.monotonic() > end:
            _end_group(child)
            _, _, usage = os.wait4(child, 0)
            return None, usage
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _processor_time(child: int) -> float:
    """Seconds that a child, and what it waited for, has computed."""
    fields = Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _end_group(child: int) -> None:
    """End what is left of a child's group; the number of a group that has members is nobody else's."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def tree(folder: Path) -> dict[str, bytes | None]:
    """The content of every file below a folder; None for what is no file."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
