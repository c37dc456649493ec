"""The code blocks of a page, run in their order as a reader would: files saved, commands typed, Python entered.

* A block that starts with a comment of a file name, ``# lab.yaml``, is saved under it (``, continued``: added to it).
* A ``console`` block holds commands after ``$`` and what they print; ``...`` stands for anything, and a command with no
  output under it may print what it likes. A comment ``# exit status 2`` says that it fails.
* A ``pycon`` block is a doctest; all blocks of a page share their names.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w.-]+\.\w+)(, continued)?\b")
STATUS = re.compile(r"# exit status (\d)")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the line of the page where its text starts."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> tuple[str, bool] | None:
        """The name under which it is saved, and whether it continues that file."""
        named = FILE.match(self.text)
        return None if named is None or self.language in ("console", "pycon") else (named[1], bool(named[2]))


@dataclass(frozen=True)
class Command:
    """What is typed, the lines that it should print, and the exit status."""

    typed: str
    output: list[str]

    @property
    def words(self) -> list[str]:
        return shlex.split(self.typed, comments=True)

    @property
    def status(self) -> int:
        match = STATUS.search(self.typed)
        return int(match[1]) if match else 0


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for result in FENCE.finditer(text):
        yield Block(result[1], result[2], text.count("\n", 0, result.start(2)) + 1)


def commands(block: Block) -> list[Command]:
    commands: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line[2:], []))
        else:
            commands[-1].output.append(line)
    return commands


def plain(text: str) -> list[str]:
    """Lines without the spaces that a table's width decides; rules and empty lines are dropped."""
    lines = (" ".join(line.replace("─", " ").split()) for line in text.splitlines())
    return [line for line in lines if line]


def matches(expected: list[str], printed: list[str]) -> bool:
    """Whether the printed lines are the wanted ones, `...` standing for anything.

    >>> matches(["a", "...", "b ..."], ["a", "x", "y", "b c"]), matches(["a"], ["a", "b"])
    (True, False)
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n" for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def run_page(page: Path, command: Callable[..., Any]) -> int:
    """Run every block of a page in the present folder; returns how many were run."""
    names: dict[str, Any] = {}
    runner, count = doctest.DocTestRunner(), 0
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.file is not None:
            name, continued = block.file
            with Path(name).open("a" if continued else "w", encoding="utf-8") as file:
                file.write(block.text)
        elif block.language == "console":
            for each in commands(block):
                program, *arguments = each.words
                assert program == "cevnslab", f"{where}: {each.typed}"
                ran = command(*arguments)
                printed = plain(ran.err + ran.out)  # what is said before comes first
                assert ran.status == each.status, f"{where}: {each.typed}: {ran.err}"
                expected = plain("\n".join(each.output))
                assert not expected or matches(expected, printed), f"{where}: {each.typed} printed\n" + "\n".join(
                    printed
                )
        elif block.language == "pycon":
            test = doctest.DocTestParser().get_doctest(block.text, names, page.name, str(page), block.line)
            message: list[str] = []
            runner.run(test, out=message.append, clear_globs=False)
            assert not message, f"{where}:\n" + "".join(message)
            names.update(test.globs)
        else:
            continue
        count += 1
    return count
