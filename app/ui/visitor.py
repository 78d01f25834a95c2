"""Who is at the other end, as far as a request tells: the address, and the browser in plain words."""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _

from ..services.signin import Visitor

# The first that occurs wins: browsers name the ones they descend from as well.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Vivaldi": "Vivaldi",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Macintosh": "macOS",
    "Linux": "Linux",
}


def visitor() -> Visitor:
    return Visitor(ip=request.remote_addr or "", device=device(request.user_agent.string))


def device(agent: str) -> str:
    """The browser and its system, in words that are the same in every language: "Firefox, Windows"."""
    return ", ".join(filter(None, (_first(BROWSERS, agent), _first(SYSTEMS, agent))))


def device_in_words(device: str) -> str:
    """The same for a person to read: "Firefox on Windows"."""
    browser, comma, system = device.partition(", ")
    return _("%(browser)s on %(system)s", browser=browser, system=system) if comma else device or _("Unknown device")


def _first(names: dict[str, str], agent: str) -> str:
    return next((name for sign, name in names.items() if sign in agent), "")
