"""Many people at once: two gunicorn workers, 80 % lists, 15 % detail pages, 5 % writing, and an export beside it.

    make load [MINUTES=5] [SIZE=100000]
    .venv/bin/python benchmarks/load.py [minutes] [size] [sqlite|postgresql …]

`DATABASE=<url>` takes a database that `bench.py` has built instead of building one. Half of the time is spent without,
half with a large export running; only the local machine is asked. An answer that is no 2xx or 3xx is an error.
"""

from __future__ import annotations

import http.client
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import select  # noqa: E402

from app.models import Account  # noqa: E402
from app.tenancy import unscoped  # noqa: E402
from benchmarks import bench, worlds  # noqa: E402
from tests import cast, databases  # noqa: E402

PEOPLE = 4  # at once, each pausing a little between two pages
PAUSE = 0.15  # seconds, on average
LISTS = ["", "page=3", "sort={0}", "sort=-{2}", "_flt_0_{6}=common", "_flt_1_{2}=200&sort={4}", "q=hamburg"]
HERE = Path(__file__).parent.parent


def main() -> None:
    numbers = [float(a) for a in sys.argv[1:] if a.replace(".", "").isdigit()]
    minutes, size = (*numbers, *(5, 100_000)[len(numbers) :])[:2]
    given = os.environ.get("DATABASE")
    for name in [a for a in sys.argv[1:] if not a.replace(".", "").isdigit()] or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as folder:
            url = given or bench._database(name, folder, int(size))
            if not given:
                bench.child("bench.py", "build", url, int(size))
            try:
                press(name, url, Path(folder), minutes)
            finally:
                if name == "postgresql" and not given:
                    databases.drop_postgres_database(f"bench{int(size)}")


def press(name: str, url: str, folder: Path, minutes: float) -> None:
    """Load a server of its own for so long, and say how it bore it."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    cookies, names, accounts = _prepare(url)
    server = _serve(url, folder, port)
    try:
        quiet = Crowd(port, cookies, names, accounts).run(minutes * 30)
        with Exporting(port, cookies[-1]) as exporting:
            beside = Crowd(port, cookies, names, accounts).run(minutes * 30)
    finally:
        server.terminate()
        server.wait(30)
    _tell(name, quiet, beside, exporting)


def _prepare(url: str) -> tuple[list[tuple[str, str]], list[str], list[int]]:
    """Somebody signed in for each of the people, the columns' names, some accounts."""
    app = worlds.application(url)
    with app.app_context():
        browsers = [cast.browse(worlds.manager_of("p")) for _ in range(PEOPLE + 1)]
        cookies = [(b.client.get_cookie("kontor").value, cast._csrf_token(b.cookie_secret)) for b in browsers]
        with unscoped("accounts to look at", writes=False) as session:
            partner = session.scalar(select(Account.id).where(Account.slug == "p"))
            ids = list(session.scalars(select(Account.id).where(Account.parent_id == partner).limit(500)))
        names = bench._names("p")
        bench.db.engine.dispose()
    return cookies, names, ids


def _serve(url: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    settings = {"DATABASE_URL": plain, "DATA_DIR": str(folder), "SECRET_KEY": "b" * 32, "PORT": str(port),
                "PUBLIC_URL": f"http://127.0.0.1:{port}", "KONTOR_ENV": "demo", "WEB_CONCURRENCY": "2"}  # fmt: skip
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]
    server = subprocess.Popen(command, cwd=HERE, env=os.environ | settings)
    for _try in range(120):
        try:
            return server if ask(port, "/healthz")[0] < 500 else server
        except OSError:
            time.sleep(0.5)
    server.kill()
    raise SystemExit("the server does not answer")


def ask(port: int, path: str, *, cookie: tuple[str, str] = ("", ""), form: dict[str, str] | None = None) -> Any:
    """Status and bytes of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Cookie": f"kontor={cookie[0]}"} if cookie[0] else {}
    if form is not None:
        headers |= {"X-CSRFToken": cookie[1], "Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("GET" if form is None else "POST", path, form and urlencode(form), headers)
        answer, size = connection.getresponse(), 0
        while part := answer.read(1 << 16):
            size += len(part)
        return answer.status, size
    finally:
        connection.close()


class Crowd:
    """People who look at lists, open accounts and change some of them, each after a pause of their own."""

    def __init__(self, port: int, cookies: list[tuple[str, str]], names: list[str], accounts: list[int]) -> None:
        self.port, self.cookies, self.names, self.accounts = port, cookies, names, accounts
        self.took: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    def run(self, seconds: float) -> Crowd:
        self.until = time.monotonic() + seconds
        people = [threading.Thread(target=self._work, args=(n,)) for n in range(PEOPLE)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        return self

    def _work(self, number: int) -> None:
        dice = random.Random(number)
        while time.monotonic() < self.until:
            kind, path, form = self._wish(dice)
            began = time.perf_counter()
            try:
                status, _size = ask(self.port, f"/a/p{path}", cookie=self.cookies[number], form=form)
            except OSError as error:
                status = 599
                self.errors.append(f"{path}: {error}")
            else:
                if status >= 400:
                    self.errors.append(f"{path}: {status}")
            self.took[kind].append((time.perf_counter() - began) * 1000)
            time.sleep(dice.expovariate(1 / PAUSE))

    def _wish(self, dice: random.Random) -> tuple[str, str, dict[str, str] | None]:
        throw, account = dice.random(), dice.choice(self.accounts)
        if throw < 0.80:
            return "list", f"/accounts/list/?{dice.choice(LISTS).format(*self.names)}", None
        if throw < 0.95:
            return "detail", f"/accounts/show/{account}", None
        name = f"New {secrets.token_hex(6)}"
        return "write", "/accounts/add", {"name": name, "language": "de", "time_zone": "UTC", "currency": "EUR"}

    def p95(self, kind: str) -> float:
        return sorted(self.took[kind])[int(len(self.took[kind]) * 0.95)]


class Exporting:
    """One large file after the other."""

    def __init__(self, port: int, cookie: tuple[str, str]) -> None:
        self.port, self.cookie, self.files, self.goes_on = port, cookie, [], True

    def __enter__(self) -> Exporting:
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        return self

    def _work(self) -> None:
        while self.goes_on:
            self.files.append(ask(self.port, "/a/p/accounts/export", cookie=self.cookie))

    def __exit__(self, *_error: object) -> None:
        self.goes_on = False
        self.thread.join()


def _tell(name: str, quiet: Crowd, beside: Crowd, exporting: Exporting) -> None:
    print(f"\n## {name}, two gunicorn workers, {PEOPLE} people at once · {bench.machine()}\n")
    print("| | requests | p50 ms | p95 ms | beside an export: requests | p50 | p95 | p95 to p95 |\n" + "|---" * 8 + "|")
    for kind in ("list", "detail", "write"):
        cells = [kind]
        for one in (quiet, beside):
            cells += [len(one.took[kind]), f"{statistics.median(one.took[kind]):.0f}", f"{one.p95(kind):.0f}"]
        print("| " + " | ".join(map(str, [*cells, f"{beside.p95(kind) / quiet.p95(kind):.2f}"])) + " |")
    failed = [f"export: {status}" for status, _size in exporting.files if status != 200]
    errors = [*quiet.errors, *beside.errors, *failed]
    print(f"\nErrors: {len(errors)}. Files beside it: {len(exporting.files)}.", *errors[:10], sep="\n", flush=True)


if __name__ == "__main__":
    main()
