"""The command's shell: streams, signals, and how it ends.

Exit status: 0 done; 2 the input is wrong; 1 the world is (a full disk, a worker that died) or the package; 130 Ctrl-C;
143 terminated. Whatever ends it but 0 is one message on standard error.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cevnslab.cli.home import folder_for_matplotlib
from cevnslab.cli.streams import complain, flush_streams, prepare_streams
from cevnslab.errors import CevnslabError

TRACEBACK = "CEVNSLAB_TRACEBACK"
"""Environment variable: show where a bug of the package is."""

# All matrices here are small: more threads would wait for each other, and change the last bit from run to run.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Most of what a command makes it keeps: looking for garbage in it as often as by default takes a tenth of a short run.
gc.set_threshold(100_000)


class Ended(BaseException):
    """A signal that ends the command, raised wherever it is so that it leaves nothing half-done."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Entry point of the console script."""
    try:
        with _signals(), folder_for_matplotlib():
            prepare_streams()
            # What takes long to import comes where Ctrl-C has a handler.
            from cevnslab.cli.commands import app

            status = app(standalone_mode=False)
        status = status if isinstance(status, int) else 0
    except BaseException as fault:
        status, message = _ending(fault)
        if message:
            complain(message)
    sys.exit(status if flush_streams() else status or 1)


def _ending(fault: BaseException) -> tuple[int, str]:
    """The exit status and the message of what ended a command; empty where it was said already."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(fault)
    if isinstance(fault, Ended):
        names = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
        return 128 + fault.number, names.get(fault.number, "ended by a signal")  # type: ignore[call-overload]
    if isinstance(fault, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(fault, SystemExit):
        return (fault.code if isinstance(fault.code, int) else 1), ""
    if isinstance(fault, CevnslabError):
        return fault.exit_status, str(fault)
    if hasattr(fault, "format_message"):  # what typer says of a wrong command line
        text = str(fault.format_message())
        # Without any argument the message is the help itself.
        return 2, text if text.startswith("Usage:") else f"{text} (see cevnslab --help)"
    if isinstance(fault, MemoryError):
        return 1, "there is not enough memory for this study: `cevnslab check` says what it takes"
    if isinstance(fault, OSError):
        return 1, _world(fault)
    return 1, _internal(fault)


def _world(fault: OSError) -> str:
    if fault.errno == errno.EPIPE:
        return "cannot write to standard output: nobody reads it any more"
    place = "" if fault.filename is None else f"{fault.filename}: "
    return f"{place}{fault.strerror or fault}"


def _internal(fault: BaseException) -> str:
    """A bug of the package, with its place."""
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if "cevnslab" in frame.filename]
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    text = " ".join(str(fault).split())
    return (
        f"internal error, {type(fault).__name__}: {text or 'no message'}{place}; please report it with the study file "
        f"({TRACEBACK}=1 shows where it came from)"
    )


@contextmanager
def _signals() -> Iterator[None]:
    """Signals that end the command are raised as `Ended`: folders are tidied and workers ended on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
    # One that is ignored, as by nohup, stays so.
    before = {number: signal.getsignal(number) for number in numbers}
    heard = False

    def raise_once(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        if heard:
            os._exit(128 + number)
        heard = True
        raise Ended(number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, raise_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
