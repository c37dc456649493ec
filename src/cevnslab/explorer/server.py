"""The page on this machine: Panel's server, on the loopback address unless told otherwise."""

from __future__ import annotations

import importlib.resources
import ipaddress
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cevnslab.errors import CevnslabError, StudyError
from cevnslab.explorer.page import Explorer, toolkit
from cevnslab.studies.study import Study

LOOPBACK = "127.0.0.1"
SHORTEST_TOKEN = 12


class ServerError(CevnslabError):
    """An address or a port that cannot be served: the input may be right, the world is not."""

    exit_status = 1


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if address == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False


def access(address: str, token: str | None) -> dict[str, Any]:
    """What the server must ask for: nothing on the loopback address, a token elsewhere, and wherever one is named.

    Raises `StudyError` for an address that others reach without a token, and for one that is guessed too easily.
    """
    if token is None:
        if not is_loopback(address):
            raise StudyError(f"--address {address}: others can reach it; give a --token, which the page will ask for")
        return {}
    if len(token) < SHORTEST_TOKEN:
        raise StudyError(f"--token: at least {SHORTEST_TOKEN} characters, got {len(token)}")
    login = importlib.resources.files("cevnslab.explorer").joinpath("login.html")
    return {"basic_auth": token, "cookie_secret": secrets.token_hex(32), "basic_login_template": str(login)}


def serve(
    study: Study,
    *,
    address: str = LOOPBACK,
    port: int = 0,
    token: str | None = None,
    ready: Callable[[str], None] = lambda url: None,
    show: bool = False,
) -> None:
    """Serve the explorer of a study until interrupted; every visitor has an exploration of his own.

    `ready` is told the address once the port is open. Raises `MissingExtraError`, `StudyError`, `ServerError`.
    """
    panel, _ = toolkit()
    secured = access(address, token)
    Explorer(study)  # whatever is wrong with the study is said here, not in the browser
    try:
        server = panel.serve(
            {"/": lambda: Explorer(study).page()},
            address=address,
            port=port,
            show=False,
            start=False,
            verbose=False,
            title="cevnslab explore",
            **secured,
        )
    except OSError as fault:
        raise ServerError(f"cannot serve on {address}, port {port}: {fault.strerror or fault}") from None
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{server.port}/"
    ready(url)
    server.start()
    if show:
        server.show("/")
    try:
        server.io_loop.start()
    finally:
        server.stop(wait=False)
