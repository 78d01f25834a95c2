"""Our dialect of Flask-AppBuilder: a screen is a declaration, and one line per verb.

`BackOfficeView` answers list, show, add, edit, export and commands for one model. It keeps no state of a request on
itself (decision 4): a view is one object for all threads, so what a request needs is made in the request.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import ModelView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import inspect, select

from ..errors import Conflict, Refused
from ..extensions import db
from ..models import Account, Member
from ..tenancy import acting, current_scope, may_change
from . import bulk, choosing, saved_views
from .acting import from_htmx, may
from .columns import Field, field_of
from .export import MOST_AT_ONCE, Sheet, download, later
from .fields import form_for
from .formats import shown
from .listing import DEFAULT_SIZE, Listing
from .masks import in_words, take_out_contacts
from .page import Action, Cell, DetailPage, Empty, Fact, FieldGroup, FormPage, Link, ListPage, Row, Section
from .totals import totals

LARGEST_KEY = 2**31 - 1  # PostgreSQL's INTEGER; it refuses to compare one with more


@dataclass(frozen=True)
class Command:
    """A verb offered on rows; made by `@command`."""

    name: str
    label: Any
    confirm: Any
    confirm_one: Any
    icon: str
    danger: bool
    method: str
    offered: Callable[[Any], bool] | None


def command(
    name: str,
    label: Any,
    *,
    confirm: Any = "",
    confirm_one: Any = "",
    icon: str = "",
    danger: bool = False,
    permission: str = "",
    offered: Callable[[Any], bool] | None = None,
) -> Callable[[Any], Any]:
    """Offer a method as a verb on chosen rows.

    The method is handed a list of rows from this side of the wall (others are 404), may raise `Refused`, and may
    return the sentence to flash. `confirm` asks before doing it to the rows listed below the question,
    `confirm_one` before doing it to `%(name)s`. `offered` says to which rows it can be done: the row's own page shows
    it there alone, the list while all chosen rows are such.
    """

    def mark(method: Any) -> Any:
        method._command = Command(
            permission or name, label, confirm, confirm_one or confirm, icon, danger, method.__name__, offered
        )
        method._command_name = name
        return method

    return mark


class BackOfficeView(ModelView):
    """A screen for one model. Declare `datamodel`, `noun`, columns and titles; the rest is here.

    `noun` is the first half of the permissions in `permissions.py`: `account` + `list`.
    """

    noun = ""
    list_lead: Any = ""
    more_columns: tuple[str, ...] = ()  # of the list, for whoever chooses them
    totaled: tuple[str, ...] = ()  # columns added up at the foot of the list
    order: tuple[str, ...] = ("id",)  # of the list, `-name` for descending
    search: tuple[str, ...] = ()  # columns the quick search looks through
    extra_args: tuple[str, ...] = ()  # URL arguments `conditions` looks at
    label_columns: dict[str, Any] = {}
    help_columns: dict[str, Any] = {}
    empty_title: Any = _l("Nothing here yet")
    empty_text: Any = ""
    tells_empty = True  # whether a page names facts the thing does not have
    add_label: Any = _l("Add")
    form_groups: tuple[tuple[Any, tuple[str, ...]], ...] = ()  # of the forms: title, inputs; what is left comes last
    sections: tuple[tuple[str, Any, tuple[str, ...]], ...] = ()  # of the detail page: key, title, columns
    related: tuple[tuple[str, Any, str, str], ...] = ()  # lists on it: key, title, endpoint, foreign key
    related_commands = True  # whether the verbs are offered in such sections, too
    loads: tuple[Any, ...] = ()  # what is loaded with the row of a page
    related_keys: dict[str, type] = {}  # foreign keys by which this list may be a section elsewhere
    include_route_methods = {"list", "show", "export", "action_post", "related_list"}

    # --- Flask-AppBuilder's own set-up, replaced ---

    def __init__(self) -> None:
        self.class_permission_name = self.noun
        self.commands = {
            getattr(self, name)._command_name: getattr(self, name)._command
            for name in dir(type(self))
            if hasattr(getattr(type(self), name), "_command")
        }
        self.include_route_methods = {*self.include_route_methods, "index"}
        super().__init__()

    def _init_properties(self) -> None:
        """Columns are read off the model, see `fields`; sections take the place of FAB's related views."""
        self.related_views, self._related_views = [], []

    def _init_forms(self) -> None:
        model, labels = self.datamodel.obj, self.label_columns
        if "add" in self.include_route_methods:
            self.add_form = form_for(model, self.add_columns, labels, self.help_columns)
        if "edit" in self.include_route_methods:
            self.edit_form = form_for(model, self.edit_columns, labels, self.help_columns)

    def _init_titles(self) -> None:
        """Titles are declared."""

    # --- what subclasses may say ---

    def conditions(self) -> tuple[Any, ...]:
        """What narrows the list (not the sections of other pages) besides the wall."""
        return tuple(~one for one in self.left_out())

    def left_out(self) -> tuple[Any, ...]:
        """The same from the other side, where those left out are few: conditions that one of them fulfils."""
        return ()

    def defaults(self) -> dict[str, Any]:
        """What an empty add form proposes."""
        return {}

    def fields(self, names: list[str] | tuple[str, ...] | None = None) -> dict[str, Field]:
        """The columns of that name; without names those the list has, of which some show only when chosen."""
        model, labels = self.datamodel.obj, self.label_columns
        if names:
            return {name: field_of(model, name, labels[name]) for name in names}
        of_list = [(name, True) for name in self.list_columns] + [(name, False) for name in self.more_columns]
        return {
            name: field_of(model, name, labels[name], usual=usual, totaled=name in self.totaled)
            for name, usual in of_list
        }

    def form_to_add(self) -> Any:
        """The empty add form, with what it proposes."""
        return self.add_form(data=self.defaults())

    def form_to_edit(self, row: Any) -> Any:
        """The edit form, with what the row holds."""
        return self.edit_form(obj=row)

    def field_groups(self, fields: builtins.list[Any]) -> builtins.list[FieldGroup]:
        """The inputs under their headings."""
        grouped = {name for _title, names in self.form_groups for name in names}
        groups = [
            FieldGroup(str(title), [field for name in names for field in fields if field.name == name])
            for title, names in self.form_groups
        ]
        groups.append(FieldGroup("", [field for field in fields if field.name not in grouped]))
        return [group for group in groups if group.fields]

    def belongs(self, key: str, pk: int) -> Any:
        """Which rows are listed as a section of another page."""
        return getattr(self.datamodel.obj, key) == pk

    def may_edit(self, row: Any) -> bool:
        """Whether it is for the acting account to change; what is seen by a client's consent mostly is not."""
        return may_change(row)

    def indent(self, row: Any) -> int:
        return 0

    def is_muted(self, row: Any) -> bool:
        return False

    def kind_of(self, row: Any) -> str:
        """What the thing is, for its detail page."""
        return str(self.show_title)

    def lead(self) -> Any:
        """The sentence under the list's title."""
        return self.list_lead

    def badges(self, row: Any) -> list[Cell]:
        return []

    def links(self, row: Any) -> list[Link]:
        """Other places that belong to the thing, offered in the head of its page."""
        return []

    def questions(self, row: Any) -> builtins.list[Action]:
        """Verbs on the thing that ask something first, in the dialog."""
        return []

    def has_section(self, row: Any, key: str) -> bool:
        """Whether a related list has a meaning for this row."""
        return True

    def create(self, form: Any) -> Any:
        """Make the row a valid add form describes; may raise `Refused`."""
        raise NotImplementedError

    def change(self, row: Any, form: Any) -> None:
        """Put a valid edit form into the row; may raise `Refused`."""
        form.populate_obj(row)

    def created_message(self, row: Any) -> str:
        return _("“%(name)s” was added.", name=str(row))

    # --- list ---

    @expose("/")
    @has_access
    @permission_name("list")
    def index(self) -> Any:
        """The short address: `/members/` is the members' list."""
        return redirect(self.url("list"))

    @expose("/list/")
    @has_access
    def list(self) -> Any:
        return self._render_list(self.url("list"), self.conditions())

    @expose("/related/<string:key>/<int:pk>")
    @has_access
    @permission_name("list")
    def related_list(self, key: str, pk: int) -> Any:
        """The rows that belong to another row; a section of that row's detail page, or a page of its own."""
        owner = self.related_keys.get(key)
        if owner is None:
            abort(404)
        find(owner, pk)
        condition = self.belongs(key, pk)
        return self._render_list(self.url("related_list", key=key, pk=pk), (condition,), related=True)

    def _render_list(self, url: str, conditions: tuple[Any, ...], related: bool = False) -> str:
        """The page; for htmx the table alone, as a section of another page."""
        page = self.list_page(url, conditions, embedded=from_htmx(), related=related)
        return render_template("_list.html" if page.embedded else "list.html", page=page)

    def list_page(self, url: str, conditions: tuple[Any, ...], *, embedded: bool, related: bool) -> ListPage:
        listing = self.listing(url, conditions)
        rows, commands = listing.turn_to_page(), self._own_commands()
        told = self._rows(rows, listing.fields, commands)
        offers = any(row.verbs for row in told) and (self.related_commands or not related)
        for notice in listing.notices:
            flash(notice, "warning")
        whole = {} if embedded or related else self._of_whole_list(listing, rows, listing.finding.counted)
        return ListPage(
            **whole,
            title=str(self.list_title),
            lead="" if embedded or related else str(self.lead()),
            view=type(self).__name__,
            url=url,
            columns=listing.columns(),
            filters=[] if embedded else listing.filters_offered,
            rows=told,
            paging=listing.paging(),
            q=listing.q,
            searchable=bool(self.search),
            kept=listing.kept(),
            chips=listing.chips(),
            clear_url=listing.clear_url() if listing.is_filtered else "",
            add=None if embedded or related else self._add_link(),
            export_url="" if embedded or related else self._export_url(listing),
            export_links=[] if embedded or related else self._export_links(listing),
            export_later=None if embedded or related else self._export_later(listing),
            tools=[] if embedded or related else self.tools(listing),
            actions=_bulk_actions(commands) if offers else [],
            action_url=self._action_url(listing) if self._has("action_post") else "",
            empty=self._empty(listing, related),
            embedded=embedded,
        )

    def _of_whole_list(self, listing: Listing, rows: builtins.list[Any], count: int) -> dict[str, Any]:
        """What a list has that is no part of another page."""
        several = count > listing.size
        return {
            "choices": choosing.choices(listing.fields, listing.available),
            "kept_by_columns": listing.state_without("cols", "page"),
            "usual_columns_url": listing.url_with(cols=None) if listing.args.get("cols") else "",
            "views": saved_views.bar(listing),
            "totals": totals(listing, rows, count),
            "key": saved_views.list_at_hand(),
            "sizes_state": urlencode(listing.state_without("size", "page")),
            "size_url": "" if listing.args.get("based") else url_for("SavedViewsView.page_size"),
            "matching": shown(count, "number") if several and count <= bulk.MOST else "",
            "too_many": several and count > bulk.MOST,
            "count": count,
        }

    def listing(self, url: str, conditions: tuple[Any, ...]) -> Listing:
        return Listing(
            model=self.datamodel.obj,
            fields=self.fields(),
            order=self.order,
            args=saved_views.asked(),  # itself: what the list leaves out of it no other link says either
            url=url,
            conditions=conditions,
            left_out=self.left_out() if url == self.url("list") else (),
            search=self.search,
            extra=self.extra_args,
            usual_size=self._usual_size(url),
        )

    def _usual_size(self, url: str) -> int:
        return saved_views.habits().get("size", DEFAULT_SIZE) if url == self.url("list") else DEFAULT_SIZE

    def _action_url(self, listing: Listing) -> str:
        """Verbs are posted to the list's own address, by which all its rows are found again."""
        back = urlencode({"back": listing.url_with()})
        query = listing.url_with(back=None, page=None).partition("?")[2]
        return f"{self.url('action_post')}?{query}&{back}" if query else f"{self.url('action_post')}?{back}"

    def tools(self, listing: Listing) -> list[Link]:
        return []

    def _rows(
        self, rows: builtins.list[Any], fields: dict[str, Field], verbs: dict[str, Command]
    ) -> builtins.list[Row]:
        shown_at, edited_at = self._address_of("show"), self._address_of("edit")
        return [self._row(row, [*fields.values()], verbs, shown_at, edited_at) for row in rows]

    def _address_of(self, method: str) -> str:
        """Where rows are shown or edited, if they are, without the key at its end: hundreds are linked to at once."""
        if not (self._has(method) and may(f"{self.noun}.{method}")):
            return ""
        return self.url(method, pk=0).removesuffix("0")

    def _row(
        self, row: Any, fields: builtins.list[Field], verbs: dict[str, Command], shown_at: str, edited_at: str
    ) -> Row:
        pk = str(inspect(row).identity[0])
        url = f"{shown_at}{pk}" if shown_at else ""
        edit_url = f"{edited_at}{pk}" if edited_at and self.may_edit(row) else ""
        first, *others = fields
        cells = [first.cell(row, url=url, indent=self.indent(row)), *(field.cell(row) for field in others)]
        offered = " ".join(_fitting(verbs, row))
        return Row(pk, in_words(str(row)), cells, url=url, edit_url=edit_url, muted=self.is_muted(row), verbs=offered)

    def _add_link(self) -> Link | None:
        if not (self._has("add") and may(f"{self.noun}.add")):
            return None
        return Link(str(self.add_label), self.url("add"), icon="plus", modal=True, key="n")

    def _export_url(self, listing: Listing) -> str:
        if not (self._has("export") and may(f"{self.noun}.export")):
            return ""
        query = listing.url_with(page=None, size=None, format=None).partition("?")[2]
        return self.url("export") + (f"?{query}" if query else "")

    def _export_links(self, listing: Listing) -> builtins.list[Link]:
        """Other files than the usual one."""
        url = self._export_url(listing)
        return [Link(_("CSV file"), f"{url}{'&' if '?' in url else '?'}format=csv", "table")] if url else []

    def _export_later(self, listing: Listing) -> Action | None:
        """*Send it to me*: the same file, made by the worker while the person goes on."""
        url = self._export_url(listing)
        if not (url and may("export.list")):
            return None
        add = url_for("ExportsView.add", of=type(self).__name__)
        query = url.partition("?")[2]
        url = f"{add}&{query}" if query else add
        return Action(name="add", label=_("Send it to me"), icon="mail-forward", url=url)

    def _own_commands(self) -> dict[str, Command]:
        """The verbs the person has the right to."""
        return {name: c for name, c in self.commands.items() if may(f"{self.noun}.{c.name}")}

    def _empty(self, listing: Listing, related: bool) -> Empty:
        if listing.is_filtered:
            clear = Link(_("Clear all filters"), listing.url)
            return Empty(_("Nothing found"), _("No row fits the search and the filters."), clear, "search")
        if related:
            return Empty(str(self.empty_title), "")
        return Empty(str(self.empty_title), str(self.empty_text), self._add_link())

    # --- export ---

    @expose("/export")
    @has_access
    def export(self) -> Any:
        """The list as it stands on the screen, as a typed Excel file or CSV; a long one is left to the worker."""
        sheet = self.sheet()
        if sheet.listing.count() <= MOST_AT_ONCE:
            return download(sheet)
        with acting(g.scope) as session:
            later(sheet, type(self).__name__, by=session.get(Member, current_scope().member_id))
        flash(_("The list is long: the file is being made, and you get a mail when it is ready."), "success")
        return leave_form(url_for("ExportsView.list"))

    def sheet(self) -> Sheet:
        """The list on its way into a file; its filters and its order are in the address of the request."""
        listing = self.listing(self.url("list"), self.conditions())
        format = "csv" if request.args.get("format") == "csv" else "xlsx"
        return Sheet(listing, self.file_fields(listing), str(self.list_title), self.noun, format)

    def file_fields(self, listing: Listing) -> builtins.list[Field]:
        """The columns of a file: those of the list."""
        return [*listing.fields.values()]

    # --- detail page ---

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        return render_template("detail.html", page=self.detail_page(self.row(pk)))

    def detail_page(self, row: Any) -> DetailPage:
        pk = inspect(row).identity[0]
        edit = self._has("edit") and may(f"{self.noun}.edit") and self.may_edit(row)
        return DetailPage(
            title=in_words(str(row)),
            kind=self.kind_of(row),
            back=Link(str(self.list_title), self.url("list")),
            sections=self._sections(row),
            badges=self.badges(row),
            edit=Link(_("Edit"), self.url("edit", pk=pk), icon="pencil", modal=True) if edit else None,
            links=self.links(row),
            actions=self._single_actions(row),
        )

    def _sections(self, row: Any) -> list[Section]:
        told = [Section(key, str(title), self._facts_of(row, names)) for key, title, names in self.sections]
        told = [section for section in told if section.facts or self.tells_empty]
        pk = inspect(row).identity[0]
        for key, title, endpoint, foreign_key in self.related:
            noun = self.appbuilder_view(endpoint).noun
            if may(f"{noun}.list") and self.has_section(row, key):
                told.append(Section(key, str(title), url=url_for(f"{endpoint}.related_list", key=foreign_key, pk=pk)))
        return told

    def _facts_of(self, row: Any, names: Any) -> list[Fact]:
        facts = [Fact(str(field.label), field.cell(row)) for field in self.fields(names).values()]
        return [fact for fact in facts if self.tells_empty or fact.cell.text]

    def appbuilder_view(self, endpoint: str) -> BackOfficeView:
        return next(view for view in self.appbuilder.baseviews if type(view).__name__ == endpoint)

    def _single_actions(self, row: Any) -> list[Action]:
        pk = inspect(row).identity[0]
        url = self.url("action_post", rowid=pk, back=self.url("show", pk=pk))
        return [
            Action(name, str(c.label), c.icon, str(c.confirm_one) % {"name": str(row)}, c.danger, url)
            for name, c in _fitting(self._own_commands(), row).items()
        ] + self.questions(row)

    # --- add and edit ---

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        form = self.form_to_add()
        if request.method == "POST" and form.validate():
            try:
                row = self.create(form)
                db.session.flush()
            except Refused as refusal:
                return self._refused(form, refusal, self._form_page(form, self.add_title, self.url("add")))
            flash(self.created_message(row), "success")
            return leave_form(self.url("list"))
        return self._render_form(form, self._form_page(form, self.add_title, self.url("add")))

    @expose("/edit/<int:pk>", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: int) -> Any:
        row = self.row(pk)
        if not self.may_edit(row):
            abort(403)
        form = self.form_to_edit(row)
        page = self._form_page(form, self.edit_title, self.url("edit", pk=pk), str(row))
        take_out_contacts(form)
        if request.method == "POST" and form.validate():
            try:
                self.change(row, form)
                db.session.flush()
            except Refused as refusal:
                return self._refused(form, refusal, page)
            flash(_("“%(name)s” was saved.", name=str(row)), "success")
            return leave_form(self.url("show", pk=pk) if self._has("show") else self.url("list"))
        return self._render_form(form, page)

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        names = [f for f in form if f.type not in {"CSRFTokenField", "HiddenField"}]
        return FormPage(
            title=str(title) % {"name": name} if name else str(title),
            url=url,
            form=form,
            groups=self.field_groups(names),
            submit_label=_("Save"),
            cancel_url=safe_back(self.url("list")),
            modal=from_htmx(),
        )

    def _refused(self, form: Any, refusal: Refused, page: FormPage) -> Any:
        """Say no where the reason lies, with everything typed still there."""
        db.session.rollback()
        if refusal.field in form:
            form[refusal.field].errors = [*form[refusal.field].errors, refusal.sentence]
        else:
            form.form_errors.append(refusal.sentence)
        shown, status = self._render_form(form, page)
        return shown, 409 if isinstance(refusal, Conflict) and not page.modal else status  # the dialog shows 422

    def _question(self, row: Any, verb: str, label: str, icon: str, **looks: Any) -> Action:
        """A verb whose page of that name asks something first."""
        url = self.url(verb, pk=inspect(row).identity[0])
        return Action(verb, label, icon, url=url, modal=True, **looks)

    def _question_page(self, row: Any, verb: str, form: Any, title: Any, label: str, **more: Any) -> FormPage:
        """What it asks; cancelled or done, it leads back to the row."""
        pk = inspect(row).identity[0]
        page = self._form_page(form, title, self.url(verb, pk=pk), str(row))
        return replace(page, **{"submit_label": label, "cancel_url": self.url("show", pk=pk)} | more)

    def _ask(self, page: FormPage, deed: Callable[[], Any], said: str, then: str = "") -> Any:
        """Show a form; once it is sent and valid, do the deed, say so and lead on."""
        form = page.form
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        try:
            deed()
            db.session.flush()
        except Refused as refusal:
            return self._refused(form, refusal, page)
        flash(said, "success")
        return leave_form(then or page.cancel_url)

    def _render_form(self, form: Any, page: FormPage) -> Any:
        template = "_form.html" if page.modal else "form.html"
        status = 422 if form.errors or form.form_errors else 200
        return render_template(template, page=page), status

    # --- commands ---

    @expose("/action_post", methods=["POST"])
    def action_post(self) -> Any:
        """Do a verb on the chosen rows; all of them or none."""
        name = request.form.get("action", "")
        chosen_command = self.commands.get(name)
        if chosen_command is None:
            abort(404)
        if not may(f"{self.noun}.{chosen_command.name}"):
            abort(403)
        if request.form.get("all"):
            return self._do_to_all(chosen_command)
        rows = self._chosen(request.values.getlist("rowid"))
        if not all(map(may_change, rows)):
            abort(403)
        back = safe_back(self.url("list"))
        try:
            said = getattr(self, chosen_command.method)(rows)
            db.session.flush()
        except Refused as refusal:
            db.session.rollback()
            flash(refusal.sentence, "danger")
            return redirect(back)
        flash(said or _("Done."), "success")
        return redirect(back)

    def _do_to_all(self, verb: Command) -> Any:
        """Do a verb on all rows the list has, and tell of those that were refused."""
        listing, agreed = self.listing(self.url("list"), self.conditions()), request.form.get("all", "")[:12]
        deed, back = getattr(self, verb.method), safe_back(self.url("list"))
        try:
            agreed = int(agreed) if agreed.isdecimal() and agreed.isascii() else 0
            outcome = bulk.on_all(listing, deed, offered=verb.offered, agreed=agreed)
        except Refused as refusal:
            flash(refusal.sentence, "danger")
            return redirect(back)
        for said, tone in bulk.told(outcome, str(verb.label)):
            flash(said, tone)
        return redirect(back)

    def _chosen(self, pks: list[str]) -> list[Any]:
        """The rows of those keys. One that is not there, or not for these eyes, and it is 404 for all."""
        wanted = {key_of(pk) for pk in pks}
        if not wanted or len(pks) > 1000 or None in wanted:
            abort(404)
        key = inspect(self.datamodel.obj).primary_key[0]
        rows = list(db.session.scalars(select(self.datamodel.obj).where(key.in_(wanted))))
        if len(rows) != len(wanted):
            abort(404)
        return rows

    # --- small things ---

    def row(self, pk: int | None) -> Any:
        """The row of that key on this side of the wall, or 404."""
        return find(self.datamodel.obj, pk, *self.loads)

    def url(self, method: str, **values: Any) -> str:
        return url_for(f"{type(self).__name__}.{method}", **values)

    def _has(self, method: str) -> bool:
        return method in self.include_route_methods


def _bulk_actions(commands: dict[str, Command]) -> list[Action]:
    return [Action(name, str(c.label), c.icon, str(c.confirm), c.danger) for name, c in commands.items()]


def _fitting(verbs: dict[str, Command], row: Any) -> dict[str, Command]:
    """The verbs that can be done to a row."""
    able = may_change(row)
    return {name: verb for name, verb in verbs.items() if able and (verb.offered is None or verb.offered(row))}


def find(model: type, pk: int | None, *loads: Any) -> Any:
    """The row of that key on this side of the wall, or 404; also where the number is larger than any key."""
    possible = pk is not None and 0 <= pk <= LARGEST_KEY
    row = db.session.get(model, pk, options=loads) if possible else None
    return row or abort(404)


def key_of(text: str) -> int | None:
    """The key that a text says, if one can be that."""
    is_number = text.isdecimal() and text.isascii() and len(text) <= len(str(LARGEST_KEY))
    return int(text) if is_number and int(text) <= LARGEST_KEY else None


def render_part(template: str, **said: Any) -> str:
    """A part of a page: in the dialog, or on a page of its own."""
    if from_htmx():
        return render_template(template, modal=True, **said)
    return render_template("part.html", part=template, modal=False, **said)


def leave_form(url: str) -> Any:
    """After a form has done its work: on to the page that shows it, from the dialog as from a page."""
    target = safe_back(url)
    if from_htmx():
        return Response(status=204, headers={"HX-Redirect": target})
    return redirect(target)


def safe_back(default: str) -> str:
    """Where the person came from, if that is a page of this account."""
    back = request.form.get("back") or request.args.get("back") or ""
    return back if back.startswith(request.script_root + "/") and "\\" not in back and "//" not in back else default


def account_asked_for(clients: Collection[int] = ()) -> Account:
    """The account a form is about: one beneath, named in the address, or the own; or one of these clients."""
    asked = request.args.get("account")
    account = find(Account, current_scope().account_id if asked is None else key_of(asked))
    return account if may_change(account) or account.id in clients else abort(403)


def without_own_account(fields: dict[str, Field]) -> dict[str, Field]:
    """Whose a row is says nothing where all are one account's: to customers, and on an account's own page."""
    scope, place = g.get("scope"), (request.view_args or {}).get("key")
    if place == "account_id" or (scope is not None and not scope.kind.manages_accounts):
        return {name: field for name, field in fields.items() if name != "account.name"}
    return fields
