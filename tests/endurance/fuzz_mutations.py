"""Mutations of a study: of its keys and values, of the text of its file, of JSON and bytes that it left."""

from __future__ import annotations

import copy
import datetime
import json
import math
import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

STRANGE: list[Any] = [
    None, True, False, "", " ", "x" * 300, "no", "1e-7", "~", "\0", "\x1b[31m", "a\nb", "../../x", "/dev/zero",
    "/etc/passwd", "/nowhere/file.dat", ".", "ess-ge", "ess", "q_ee", "$x$", "Ωμ²", "CON", "-", "=", "{}", "\ud800",
    [], {}, [[]], [None], {"a": 1}, {1: 2}, {None: None}, 0, 1, -1, 2, 10**25, -(10**400), math.nan, math.inf,
    -math.inf, 0.0, -0.0, 1e-320,
    1e-300, 1e-30, 1e-9, 1e9, 1e18, 1e30, 1e300, datetime.date(2024, 1, 1), b"bytes", {"x"},
]  # fmt: skip
"""Values that somebody may write or that a broken program may."""

Path = tuple[Any, ...]


def places(tree: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values in a tree, the root left out."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


class Mutator:
    """Mutations drawn from one stream of random numbers; `schema` is the JSON Schema of study files."""

    def __init__(self, rng: random.Random, schema: dict[str, Any]) -> None:
        self.rng = rng
        self.schema = schema
        self.definitions: dict[str, Any] = schema.get("$defs", {})
        mappings = [schema, *self.definitions.values()]
        self.properties = [(key, value) for each in mappings for key, value in each.get("properties", {}).items()]

    def mutated(self, tree: Any, most: int = 3) -> Any:
        """A copy with one to some changes of values and keys."""
        tree = copy.deepcopy(tree)
        changes = [self._strange, self._scaled, self._scaled, self._removed, self._renamed, self._added, self._added,
                   self._moved, self._doubled]  # fmt: skip
        for _ in range(self.rng.choice([1, 1, 1, *range(1, most + 1)])):
            self.rng.choice(changes)(tree)
        return tree

    def retuned(self, tree: Any, most: int = 3) -> Any:
        """A copy with other numbers and further keys of their own kind: most of them still load."""
        tree = copy.deepcopy(tree)
        for _ in range(self.rng.randint(1, most)):
            self.rng.choice([*[self._scaled] * 9, self._added])(tree)
        return tree

    def _place(self, tree: Any) -> tuple[Any, Any] | None:
        result = list(places(tree))
        if not result:
            return None
        *parents, key = self.rng.choice(result)
        return at(tree, tuple(parents)), key

    def _strange(self, tree: Any) -> None:
        if place := self._place(tree):
            place[0][place[1]] = copy.deepcopy(self.rng.choice(STRANGE))

    def _scaled(self, tree: Any) -> None:
        numbers = [path for path in places(tree) if type(at(tree, path)) in (int, float)]
        if not numbers:
            return
        *parents, key = self.rng.choice(numbers)
        holder = at(tree, tuple(parents))
        reach = self.rng.choice([0.5, 3, 12, 40])
        factor = 10 ** self.rng.uniform(-reach, reach)
        try:
            value = holder[key] * factor
            whole = isinstance(holder[key], int) and self.rng.random() < 0.8
            holder[key] = round(value) if whole and abs(value) < 1e6 else value
        except OverflowError:
            holder[key] = 1e300
        if self.rng.random() < 0.1:
            holder[key] = -holder[key]

    def _removed(self, tree: Any) -> None:
        if place := self._place(tree):
            del place[0][place[1]]

    def _renamed(self, tree: Any) -> None:
        named = [path for path in places(tree) if isinstance(path[-1], str) and path[-1]]
        if named:
            *parents, key = self.rng.choice(named)
            holder = at(tree, tuple(parents))
            if key in holder:
                spot = self.rng.randrange(len(key))
                holder[key[:spot] + self.rng.choice(["", "x", key[spot] * 2, "_"]) + key[spot + 1 :]] = holder.pop(key)

    def _moved(self, tree: Any) -> None:
        first, second = self._place(tree), self._place(tree)
        if first and second:
            first[0][first[1]] = copy.deepcopy(second[0][second[1]])

    def _doubled(self, tree: Any) -> None:
        lists = [path for path in places(tree) if isinstance(at(tree, path), list) and at(tree, path)]
        if lists:
            holder = at(tree, self.rng.choice(lists))
            holder.append(copy.deepcopy(self.rng.choice(holder)))

    def _added(self, tree: Any) -> None:
        """A key that some mapping of the study file has, of a value that its schema allows or nearly."""
        mappings = [(), *(path for path in places(tree) if isinstance(at(tree, path), dict))]
        holder = at(tree, self.rng.choice(mappings))
        if not isinstance(holder, dict):
            return
        keys = {key for key in holder if isinstance(key, str)}
        fitting = [
            each["properties"]
            for each in (self.schema, *self.definitions.values())
            if keys and keys <= set(each.get("properties", {}))
        ]
        pool = list(self.rng.choice(fitting).items()) if fitting and self.rng.random() < 0.9 else self.properties
        key, schema = self.rng.choice(pool)
        holder[key] = self.value(schema)

    def value(self, schema: Any, depth: int = 0) -> Any:
        """A value of a JSON Schema; now and then a strange one."""
        if not isinstance(schema, dict) or depth > 4 or self.rng.random() < 0.03:
            return copy.deepcopy(self.rng.choice(STRANGE))
        if "$ref" in schema:
            return self.value(self.definitions[schema["$ref"].rsplit("/", 1)[-1]], depth + 1)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self.value(self.rng.choice(schema[word]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self.rng.choice(schema["enum"])
        kind = schema.get("type")
        if kind in ("number", "integer"):
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            high = min(schema.get("maximum", schema.get("exclusiveMaximum", 1e6)), 1e6)
            spread = self.rng.random() ** self.rng.choice([1, 20])
            number = low + (high - low) * spread
            return max(int(number), 1) if kind == "integer" else number
        if kind == "array":
            items = schema.get("items", schema.get("prefixItems", [{}])[0])
            least = schema.get("minItems", 0)
            return [self.value(items, depth + 1) for _ in range(self.rng.randint(least, least + 2))]
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "object" or "properties" in schema:
            names, required = schema.get("properties", {}), set(schema.get("required", ()))
            return {
                key: self.value(each, depth + 1)
                for key, each in names.items()
                if key in required or self.rng.random() < 0.3
            }
        if kind == "null":
            return None
        return self.rng.choice(["q_ee", "ge", "csi", "ess", "a", "efficiency.dat", "background.dat", "Ge", "signal"])

    def text(self, tree: Any) -> bytes:
        """The text of a study file with some changes of letters and lines."""
        text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
        for _ in range(self.rng.randint(1, 4)):
            text = self._edited(text)
        content = text.encode("utf-8", "surrogatepass")
        return self.flipped(content) if self.rng.random() < 0.1 else content

    def _edited(self, text: str) -> str:
        lines = text.splitlines(keepends=True) or ["\n"]
        number = self.rng.randrange(len(lines))
        spot = self.rng.randrange(len(text) + 1)
        kind = self.rng.randrange(6)
        if kind == 0:
            del lines[number]
        elif kind == 1:
            lines.insert(number, lines[self.rng.randrange(len(lines))])
        elif kind == 2:
            words = ["\t", "&a ", "*a", "!!float ", "!!int x", "!!python/name:os.system ", "<<: ", "? ", "- ", ": ",
                     "{", "]", "'", '"', "|\n", "# ", "---\n", "%YAML 9\n", "\ufeff", "\x07", "2024-02-30", "0x1f",
                     "1_0", "1:30", "!!binary aa", "!!timestamp x", "\u2028", "\r"]  # fmt: skip
            return text[:spot] + self.rng.choice(words) + text[spot:]
        elif kind == 3:
            return text[:spot] + text[spot + self.rng.randint(1, 5) :]
        elif kind == 4:
            lines[number] = "  " * self.rng.randint(0, 3) + lines[number].lstrip()
        else:
            return text[:spot]
        return "".join(lines)

    def flipped(self, content: bytes) -> bytes:
        """Bytes with some bits flipped, cut or added."""
        changed = bytearray(content or b"\0")
        kind = self.rng.randrange(4)
        if kind == 0:
            return bytes(changed[: self.rng.randrange(len(changed) + 1)])
        if kind == 1:
            spot = self.rng.randrange(len(changed))
            changed[spot:spot] = self.rng.randbytes(self.rng.randint(1, 40))
        else:
            for _ in range(self.rng.choice([1, 1, 3, 20])):
                changed[self.rng.randrange(len(changed))] ^= 1 << self.rng.randrange(8)
        return bytes(changed)

    def damage(self, stored: Sequence[pathlib.Path]) -> None:
        """Some of the files changed, exchanged for another as it was before, or taken away."""
        contents = [place.read_bytes() for place in stored]
        for place in self.rng.sample(stored, min(len(stored), self.rng.randint(1, 5))):
            kind = self.rng.randrange(4)
            if kind == 0:
                place.write_bytes(self.flipped(place.read_bytes()))
            elif kind == 1:
                place.write_bytes(self.rng.choice(contents))
            elif kind == 2:
                place.unlink()
            else:
                content = bytearray(place.read_bytes())
                content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
                place.write_bytes(content)

    def json(self, content: str) -> str:
        """JSON with some values changed."""
        tree = json.loads(content)
        for _ in range(self.rng.randint(1, 3)):
            self.rng.choice([self._strange, self._scaled, self._removed, self._renamed, self._moved, self._doubled])(
                tree
            )
        return json.dumps(tree, default=str)
