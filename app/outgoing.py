"""Requests that leave the house, to addresses that others have chosen: a guarded POST and what came of it.

A name is looked up for every try, each of its addresses has to be one of the public internet, and the connection is
made to the very address that was looked at. So neither a name that leads inside nor one that changes its mind reaches
anything of the network Kontor stands in. No redirect is followed, no proxy asked; an answer is read as far as it is
kept, and nobody holds a worker for long: `LOOKUP`, `CONNECT` for each address, and `PATIENCE` see to it. Names in
WEBHOOK_HOSTS are trusted by whoever runs Kontor.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Thread, Timer
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from flask import current_app
from flask_babel import gettext as _

from . import clock, domains
from .errors import Refused
from .models import Outcome

LOOKUP = 5  # seconds to find the addresses of a name
CONNECT = 5  # seconds to reach the receiver
PATIENCE = 15  # seconds for all of it
KEPT = 1000  # characters of an answer
LONGEST = 500  # characters of an address
BUSY = {429, 503}  # answers that may say when to come back
PORTS = {"https": 443, "http": 80}
_TUNNELS = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


class Internal(Exception):
    """The name leads to an address that is none of the public internet."""


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    outcome: Outcome
    code: int | None = None
    text: str = ""  # how it began, as far as it can be read
    duration: int = 0  # milliseconds
    pause: timedelta = timedelta(0)  # the receiver asks not to be called before that is over; as long as it likes

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more of them, ever."""
        return self.code == 410


# --- addresses -----------------------------------------------------------------------------------------------------


def accepted(url: str) -> str:
    """An address as it is kept and called. Raises `Refused`, at the field `url`, for what is not to be called."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
        name = host if _is_trusted(host) else domains.check(host)
    except (ValueError, Refused) as error:
        raise _refused() from error
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_trusted(host)):
        raise Refused(_("The address has to begin with https://, so that nobody can read along."), field="url")
    if parts.username is not None or parts.password is not None:
        raise Refused(_("An address with a user name or a password in it is not called."), field="url")
    place = name if port in {None, PORTS[parts.scheme]} else f"{name}:{port}"
    path, query = (quote(part, safe="/%:@!$&'()*+,;=~?-._") for part in (parts.path or "/", parts.query))
    made = urlunsplit((parts.scheme, place, path, query, ""))
    if port == 0 or len(made) > LONGEST:
        raise _refused()
    return made


def host_of(url: str) -> str:
    """The host alone: the rest of an address may be a secret of the receiver's."""
    return domains.shown(urlsplit(url).hostname or "")


def _is_trusted(host: str) -> bool:
    return host in current_app.config["WEBHOOK_HOSTS"]


def _refused() -> Refused:
    said = _("This is not an address that can be called. One looks like https://erp.example.com/kontor.")
    return Refused(said, field="url")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; those that carry another within are not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # with a zone, such as fe80::1%eth0
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped or found.is_site_local or any(found in tunnel for tunnel in _TUNNELS):
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


# --- the request ---------------------------------------------------------------------------------------------------


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send it, once. Whatever a network or a receiver can think of becomes an answer."""
    begun = time.monotonic()
    try:
        answer = _post(urlsplit(url), body, headers)
    except Internal:
        answer = Answer(Outcome.INTERNAL)
    except TimeoutError:
        answer = Answer(Outcome.TIMEOUT)
    except ssl.SSLError:
        answer = Answer(Outcome.INSECURE)
    except (OSError, HTTPException, ValueError):
        answer = Answer(Outcome.UNREACHABLE)
    return replace(answer, duration=int((time.monotonic() - begun) * 1000))


def _post(parts: SplitResult, body: bytes, headers: dict[str, str]) -> Answer:
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    with _connected(host, port) as raw:
        sock = _secured(raw, host) if parts.scheme == "https" else raw
        with sock, _deadline(sock):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection = HTTPConnection(host, port)
            connection.sock = sock
            connection.request("POST", target, body, {**headers, "Host": parts.netloc, "Connection": "close"})
            got = connection.getresponse()
            outcome = Outcome.OK if 200 <= got.status < 300 else Outcome.REFUSED
            return Answer(outcome, got.status, _readable(got.read(KEPT * 4)), pause=_asked_pause(got))


@contextmanager
def _connected(host: str, port: int) -> Iterator[socket.socket]:
    """A connection to one of the addresses of that name, all of which have been looked at."""
    addresses = _addresses_of(host, port)
    if not _is_trusted(host) and not all(map(is_public, addresses)):
        raise Internal
    with _reached(addresses, port) as sock:
        yield sock


def _addresses_of(host: str, port: int) -> list[str]:
    """What the name server says. Asked by a thread that may be left, since the system lets nobody set a limit there."""
    said: Future[list[str]] = Future()

    def ask() -> None:
        try:
            said.set_result([found[4][0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except Exception as error:  # noqa: BLE001 whatever it is, the one who waits is told
            said.set_exception(error)

    Thread(target=ask, daemon=True).start()
    return said.result(LOOKUP)


def _reached(addresses: list[str], port: int) -> socket.socket:
    failure: OSError = ConnectionError("no address")
    for address in dict.fromkeys(addresses):
        try:
            return socket.create_connection((address, port), timeout=CONNECT)
        except OSError as error:
            failure = error
    raise failure


def _secured(sock: socket.socket, host: str) -> ssl.SSLSocket:
    """The same under TLS, for that name alone; the handshake is still to come."""
    context = ssl.create_default_context()
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


@contextmanager
def _deadline(sock: socket.socket) -> Iterator[None]:
    """Hang up when it takes too long: a limit for each read alone would let a receiver trickle for ever."""
    late: list[bool] = []

    def hang_up() -> None:
        late.append(True)
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not that of TLS, which would forget its state

    sock.settimeout(PATIENCE)
    timer = Timer(PATIENCE, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        if late:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        timer.join()


def _asked_pause(got: HTTPResponse) -> timedelta:
    """What a busy receiver says in `Retry-After`, in seconds or as a date; none where it says nothing one can read."""
    said = (got.headers.get("Retry-After") or "").strip() if got.status in BUSY else ""
    with suppress(ValueError):
        if said.isascii() and said.isdecimal():
            return timedelta(seconds=int(said[:9]))  # which is years, and no number is too large
        if said:
            moment = parsedate_to_datetime(said)
            return max(timedelta(0), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - clock.now())
    return timedelta(0)


def _readable(content: Any) -> str:
    """What people can read of an answer; nothing in it moves a cursor or ends a text."""
    text = content.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip()[:KEPT]
