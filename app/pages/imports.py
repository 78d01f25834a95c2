"""*Import*: a file is uploaded, its columns are named, the outcome is looked at, then written (X-3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import select

from .. import sheets
from ..bulk import keeping_all
from ..errors import Refused
from ..extensions import db
from ..handover import progress_of
from ..models import AccountImport, ImportKind, ImportStatus, Member, PropertyType
from ..property_types import from_kept
from ..services import imports
from ..services.import_columns import Column, guess, is_only_shown
from ..services.import_kinds import RECIPES
from ..services.import_plan import CONFLICT, CREATED, ERROR, STATES, Row
from ..sheets import Sheet, letters
from ..tenancy import acting, current_scope
from ..ui.acting import may, me
from ..ui.columns import TONES
from ..ui.formats import shown
from ..ui.page import Cell, Link, Paging
from ..ui.properties import KINDS
from ..ui.view import LARGEST_KEY
from .import_words import WORDS

AT_ONCE = 50  # rows on a page
ALL = "all"
SAMPLES = 3  # cells shown of a column whose meaning is asked for
STATE_TONES = {"created": "green", "changed": "azure", "unchanged": "secondary", "conflict": "yellow", "error": "red"}


@dataclass(frozen=True)
class Change:
    """One cell of the diff, said."""

    label: str
    old: str
    new: str
    about: str = ""  # who changed it meanwhile


@dataclass(frozen=True)
class Line:
    """One row of the file, said."""

    number: str
    name: str
    url: str
    state: Cell
    changes: list[Change]
    errors: list[list[str]]
    remarks: list[list[str]]


@dataclass(frozen=True)
class ColumnLine:
    """One column of the file, and what it may be."""

    letter: str
    title: str
    samples: list[str]
    key: str
    remark: str


class ImportsView(BaseView):
    """Files with accounts, in the account one acts in."""

    kind = ImportKind.ACCOUNT
    route_base = "/accounts/import"
    class_permission_name = "account"
    default_view = "upload"

    @expose("/", methods=["GET", "POST"])
    @has_access
    @permission_name("import")
    def upload(self) -> Any:
        if request.method == "POST":
            try:
                return _take(self.kind)
            except Refused as refusal:
                return _upload_page(self.kind, refusal.sentence), 422
        return _upload_page(self.kind)

    @expose("/<int:pk>")
    @has_access
    @permission_name("import")
    def show(self, pk: int) -> Any:
        import_ = _own(self.kind, pk)
        if import_.status is ImportStatus.UPLOADED:
            return redirect(url_for(".columns", pk=pk))
        return render_template("import.html", **_said(import_))

    @expose("/<int:pk>/columns", methods=["GET", "POST"])
    @has_access
    @permission_name("import")
    def columns(self, pk: int) -> Any:
        """Which column is what; and with the answer, what would become of the file."""
        if request.method == "POST":
            mapping = request.form.getlist("column")
            return _check(self.kind, pk, mapping, clears="clears" in request.form)
        import_ = _own(self.kind, pk)
        return _columns_page(import_, import_.mapping)

    @expose("/<int:pk>/check", methods=["POST"])
    @has_access
    @permission_name("import")
    def check(self, pk: int) -> Any:
        """Look again, at the accounts as they are now."""
        return _check(self.kind, pk, None, clears="clears" in request.form)

    @expose("/<int:pk>/start", methods=["POST"])
    @has_access
    @permission_name("import")
    def start(self, pk: int) -> Any:
        import_ = _own(self.kind, pk)
        return _do(import_, lambda: imports.start(import_, overwrites=request.form.get("wins") == "file", by=me()))

    @expose("/<int:pk>/undo", methods=["POST"])
    @has_access
    @permission_name("import")
    def undo(self, pk: int) -> Any:
        import_ = _own(self.kind, pk)
        return _do(import_, lambda: imports.undo(import_, by=me()))

    @expose("/<int:pk>/discard", methods=["POST"])
    @has_access
    @permission_name("import")
    def discard(self, pk: int) -> Any:
        import_ = _own(self.kind, pk)
        try:
            imports.discard(import_)
        except Refused as refusal:
            db.session.rollback()
            flash(refusal.sentence, "danger")
        else:
            flash(_("The file was discarded."), "success")
        return redirect(url_for(".upload"))

    @expose("/<int:pk>/progress")
    @has_access
    @permission_name("import")
    def progress(self, pk: int) -> Any:
        """How far the worker is, for the page to ask again and again; at the end, the way to the page itself."""
        import_ = _own(self.kind, pk)
        if import_.is_under_way:
            return render_template("_import_progress.html", **_progress(import_))
        return Response(status=204, headers={"HX-Redirect": url_for(".show", pk=pk)})


class InvitationImportsView(ImportsView):
    """Files with people to invite."""

    kind = ImportKind.INVITATION
    route_base = "/invitations/import"
    class_permission_name = "invitation"


class HoldingImportsView(ImportsView):
    """Files with articles to give."""

    kind = ImportKind.HOLDING
    route_base = "/holdings/import"
    class_permission_name = "holding"


def import_links(noun: str) -> list[Link]:
    """The way to the import of such things, for whoever may."""
    views = {"account": ImportsView, "invitation": InvitationImportsView, "holding": HoldingImportsView}
    url = url_for(f"{views[noun].__name__}.upload")
    return [Link(_("Import"), url, "upload")] if may(f"{noun}.import") else []


def _own(kind: ImportKind, pk: int) -> AccountImport:
    import_ = db.session.get(AccountImport, pk) if 0 <= pk <= LARGEST_KEY else None
    return import_ if import_ is not None and import_.kind is kind else abort(404)


def _do(import_: AccountImport, verb: Any) -> Any:
    try:
        verb()
    except Refused as refusal:
        db.session.rollback()
        flash(refusal.sentence, "danger")
    return redirect(url_for(".show", pk=import_.id))


# --- a file comes in ---------------------------------------------------------------------------------------------


def _take(kind: ImportKind) -> Any:
    """Read the file, and look at it at once if its header says what everything is.

    All that takes long comes before the unit of work that writes: nobody waits for it.
    """
    file = request.files.get("file")
    if file is None or not file.filename:
        raise Refused(_("Choose a file first."))
    sheet = imports.read(file.stream.read(sheets.MOST_BYTES + 1), kind)
    with acting(g.scope, writes=False):
        columns = _columns_of(kind)
        mapping = guess(sheet.header, columns)
        unknown = [title for key, title in zip(mapping, sheet.header, strict=True) if title and not key]
        is_clear = all(map(is_only_shown, unknown)) and not imports.problems_of(mapping, kind, by=_actor())
        rows = _look(kind, sheet, mapping, clears=False) if is_clear else []
    import_ = imports.take(sheet, file.filename, mapping, locale=str(get_locale()), by=me(), kind=kind)
    if not is_clear:
        return redirect(url_for(".columns", pk=import_.id))
    imports.keep(import_, rows, mapping=mapping, clears=False)
    return redirect(url_for(".show", pk=import_.id))


def _check(kind: ImportKind, pk: int, mapping: list[str] | None, *, clears: bool) -> Any:
    with acting(g.scope, writes=False):
        import_ = _own(kind, pk)
        sheet, mapping = sheets.unpack(import_.content), import_.mapping if mapping is None else mapping
        known = _columns_of(kind)
        if len(mapping) != len(sheet.header) or any(key and key not in known for key in mapping):
            abort(400)
        if problem := imports.problems_of(mapping, kind, by=_actor()):
            return _columns_page(import_, mapping, problem), 422
        rows = _look(kind, sheet, mapping, clears=clears)
    import_ = _own(kind, pk)
    return _do(import_, lambda: imports.keep(import_, rows, mapping=mapping, clears=clears))


def _look(kind: ImportKind, sheet: Sheet, mapping: list[str], *, clears: bool) -> list[Row]:
    recipe = RECIPES[kind]
    with keeping_all():
        return recipe.look(sheet, mapping, by=_actor(), **({"clears": clears} if recipe.clears else {}))


def _columns_of(kind: ImportKind) -> dict[str, Column]:
    return RECIPES[kind].columns(current_scope().account_id)


def _actor() -> Member:
    """Who acts, in the unit of work at hand."""
    return db.session.get_one(Member, current_scope().member_id)


def _upload_page(kind: ImportKind, problem: str = "") -> str:
    recent = select(AccountImport).where(AccountImport.kind == kind).order_by(AccountImport.id.desc()).limit(20)
    lines = [(one, Cell(str(one.status.label), "choice", tone=TONES[one.status]), _recent_facts(one))
             for one in db.session.scalars(recent)]  # fmt: skip
    words = WORDS[kind]
    return render_template(
        "import_upload.html",
        problem=problem,
        lines=lines,
        texts=words,
        manages=_actor().account.kind.manages_accounts,
        most_rows=shown(RECIPES[kind].most_rows, "number"),
        most_columns=sheets.MOST_COLUMNS,
        most_size=sheets.MOST_BYTES // 2**20,
        export_url=url_for("AccountsView.export") if words.starts_with_export and may("account.export") else "",
        back=Link(str(words.list_title), url_for(words.list_view)),
    )


def _recent_facts(import_: AccountImport) -> str:
    return f"{import_.by} · {shown(import_.created_at, 'moment')}"


# --- which column is what ----------------------------------------------------------------------------------------


def _columns_page(import_: AccountImport, mapping: list[str], problem: str = "") -> str:
    sheet, columns = sheets.unpack(import_.content), _columns_of(import_.kind)
    return render_template(
        "import_columns.html",
        import_=import_,
        problem=problem,
        lines=[_column_line(sheet, place, mapping[place]) for place in range(len(sheet.header))],
        clears=RECIPES[import_.kind].clears,
        choices=[(column.key, column.label) for column in columns.values()],
        rows=shown(sheet.count, "number"),
        back=Link(str(WORDS[import_.kind].title), url_for(".upload")),
    )


def _column_line(sheet: Sheet, place: int, key: str) -> ColumnLine:
    title = sheet.header[place]
    cells = (cells[place] for _number, cells in sheet.rows)
    samples = [_sample(cell) for cell in _first(cells)]
    remark = _("Only shown in exports; an import leaves it alone.") if not key and is_only_shown(title) else ""
    return ColumnLine(letters(place), title or "–", samples, key, remark)


def _first(cells: Any) -> list[Any]:
    found: list[Any] = []
    for cell in cells:
        if cell not in (None, "") and cell not in found:
            found.append(cell)
        if len(found) == SAMPLES:
            break
    return found


def _sample(cell: Any) -> str:
    text = cell.get("d") or cell.get("t") if isinstance(cell, dict) else cell
    return str(f"{text:.15g}" if isinstance(text, float) else text)[:40]


# --- what would become of it -------------------------------------------------------------------------------------


def _said(import_: AccountImport) -> dict[str, Any]:
    """Everything the page of one import says."""
    rows, columns, words = imports.rows_of(import_), _columns_of(import_.kind), WORDS[import_.kind]
    show = _shown_rows(import_)
    wanted = [row for row in rows if row.state == show or show == ALL and row.state not in words.apart]
    page, paging = _paged(wanted, show, import_)
    return {
        "import_": import_,
        "status": Cell(str(import_.status.label), "choice", tone=TONES[import_.status]),
        "texts": words,
        "clears": RECIPES[import_.kind].clears,
        "tabs": _tabs(import_, show),
        "lines": [_line(row, columns, import_) for row in page],
        "paging": paging,
        "counts": {state: import_.counts.get(state, 0) for state in STATES},
        "undo_until": shown(import_.done_at + imports.UNDO_WITHIN, "moment") if imports.may_be_undone(import_) else "",
        "done_at": shown(import_.done_at, "moment") if import_.done_at else "",
        "now": str(words.now) % {"moment": shown(import_.checked_at, "moment")},
        "back": Link(str(words.title), url_for(".upload")),
        **_progress(import_),
    }


def _shown_rows(import_: AccountImport) -> str:
    """Which rows are wanted; at first those that need looking at, where there are any."""
    asked = request.args.get("show", "")
    if asked in {ALL, *STATES}:
        return asked
    is_open = import_.status is ImportStatus.CHECKED
    return next((state for state in (ERROR, CONFLICT) if is_open and import_.counts.get(state)), ALL)


def _progress(import_: AccountImport) -> dict[str, Any]:
    done, total = progress_of("import", import_.id) if import_.is_under_way else (0, 0)
    words = _("%(done)s of %(total)s rows", done=shown(done, "number"), total=shown(total, "number")) if total else ""
    return {"import_": import_, "done": done, "total": total, "words": words}


def _tabs(import_: AccountImport, show: str) -> list[tuple[Link, str, str]]:
    words = WORDS[import_.kind]
    labels = {ALL: str(words.all_rows), **_state_labels(), **words.states}
    counts = {state: import_.counts.get(state, 0) for state in STATES}
    counts[ALL] = sum(count for state, count in counts.items() if state not in words.apart)
    return [
        (Link(labels[state], _url(import_, show=state), active=state == show), shown(counts[state], "number"), state)
        for state in (ALL, *STATES)
        if counts[state] or state in {ALL, CREATED, *words.always}
    ]


def _state_labels() -> dict[str, str]:
    return {
        "created": _("New"),
        "changed": _("Changed"),
        "unchanged": _("Unchanged"),
        "conflict": _("Conflicts"),
        "error": _("Errors"),
    }


def _state_label(state: str, kind: ImportKind) -> str:
    one = {"conflict": _("Conflict"), "error": _("Error"), **WORDS[kind].states}
    return one.get(state) or _state_labels()[state]


def _url(import_: AccountImport, **query: Any) -> str:
    said = urlencode({name: value for name, value in query.items() if value})
    return url_for(".show", pk=import_.id) + (f"?{said}" if said else "")


def _paged(rows: list[Row], show: str, import_: AccountImport) -> tuple[list[Row], Paging]:
    pages = max(1, -(-len(rows) // AT_ONCE))
    asked = request.args.get("page", "")
    page = min(int(asked), pages) if asked.isdecimal() and asked.isascii() and 0 < int(asked[:9]) else 1
    first, last = (page - 1) * AT_ONCE, min(page * AT_ONCE, len(rows))
    numbers = {"first": min(first + 1, len(rows)), "last": last, "count": len(rows)}
    summary = _("%(first)s–%(last)s of %(count)s", **{name: shown(value, "number") for name, value in numbers.items()})
    return rows[first:last], Paging(
        page, pages, len(rows), summary,
        previous_url=_url(import_, show=show, page=page - 1) if page > 1 else "",
        next_url=_url(import_, show=show, page=page + 1) if page < pages else "",
    )  # fmt: skip


def _is_left(import_: AccountImport) -> bool:
    """Whether what was in conflict has been left as it is."""
    return import_.status is not ImportStatus.CHECKED and not import_.overwrites


def _line(row: Row, columns: dict[str, Column], import_: AccountImport) -> Line:
    account_id = getattr(row, WORDS[import_.kind].leads_to)
    return Line(
        number=shown(row.number, "number"),
        name=row.name or "–",
        url=url_for("AccountsView.show", pk=account_id) if account_id and may("account.show") else "",
        state=Cell(str(_state_label(row.state, import_.kind)), "choice", tone=STATE_TONES[row.state]),
        changes=[*_changes(row, columns), *_conflicts(row, columns, left=_is_left(import_))],
        errors=row.errors,
        remarks=row.remarks,
    )


def _changes(row: Row, columns: dict[str, Column]) -> list[Change]:
    return [Change(*_cell(key, old, new, columns)) for key, (old, new) in row.cells.items()]


def _conflicts(row: Row, columns: dict[str, Column], *, left: bool) -> list[Change]:
    found = []
    for key, (now, new, who, at) in row.conflicts.items():
        by = {"who": who or _("somebody"), "moment": shown(datetime.fromisoformat(at), "moment")}
        about = _("not imported; changed by %(who)s, %(moment)s", **by) if left else ""
        about = about or _("changed by %(who)s, %(moment)s", **by)
        found.append(Change(*_cell(key, now, new, columns), about))
    return found


def _cell(key: str, old: Any, new: Any, columns: dict[str, Column]) -> tuple[str, str, str]:
    column = columns.get(key)
    if column is None:  # archived since
        return key, str(old or ""), str(new or "")
    return column.label, _words(column, old), _words(column, new)


def _words(column: Column, kept: Any) -> str:
    """A value as lists show it."""
    definition = column.definition
    if definition is None or not (definition.type.has_limits or definition.type is PropertyType.FLAG):
        return column.say(kept)
    kind = KINDS.get(definition.type, definition.type.value)
    return shown(from_kept(definition, kept), kind, definition.currency)
