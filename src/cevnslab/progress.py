"""Progress bars on a terminal, silence elsewhere; and lines that must be seen everywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

_Item = TypeVar("_Item")


@contextmanager
def progress_bar(what: str, total: int, *, always: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on standard error with the time left, moved by the function that it gives.

    A single step has none unless `always`.
    """
    if sys.stderr is None or not sys.stderr.isatty() or (total < 2 and not always):
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)


def notice(text: str) -> None:
    """A line on standard error that says what a run does or waits for."""
    # A closed or full standard error must not end a run.
    with suppress(OSError, AttributeError):
        print(f"cevnslab: {text}", file=sys.stderr, flush=True)


def track(items: Sequence[_Item], what: str) -> Iterator[_Item]:
    """The items in turn, with a bar."""
    with progress_bar(what, len(items)) as advance:
        for item in items:
            yield item
            advance(1)
