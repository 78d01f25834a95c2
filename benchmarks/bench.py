"""Kontor's pages and files with many accounts, beside plain Flask-AppBuilder with a JSON column, in one run.

    make bench [SIZE=1000000]          or  .venv/bin/python benchmarks/bench.py [size] [sqlite|postgresql …]

Builds so many accounts in all, 100,000 of them for the partner who is measured, eight properties each, and a world of
10,000 to compare with. Each question is one request after the other through the whole WSGI application. *cpu* is what
the processor worked for it, PostgreSQL's own process included; *wall* is the clock, which other work on the machine
lengthens. The best reading is the ratio: of the large world to the small, of a list to an empty one, of plain
Flask-AppBuilder to Kontor. Everything comes out as a table for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import select  # noqa: E402

from app.extensions import db  # noqa: E402
from app.models import Account, Property  # noqa: E402
from app.tenancy import unscoped  # noqa: E402
from benchmarks import worlds  # noqa: E402
from benchmarks.asking import QUESTIONS, backend_of, processor, timed  # noqa: E402
from tests import cast, databases  # noqa: E402
from tests.signing import Tab  # noqa: E402

SMALL = 10_000
FILES = {"export of a tenth", "export of all"}


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["measure"]:
        print(json.dumps(measure(arguments[1])))
    elif arguments[:1] == ["plainly"]:
        print(json.dumps(worlds.copy_plainly(worlds.application(arguments[1]))))
    elif arguments[:1] == ["build"]:
        worlds.build(worlds.application(arguments[1]), int(arguments[2]))
    else:
        size = int(next((a for a in arguments if a.isdigit()), "1000000"))
        compare([a for a in arguments if not a.isdigit()] or ["sqlite", "postgresql"], size)


def compare(names: list[str], size: int) -> None:
    print(f"# {size:,} accounts, {min(size, worlds.SHARE):,} of the partner measured · {machine()}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            small, large = (_database(name, folder, n) for n in (SMALL, size))
            try:
                for url, n in ((small, SMALL), (large, size)):
                    began = time.perf_counter()
                    child("bench.py", "build", url, n)
                    print(f"\n{name}: {n:,} accounts built in {time.perf_counter() - began:.0f} s", flush=True)
                report(name, *(child("bench.py", "measure", url) for url in (small, large)),
                       child("plain_fab.py", large, json.dumps(child("bench.py", "plainly", large))))  # fmt: skip
            finally:
                if name == "postgresql":
                    for n in (SMALL, size):
                        databases.drop_postgres_database(f"bench{n}")


def _database(name: str, folder: str, size: int) -> str:
    return (
        databases.create_postgres_database(f"bench{size}") if name == "postgresql" else f"sqlite:///{folder}/{size}.db"
    )


def child(script: str, *arguments: Any) -> dict[str, Any]:
    """What a process of its own has measured: its memory is its own, too."""
    command = [sys.executable, str(Path(__file__).parent / script), *map(str, arguments)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said.splitlines()[-1]) if said.strip() else {}


# --- measuring ----------------------------------------------------------------------------------------------------


def measure(url: str) -> dict[str, Any]:
    """Question → cpu, wall and p95 in ms, statements; and what files cost."""
    app = worlds.application(url)
    with app.app_context():
        browser, found = cast.browse(worlds.manager_of("p")), {}
        middle = _middle()
        names = _names("p")
        found["empty list"] = timed(db.engine, lambda: cast.browse(worlds.manager_of("e")).get, "/accounts/list/")
        for title, (query, _plain) in QUESTIONS.items():
            path = f"/accounts/list/?{query.format(*names, middle=middle)}"
            found[title] = timed(db.engine, lambda: browser.get, path)
        found["dashboard"] = timed(db.engine, lambda: browser.get, "/")
        for title, path in (("history", "/history/list/"), ("members", "/members/list/")):
            found[title] = timed(db.engine, lambda: browser.get, path)
        found["detail page"] = timed(db.engine, lambda: browser.get, f"/accounts/show/{middle}")
        found["sign-in"] = timed(db.engine, lambda: lambda _path: Tab(app).sign_in(worlds.manager_of("p")), "", runs=7)
        for title, query in (("export of a tenth", f"_flt_2_{names[2]}=99"), ("export of all", "")):
            found[title] = file_of(browser, f"/accounts/export?{query}")
        db.session.remove()
        db.engine.dispose()
    return found


def _names(slug: str) -> list[str]:
    with unscoped("the columns' names", writes=False) as session:
        own = select(Property.id).join(Property.account).where(Account.slug == slug).order_by(Property.position)
        return [f"prop_{number}" for number in session.scalars(own)]


def _middle() -> int:
    """An account that stands somewhere in the middle of the partner's list."""
    with unscoped("an account", writes=False) as session:
        partner = session.scalar(select(Account).where(Account.slug == "p"))
        beneath = select(Account.id).where(Account.path > partner.path, Account.path < partner.path[:-1] + "0")
        return session.scalar(beneath.where(Account.name_sort >= "hotel").order_by(Account.name_sort).limit(1))


def file_of(browser: cast.Browser, path: str) -> dict[str, float]:
    """Seconds to the first byte and to the last, and the memory it took in MiB."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is counted from here
    before, backend = _memory("VmRSS"), backend_of(db.engine)
    began, worked = time.perf_counter(), processor(backend)
    first, size = cast.apart(_download, browser.client, f"/a/{browser.person.slug}{path}")
    at = {"first": first - began, "took": time.perf_counter() - began, "cpu": processor(backend) - worked}
    return at | {"mb": size / 1e6, "memory": _memory("VmHWM") - before, "peak": _memory("VmHWM")}


def _download(client: Any, path: str) -> tuple[float, int]:
    """When the first part of it came, and how many bytes in all."""
    with client.get(path) as answer:
        parts = answer.iter_encoded()
        size, came = len(next(parts)), time.perf_counter()
        return came, size + sum(map(len, parts))


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


# --- telling ------------------------------------------------------------------------------------------------------


def report(name: str, small: dict[str, Any], large: dict[str, Any], plain: dict[str, Any]) -> None:
    print(f"\n## {name}\n\n| | cpu ms | p95 | wall | statements | to the small world | to an empty list |"
          " plain FAB, cpu | to Kontor |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    empty = large["empty list"]["cpu"]
    for title, at in large.items():
        if title in FILES:
            continue
        beside = plain.get(title)
        times = [f"{at[key]:.1f}" for key in ("cpu", "p95", "wall")]
        ratios = [f"{at['cpu'] / small[title]['cpu']:.2f}", f"{at['cpu'] / empty:.2f}"]
        other = [f"{beside['cpu']:.1f}", f"{beside['cpu'] / at['cpu']:.1f}×"] if beside else ["", ""]
        print("| " + " | ".join([title, *times, str(at["statements"]), *ratios, *other]) + " |")
    print("\n| | first byte s | s | cpu s | MB | memory MiB | peak MiB |\n|---|---|---|---|---|---|---|")
    for title in sorted(FILES, reverse=True):
        at = large[title]
        told = [f"{at[key]:.2f}" for key in ("first", "took", "cpu", "mb")]
        told += [f"{at[key]:.0f}" for key in ("memory", "peak")]
        print("| " + " | ".join([title, *told]) + " |", flush=True)


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    load = os.getloadavg()[0]
    python = f"{platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {python}, load {load:.1f}"


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
