"""Where the site keeps what it ran: a folder per state of the package, so that nothing stale is shown."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cevnslab

ROOT = Path(__file__).resolve().parents[2]


def _package_hash() -> str:
    package = Path(cevnslab.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.suffix in {".py", ".yaml", ".json"})
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


CACHE = ROOT / "build" / "docs-cache" / _package_hash()
