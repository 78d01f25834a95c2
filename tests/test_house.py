"""The house rules that a reader may rely on: imports run downwards, functions stay short, some doors are few."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "app").rglob("*.py"))

# From the cellar to the roof (docs: the rooms and floors); a module imports from its own floor or from below.
FLOORS = [
    {"app.errors", "app.clock", "app.money", "app.periods", "app.pricing", "app.tax"},
    {"app.extensions", "app.schema", "app.models", "app.reading", "app.regions", "app.sheet_reader"},
    {"app.tenancy", "app.permissions", "app.audit", "app.outbox", "app.tokens", "app.limits", "app.passwords"}
    | {"app.properties", "app.property_types", "app.vat", "app.domains", "app.idempotency"}
    | {"app.bulk", "app.files", "app.handover", "app.outgoing", "app.sheets"},
    {"app.services"},
    {"app.ui"},
    {"app.views", "app.pages", "app.api", "app.api_orders", "app.jobs", "app.cli", "app.demo", "app.demo_properties"}
    | {"app.demo_relationships", "app.demo_subscriptions", "app.demo_orders"}
    | {"app.demo_webhooks", "app.api_webhooks"}
    | {"app.api_usage", "app.announcing", "app.exporting", "app.importing", "app.fab_strings"},
    {"app"},
]
LONGEST_FUNCTION = 60
DOORS_IN_THE_WALL = 10  # reasons to work unscoped, the demo and the command line aside


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


MODULES = {name_of(path): tree_of(path) for path in FILES}


def floor_of(module: str) -> int:
    """The floor of a module, or of the package it is in; the roof is `app` itself."""
    for number, rooms in enumerate(FLOORS[:-1]):
        if any(module == room or module.startswith(f"{room}.") for room in rooms):
            return number
    assert module == "app", f"{module} has no floor in tests/test_house.py"
    return len(FLOORS) - 1


def nodes_run(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that is run; what stands under `if TYPE_CHECKING` is only read."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and said(node.test) == "TYPE_CHECKING"):
            yield node
            yield from nodes_run(node)


def imports_of(module: str) -> Iterator[str]:
    """What a module imports, ours by the full name of the module it stands in."""
    package = module if (ROOT / module.replace(".", "/")).is_dir() else module.rpartition(".")[0]
    for node in nodes_run(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in MODULES else source


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards_only(module):
    upwards = {name for name in imports_of(module) if name in MODULES and floor_of(name) > floor_of(module)}

    assert not upwards


def test_imports_do_not_run_in_circles():
    below = {module: {name for name in imports_of(module) if name in MODULES} - {module} for module in MODULES}

    assert list(TopologicalSorter(below).static_order())


@pytest.mark.parametrize("module", sorted(FLOORS[0]))
def test_the_cellar_stands_on_the_standard_library_alone(module):
    roots = {name.partition(".")[0] for name in imports_of(module)} - {"app", "__future__"}

    assert roots <= sys.stdlib_module_names


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("app.services.")])
def test_services_know_nothing_of_requests_and_pages(module):
    assert not {name for name in imports_of(module) if name == "flask" or name.startswith("app.ui")}


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_longer_than_a_screen(module):
    functions = [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}

    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


# --- what is said in few places only -----------------------------------------------------------------------------


def said(node: ast.AST) -> str:
    """A call or an attribute as it is written: `db.session.get`."""
    if isinstance(node, ast.Attribute):
        return f"{said(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "()"


def places(*endings: str) -> set[str]:
    """The modules in which a name or a call ending so is written."""
    return {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name) and f".{said(node)}".endswith(endings)
    }


def calls(function: str) -> Iterator[tuple[str, ast.Call]]:
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and said(node.func).rpartition(".")[2] == function:
                yield module, node


def test_the_clock_is_the_only_reader_of_time():
    assert places(".datetime.now", ".date.today", ".datetime.utcnow", ".time.time", ".datetime.today") == {"app.clock"}


def test_sql_as_text_stands_in_an_index_and_nowhere_else():
    in_sql = {module for module in MODULES for name in imports_of(module) if name.startswith("sqlalchemy")}
    written = {module for word in ("text", "literal_column") for module, _call in calls(word) if module in in_sql}

    assert {module.rpartition(".")[0] for module in written} == {"app.schema"}
    assert places(".exec_driver_sql") == {"app.extensions"}


def test_tables_without_their_class_are_touched_by_what_follows_a_flush_alone():
    """History, the index of values, and rows by the thousand: of all of them the wall has looked at the rows first."""
    past_the_class = (".__table__", ".session.connection", ".bulk_save_objects", ".bulk_insert_mappings")
    assert places(*past_the_class) == {"app.audit", "app.properties", "app.bulk"}


def test_nobody_reaches_past_the_session():
    assert not places(".db.engine", ".get_engine", ".create_engine", ".sessionmaker")


def test_work_without_the_wall_is_rare_and_says_why():
    doors = [(module, call) for module, call in calls("unscoped") if not module.startswith(("app.demo", "app.cli"))]
    reasons = [call.args[0].value for _module, call in doors if call.args and isinstance(call.args[0], ast.Constant)]

    assert len(reasons) == len(doors)
    assert all(len(reason.split()) >= 4 for reason in reasons), reasons
    assert len(doors) <= DOORS_IN_THE_WALL, [f"{module}:{call.lineno}" for module, call in doors]
