"""How often something may be tried, counted in the database for all processes, before anything costly is done.

A try is counted by one statement, so that none of a crowd is overlooked. What is counted for whom is kept as a
hash; the windows are fixed, and `LIMITS` of the configuration may set other numbers of tries.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from . import clock, tokens
from .extensions import db, is_sqlite
from .models import Throttle


class Limit(NamedTuple):
    tries: int
    minutes: int


LIMITS = {
    "address": Limit(10, 15),  # passwords tried for one e-mail address
    "ip": Limit(30, 15),  # passwords tried from one computer
    "network": Limit(100, 15),  # … and from those around it
    "code": Limit(10, 15),  # codes tried for one person, whose password was right
    "code-day": Limit(50, 24 * 60),
    "reset-address": Limit(5, 60),  # links asked for, for one e-mail address
    "reset-ip": Limit(20, 60),
    "consent-address": Limit(5, 24 * 60),  # codes a partner asks for, for one e-mail address
    "consent-partner": Limit(50, 24 * 60),  # … for all of them
    "consent-client": Limit(5, 24 * 60),  # codes sent to one client, whoever asks
    "api-ip": Limit(60, 15),  # wrong API keys from one computer
    "api-key": Limit(1_000, 1),  # requests under one API key
}


def count(kind: str, whose: Any) -> bool:
    """Count a try; false once there have been too many."""
    limit = LIMITS[kind]
    dialect = sqlite if is_sqlite() else postgresql
    counted = db.session.scalar(
        dialect.insert(Throttle)
        .values(bucket=_bucket(kind, whose), window=_end_of_window(limit), tries=1)
        .on_conflict_do_update(index_elements=["bucket", "window"], set_={"tries": Throttle.tries + 1})
        .returning(Throttle.tries)
    )
    return counted <= current_app.config.get("LIMITS", {}).get(kind, limit.tries)


def give_back(kind: str, whose: Any) -> None:
    """A try that succeeded does not count: an office behind one address may sign in at nine o'clock."""
    _change(kind, whose, Throttle.tries - 1)


def forget(kind: str, whose: Any) -> None:
    """Start counting anew."""
    _change(kind, whose, 0)


def seconds_left(kind: str) -> int:
    """How long the window is still open; afterwards counting starts anew."""
    return max(1, _end_of_window(LIMITS[kind]) * 60 - int(clock.now().timestamp()))


def forget_old(most: int) -> int:
    """Clear away some of what no longer counts, at most so many; how many it were (`jobs.py`)."""
    old = select(Throttle.id).where(Throttle.window < _minutes()).limit(most)
    return db.session.execute(
        delete(Throttle).where(Throttle.id.in_(old)), execution_options={"synchronize_session": False}
    ).rowcount


def computer(ip: str) -> str:
    """What one person commands: an IPv4 address, of IPv6 the whole /64."""
    return _prefix(ip, 32, 64)


def network(ip: str) -> str:
    """The addresses around it."""
    return _prefix(ip, 24, 48)


def _prefix(ip: str, v4: int, v6: int) -> str:
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((address, v4 if address.version == 4 else v6), strict=False))


def _change(kind: str, whose: Any, tries: Any) -> None:
    here = (Throttle.bucket == _bucket(kind, whose), Throttle.window == _end_of_window(LIMITS[kind]))
    db.session.execute(
        update(Throttle).where(*here, Throttle.tries > 0).values(tries=tries),
        execution_options={"synchronize_session": False},
    )


def _bucket(kind: str, whose: Any) -> str:
    return f"{kind}:{tokens.hash_of(str(whose))}"


def _end_of_window(limit: Limit) -> int:
    """When the window closes, in minutes; so a glance at the row tells whether it still counts."""
    return (_minutes() // limit.minutes + 1) * limit.minutes


def _minutes() -> int:
    return int(clock.now().timestamp() // 60)
