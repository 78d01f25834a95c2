"""Saved views of lists: the dialog that names one, and what becomes of it. Their tabs stand above the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField
from wtforms.validators import InputRequired, Length

from ..errors import Refused
from ..extensions import db
from ..models import SavedView
from ..services import saved_views
from ..ui.acting import may, me
from ..ui.fields import Trimmed
from ..ui.listing import SIZES
from ..ui.page import FieldGroup, FormPage
from ..ui.saved_views import state_of
from ..ui.view import LARGEST_KEY, BackOfficeView


class SavedViewsView(BaseView):
    """What is done to saved views; each answer leads back to the list."""

    route_base = "/views"
    class_permission_name = "saved_view"

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """Save how a list looks now."""
        of_list, state = request.values.get("list", ""), request.values.get("state", "")
        screen = self._screen(of_list)
        form = _form()()
        url = url_for("SavedViewsView.add", list=of_list, state=state)
        page = _page(_("Save view"), url, form, f"{screen.url('list')}?{state}")
        return self._ask(page, lambda: _saved(form, of_list, _state(state, screen)), _("The view was saved."))

    @expose("/edit/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def edit(self, pk: int) -> Any:
        """Rename it, share it, take it back."""
        view = self._changeable(pk)
        form = _form()(data={"name": view.name, "shared": view.is_shared, "usual": _is_usual(view)})
        url = url_for("SavedViewsView.edit", pk=pk)
        page = _page(_("Edit view %(name)s", name=view.name), url, form, self._address(view))
        return self._ask(page, lambda: _changed(view, form), _("The view was saved."))

    @expose("/keep/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("add")
    def keep(self, pk: int) -> Any:
        """Let the view show the list as it looks now."""
        view = self._changeable(pk)
        state = _state(request.form.get("state", ""), self._screen(view.of_list))
        saved_views.look_like(view, query=state, by=me())
        flash(_("“%(name)s” now shows the list like this.", name=view.name), "success")
        return redirect(self._address(view))

    @expose("/delete/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("add")
    def delete(self, pk: int) -> Any:
        view = self._changeable(pk)
        saved_views.delete(view, by=me())
        flash(_("The view “%(name)s” was deleted.", name=view.name), "success")
        return redirect(self._screen(view.of_list).url("list"))

    @expose("/open-with/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("list")
    def open_with(self, pk: int) -> Any:
        """Open the list with this view from now on, or no longer."""
        view, usual = _view(pk), request.form.get("usual") == "1"
        address = self._address(view)
        saved_views.open_with(view.of_list, view if usual else None, by=me())
        said = _("The list opens with “%(name)s” from now on.") if usual else _("The list opens as a whole again.")
        flash(said % {"name": view.name}, "success")
        return redirect(address)

    @expose("/page-size", methods=["POST"])
    @has_access
    @permission_name("list")
    def page_size(self) -> Any:
        """How many rows a page of the list has, for oneself."""
        of_list, size = request.form.get("list", ""), request.form.get("size", "")
        screen = self._screen(of_list)
        if size not in map(str, SIZES):
            abort(404)
        saved_views.page_by(of_list, int(size), by=me())
        query = request.form.get("state", "")
        return redirect(f"{screen.url('list')}?{query}" if query else screen.url("list"))

    def _ask(self, page: FormPage, deed: Callable[[], SavedView], said: str) -> Any:
        """The form; once it is sent and valid, the deed, and on to the view."""
        if request.method == "POST" and page.form.validate():
            try:
                address = self._address(deed())
            except Refused as refusal:
                db.session.rollback()
                field = page.form[refusal.field] if refusal.field in page.form else page.form.form_errors
                getattr(field, "errors", field).append(refusal.sentence)
            else:
                flash(said, "success")
                return Response(status=204, headers={"HX-Redirect": address}) if page.modal else redirect(address)
        wrong = page.form.errors or page.form.form_errors
        return render_template("_form.html" if page.modal else "form.html", page=page), 422 if wrong else 200

    def _screen(self, of_list: str) -> BackOfficeView:
        """The screen of a list the person may see; others do not exist."""
        screens = [view for view in self.appbuilder.baseviews if isinstance(view, BackOfficeView)]
        found = next((screen for screen in screens if screen.route_base == f"/{of_list}"), None)
        return found if found is not None and may(f"{found.noun}.list") else abort(404)

    def _address(self, view: SavedView) -> str:
        return f"{self._screen(view.of_list).url('list')}?view={view.id}"

    def _changeable(self, pk: int) -> SavedView:
        view = _view(pk)
        return view if saved_views.may_change(view, by=me()) else abort(403)


def _view(pk: int) -> SavedView:
    return saved_views.get(pk, by=me()) if pk <= LARGEST_KEY else abort(404)


def _is_usual(view: SavedView) -> bool:
    return saved_views.habit(me(), view.of_list).get("view") == view.id


def _state(asked: str, screen: BackOfficeView) -> str:
    """What of an address says how the list looks; everything else is left behind."""
    pairs = parse_qsl(asked.replace("\x00", "")[: 2 * saved_views.LONGEST_QUERY])
    return state_of(MultiDict(pairs), screen.extra_args)


def _saved(form: Any, of_list: str, query: str) -> SavedView:
    view = saved_views.save(form.name.data, of_list=of_list, query=query, shared=_shared(form), by=me())
    if form.usual.data:
        saved_views.open_with(of_list, view, by=me())
    return view


def _changed(view: SavedView, form: Any) -> SavedView:
    saved_views.change(view, name=form.name.data, shared=_shared(form), by=me())
    if form.usual.data != _is_usual(view):
        saved_views.open_with(view.of_list, view if form.usual.data else None, by=me())
    return view


def _shared(form: Any) -> bool:
    return "shared" in form and form.shared.data


def _form() -> type[FlaskForm]:
    """Its name; and whom it is for, where the role may share."""
    length = Length(max=saved_views.LONGEST_NAME)
    body: dict[str, Any] = {"name": Trimmed(_l("Name"), [InputRequired(_l("Please fill this in.")), length])}
    if may("saved_view.share"):
        about = _l("Everybody in the account sees it; those whose role may share can change it.")
        body["shared"] = BooleanField(_l("Share with the account"), description=about)
    body["usual"] = BooleanField(_l("Open the list with this view"), description=_l("For you alone."))
    return type("SavedViewForm", (FlaskForm,), body)


def _page(title: str, url: str, form: Any, cancel_url: str) -> FormPage:
    fields = [field for field in form if field.type != "CSRFTokenField"]
    return FormPage(
        title=title,
        url=url,
        form=form,
        groups=[FieldGroup("", fields)],
        submit_label=_("Save"),
        cancel_url=cancel_url,
        lead=_("Columns, filters, order and page size of this list, under a name."),
        modal=request.headers.get("HX-Request") == "true",
    )
