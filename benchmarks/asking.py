"""What is asked of a list, and how long it takes; knows neither Kontor nor plain Flask-AppBuilder."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, text

RUNS = int(os.environ.get("RUNS", "25"))
# question → the address in Kontor, the one in plain FAB; {0} … {7} are the properties in the order of `worlds.KINDS`
QUESTIONS = {
    "list, first page": ("", ""),
    "page 100, typed": ("page=100", "page_PlainView=99"),
    "page 1,000, typed": ("page=1000", "page_PlainView=999"),
    "page 1,000, from the one before": ("page=1000&after={middle}", ""),
    "sort by text": ("sort={0}", "_oc_PlainView={0}&_od_PlainView=asc"),
    "sort by number, descending": ("sort=-{2}", "_oc_PlainView={2}&_od_PlainView=desc"),
    "sort by date": ("sort={4}", "_oc_PlainView={4}&_od_PlainView=asc"),
    "filter by a rare text": ("_flt_1_{0}=amber+77", "_flt_3_{0}=amber+77"),
    "filter by a common choice": ("_flt_0_{6}=common", "_flt_3_{6}=common"),
    "filter by a rare choice": ("_flt_0_{6}=rare", "_flt_3_{6}=rare"),
    "common choice, sort by decimal": ("_flt_0_{6}=common&sort={3}",
                                       "_flt_3_{6}=common&_oc_PlainView={3}&_od_PlainView=asc"),
    "number range, sort by date": ("_flt_1_{2}=200&_flt_2_{2}=400&sort={4}",
                                   "_flt_1_{2}=200&_flt_2_{2}=400&_oc_PlainView={4}&_od_PlainView=asc"),
    "text search, many hits": ("q=hamburg", "_flt_2_name=Hamburg"),
    "text search, few hits": ("q=amber+4711", "_flt_2_name=004711"),
    "text search, no hit": ("q=nowhere", "_flt_2_name=nowhere"),
    "count all": ("count=all", ""),
}  # fmt: skip


def timed(engine: Engine, asking: Callable[[], Callable[[str], Any]], path: str, runs: int = RUNS) -> dict[str, float]:
    """Medians of cpu and wall and the p95 of cpu, in ms; and how many statements it takes."""
    ask, statements = asking(), []
    for _warm in range(3):
        answer = ask(path)
        assert answer.status_code in {200, 302}, (path, answer.status_code)
    listener = (engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    event.listen(*listener)
    ask(path)
    event.remove(*listener)
    cpu, wall = [], []
    backend = backend_of(engine)
    for _run in range(runs):
        began, worked = time.perf_counter(), processor(backend)
        ask(path)
        cpu.append((processor(backend) - worked) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
    at = {"cpu": statistics.median(cpu), "wall": statistics.median(wall), "p95": _p95(cpu)}
    return at | {"statements": len([one for one in statements if one != "BEGIN"])}


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def backend_of(engine: Engine) -> list[str]:
    """Where Linux tells how much the database's own processes have worked; nowhere for a server elsewhere."""
    if engine.dialect.name != "postgresql":
        return []
    with engine.connect() as connection:
        pids = connection.execute(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")).scalars()
        return [path for pid in pids if os.path.exists(path := f"/proc/{pid}/schedstat")]


def processor(backend: list[str]) -> float:
    worked = sum(int(Path(path).read_text().split()[0]) for path in backend if os.path.exists(path))
    return time.process_time() + worked / 1e9
