"""Kontor in one process tree: prepares the database, then keeps the web server and the worker together.

`make run` ends here. Ctrl-C stops both; when one of them stops by itself, so does the other.
"""

import ctypes
import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import config

FLASK = [sys.executable, "-m", "flask", "--app", "app:create_app"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
SIGN_INS = {
    "dora@kontor.example": "runs Kontor, the operator",
    "alice@nordlicht.example": "manages Nordlicht, a partner",
    "bob@kuestenfunk.example": "administers Küstenfunk, Alice's customer",
    "charlie@alpenwerk.example": "manages Alpenwerk, another partner",
}
GENTLY = {"worker": signal.SIGINT}  # the worker finishes its job at SIGINT, gunicorn its requests at SIGTERM
SECONDS_TO_ANSWER = 60
SECONDS_TO_STOP = 15

children: dict[str, subprocess.Popen] = {}
asked_to_stop = False


class Stop(Exception):
    """Somebody pressed Ctrl-C or sent a signal."""


def main() -> None:
    settings = settle()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, remember_to_stop)
    with claim_address(settings) as door:
        try:
            prepare_database()
            start("web server", [*GUNICORN, "--bind", f"fd://{door.fileno()}", "app:create_app()"], door)
            if not settings["JOBS_URL"]:
                start("worker", [*FLASK, "kontor", "worker"])
            wait_for_answer(settings, door)
            greet(settings)
            while True:
                pause()
        except Stop:
            say("Stopping …")
        finally:
            stop_children()


# What it needs


def settle() -> dict[str, Any]:
    """The settings, after this process and its children have got what nobody has said."""
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    os.environ["TZ"] = "UTC"
    os.environ.setdefault("KONTOR_ENV", "demo")
    os.environ.setdefault("PORT", "8080")
    sys.stdout.reconfigure(errors="replace")
    port = os.environ["PORT"]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        sys.exit(f"PORT={port} is not a port: choose a number from 1 to 65535, for example PORT=8080.")
    try:
        return config.load()
    except config.Misconfigured as error:
        sys.exit(str(error))


def is_demo(settings: dict[str, Any]) -> bool:
    return settings["KONTOR_ENV"] == "demo"


def claim_address(settings: dict[str, Any]) -> socket.socket:
    """The listening socket, taken before anything else: whoever comes early waits a moment instead of failing."""
    host, port = settings["KONTOR_HOST"], settings["PORT"]
    try:
        return socket.create_server((host, port), backlog=512)
    except PermissionError:
        sys.exit(f"Port {port} is reserved for the administrator: choose one above 1023, for example PORT=8080.")
    except OSError as error:
        reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        sys.exit(f"Port {port} {reason}: choose another one, for example `PORT={port + 1} make run`.")


def prepare_database() -> None:
    say("Preparing the database …")
    preparing = launch([*FLASK, "kontor", "prepare"])
    children["preparation"] = preparing
    while preparing.poll() is None:
        pause(watch=False)
    del children["preparation"]
    if preparing.returncode:
        sys.exit("The database could not be prepared; the lines above say why.")


# The children


def start(name: str, command: list[str], door: socket.socket | None = None) -> None:
    children[name] = launch(command, door)


def launch(command: list[str], door: socket.socket | None = None) -> subprocess.Popen:
    """In a session of its own, so that Ctrl-C reaches the supervisor alone, and never longer than the supervisor."""
    return subprocess.Popen(
        command,
        start_new_session=True,
        pass_fds=[door.fileno()] if door else [],
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )


def die_with_parent() -> None:
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def pause(watch: bool = True) -> None:
    """A moment's rest; the only place where a signal or the loss of a child is noticed."""
    time.sleep(0.2)
    if asked_to_stop:
        raise Stop
    for name, child in children.items():
        if watch and child.poll() is not None:
            sys.exit(f"The {name} stopped by itself (exit code {child.returncode}), so Kontor stops too.")


def remember_to_stop(number: int, frame: object) -> None:
    global asked_to_stop
    asked_to_stop = True


def stop_children() -> None:
    for name, child in children.items():
        child.send_signal(GENTLY.get(name, signal.SIGTERM))
    deadline = time.monotonic() + SECONDS_TO_STOP
    for child in children.values():
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # whatever is left of it, its own children included


# What it tells


def wait_for_answer(settings: dict[str, Any], door: socket.socket) -> None:
    say("Starting …")
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while not answers(settings, door):
        if time.monotonic() > deadline:
            sys.exit(f"Kontor did not answer within {SECONDS_TO_ANSWER} seconds; the lines above may say why.")
        pause()


def answers(settings: dict[str, Any], door: socket.socket) -> bool:
    host, port = door.getsockname()[:2]
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=2)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings["PUBLIC_URL"]).netloc})
        return connection.getresponse().status < 500
    return False


def greet(settings: dict[str, Any]) -> None:
    lines = [f"Kontor is ready: {settings['PUBLIC_URL']}"]
    if is_demo(settings):
        lines += ["", "Sign in as"]
        lines += [f"  {address:<27}{role}" for address, role in SIGN_INS.items()]
        lines += [f"with the password {settings['DEMO_PASSWORD']}"]
    if settings["JOBS_URL"]:
        lines += ["", "JOBS_URL is set: workers run apart, with `flask --app app:create_app kontor worker`."]
    lines += ["", "Ctrl-C stops it."]
    width = max(map(len, lines))
    box = ["╭─" + "─" * width + "─╮", *(f"│ {line:<{width}} │" for line in lines), "╰─" + "─" * width + "─╯"]
    say("\n".join(box))


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    main()
