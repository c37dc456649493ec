"""The page on this machine: Panel's server, on the loopback address unless told otherwise."""

from __future__ import annotations

import importlib.resources
import ipaddress
import secrets
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from cevnslab.errors import CevnslabError, StudyError
from cevnslab.explorer.exploration import Exploration
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


def is_called_here(host: str) -> bool:
    """Whether a browser that names this host in its request meant this machine.

    A name of somebody else's that leads here (DNS rebinding) would let their page read the study.

    >>> is_called_here("127.0.0.1:5006"), is_called_here("[::1]:5006"), is_called_here("evil.example:5006")
    (True, True, False)
    """
    return is_loopback(urlsplit(f"//{host}").hostname or "")


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


def _host(address: str) -> str:
    """How a browser calls an address; all addresses of this machine go by its name.

    >>> _host("127.0.0.1"), _host("::1")
    ('127.0.0.1', '[::1]')
    """
    with suppress(ValueError):
        if ipaddress.ip_address(address).is_unspecified:
            return socket.gethostname()
    return f"[{address}]" if ":" in address else address


def _run(server: Any) -> None:
    """Serve until a signal comes, which is raised anew where the caller can see it.

    An exception that a handler of signals raises while a task of the loop runs would end in that task.
    """
    loop, received = server.io_loop, list[int]()

    def stop(number: int) -> None:
        received.append(number)
        loop.stop()

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        with suppress(NotImplementedError):  # Windows has none in loops
            loop.asyncio_loop.add_signal_handler(number, stop, number)
    try:
        loop.start()
    finally:
        for number, handler in handlers.items():
            with suppress(NotImplementedError):
                loop.asyncio_loop.remove_signal_handler(number)
            signal.signal(number, handler)
        server.stop(wait=False)
    if received:
        signal.raise_signal(received[0])


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
    Exploration(study)  # whatever is wrong with the study is said here, not in the browser

    def page() -> Any:
        if token is None and not is_called_here(panel.state.headers.get("Host", "")):
            return panel.pane.Markdown("This page answers under the address of this machine alone.")
        return Explorer(study).page()

    try:
        server = panel.serve(
            {"/": page},
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
    ready(f"http://{_host(address)}:{server.port}/")
    server.start()
    if show:
        server.show("/")
    _run(server)
