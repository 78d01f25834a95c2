"""*My exports*: files the worker makes for a person, how far they are, and for a day the way to them (X-3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, send_file, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from sqlalchemy import select

from .. import clock, files
from ..errors import Refused
from ..extensions import db
from ..models import Export, ExportStatus
from ..services import exports
from ..ui.acting import may, me
from ..ui.columns import TONES
from ..ui.export import MIMES, later, name_of
from ..ui.formats import local, shown, size_in_words
from ..ui.page import Cell
from ..ui.view import LARGEST_KEY, BackOfficeView


@dataclass(frozen=True)
class Line:
    """One export, said."""

    export: Export
    status: Cell
    format: str
    facts: list[str]
    url: str  # of how far it is
    file_url: str
    discard_url: str


class ExportsView(BaseView):
    """The person's own, in the account they act in."""

    route_base = "/exports"
    class_permission_name = "export"
    default_view = "list"

    @expose("/")
    @has_access
    def list(self) -> Any:
        mine = db.session.scalars(select(Export).where(*_is_kept()).order_by(Export.id.desc()).limit(100))
        return render_template("exports.html", lines=[_line(export) for export in mine])

    @expose("/add", methods=["POST"])
    @has_access
    @permission_name("list")
    def add(self) -> Any:
        """Leave a list to the worker: `of` names its view, the rest of the address is the list's own."""
        view = view_named(request.args.get("of", ""))
        if not may(f"{view.noun}.export"):
            abort(403)
        try:
            later(view.sheet(), type(view).__name__, by=me())
        except Refused as refusal:
            db.session.rollback()
            flash(refusal.sentence, "danger")
        else:
            flash(_("The file is being made. You get a mail when it is ready."), "success")
        return redirect(url_for("ExportsView.list"))

    @expose("/show/<int:pk>")
    @has_access
    @permission_name("list")
    def show(self, pk: int) -> Any:
        """How far one of them is, for the page to ask again and again."""
        return render_template("_export.html", line=_line(_mine(pk)))

    @expose("/file/<int:pk>")
    @has_access
    @permission_name("list")
    def file(self, pk: int) -> Any:
        export = _mine(pk)
        path = files.path_of(export.file)
        if not may(f"{export.noun}.export"):
            abort(403)
        if export.status is not ExportStatus.DONE or not path.exists():
            abort(404)
        return send_file(path, MIMES[export.format], as_attachment=True, download_name=_file_name(export))

    @expose("/discard/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("list")
    def discard(self, pk: int) -> Any:
        export = _mine(pk)
        said = _("The export was cancelled.") if export.is_under_way else _("The file was deleted.")
        exports.discard(export)
        flash(said, "success")
        return redirect(url_for("ExportsView.list"))


def view_named(name: str) -> BackOfficeView:
    """The view whose list is wanted, if it is one that can be exported; otherwise 404."""
    for view in current_app.appbuilder.baseviews:  # type: ignore[attr-defined]
        if type(view).__name__ == name and isinstance(view, BackOfficeView) and view._has("export"):
            return view
    abort(404)


def _is_kept() -> tuple[Any, ...]:
    """A day is a day, though files are cleared away at night."""
    return (Export.expires_at > clock.now(),)


def _mine(pk: int) -> Export:
    wanted = select(Export).where(Export.id == min(pk, LARGEST_KEY), *_is_kept())
    return db.session.scalar(wanted) or abort(404)


def _file_name(export: Export) -> str:
    return name_of(export.title, export.format, local(export.created_at).date())


def _line(export: Export) -> Line:
    return Line(
        export=export,
        status=Cell(str(export.status.label), "choice", tone=TONES[export.status]),
        format="Excel" if export.format == "xlsx" else "CSV",
        facts=_facts(export),
        url=url_for("ExportsView.show", pk=export.id),
        file_url=url_for("ExportsView.file", pk=export.id) if export.status is ExportStatus.DONE else "",
        discard_url=url_for("ExportsView.discard", pk=export.id),
    )


def _facts(export: Export) -> list[str]:
    facts = [export.filter] if export.filter else []
    if export.status is ExportStatus.DONE:
        rows = _("%(count)s rows", count=shown(export.written, "number"))
        until = _("kept until %(moment)s", moment=shown(export.expires_at, "moment"))
        return [*facts, rows, size_in_words(export.size), until]
    if export.status is ExportStatus.RUNNING:
        numbers = {"written": shown(export.written, "number"), "total": shown(export.total, "number")}
        return [*facts, _("%(written)s of %(total)s rows", **numbers)]
    asked = _("asked for %(moment)s", moment=shown(export.created_at, "moment"))
    return [*facts, export.error or asked]
