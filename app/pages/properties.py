"""*Edit table*: the properties of the acting account's list, in a dialog over it or on a page of its own (M-8)."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import abort, flash, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, SelectField, TextAreaField
from wtforms.validators import Length, NumberRange, Optional

from .. import properties as values
from ..errors import Refused
from ..extensions import db
from ..models import Account, Property, PropertyType
from ..property_types import LONGEST
from ..services import properties
from ..tenancy import current_scope
from ..ui.acting import from_htmx, may, me
from ..ui.fields import Trimmed, currencies
from ..ui.page import FieldGroup, FormPage
from ..ui.properties import as_input, as_kept, from_input, input_for
from ..ui.view import find, key_of, render_part

ICONS = {
    PropertyType.TEXT: "forms", PropertyType.LONG: "list-details", PropertyType.INTEGER: "gauge",
    PropertyType.DECIMAL: "percentage", PropertyType.MONEY: "cash", PropertyType.DATE: "calendar",
    PropertyType.FLAG: "check", PropertyType.CHOICE: "selector", PropertyType.CHOICES: "tags",
    PropertyType.URL: "link", PropertyType.EMAIL: "at", PropertyType.PHONE: "phone", PropertyType.MEMBER: "user",
}  # fmt: skip
BLANK_CHOICES = 3  # offered besides those there are
FOUND = 20  # values named of those that do not fit


class Work(NamedTuple):
    """A conversion the worker does, or could not do."""

    to: str
    percent: int
    under_way: bool
    misfits: list[Any]
    more: str


class Line(NamedTuple):
    """One property in the list, and the orders its buttons would make."""

    definition: Property
    label: str
    type: str
    icon: str
    facts: list[str]
    up: str
    down: str
    work: Work | None


class PropertiesView(BaseView):
    """The acting account's own definitions; those of accounts beneath are theirs alone to change."""

    route_base = "/properties"
    class_permission_name = "property"
    default_view = "list"

    @expose("/")
    @has_access
    def list(self) -> Any:
        return _page("list")

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        type_ = _type_asked_for()
        if type_ is None:
            return _page("types", title=_("Add property"), types=_types(), url=url_for("PropertiesView.add"))
        draft = Property(type=type_, account_id=current_scope().account_id, as_column=True, choices=[])
        draft.currency = db.session.get(Account, draft.account_id).currency
        form = _form_for(draft)(data={"currency": draft.currency, "as_column": True})
        url = url_for("PropertiesView.add", type=type_.value)
        page = _form_page(_("Add property: %(type)s", type=type_.label), url, form, draft)
        if request.method != "POST" or not form.validate():
            return _show(page)
        return _do(page, lambda: properties.define(type_, by=me(), **_facts(draft, form)), _("The column was added."))

    @expose("/edit/<int:pk>", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: int) -> Any:
        definition = _own(pk)
        form = _form_for(definition)(obj=_Held(definition))
        title = _("Edit %(name)s", name=values.label_of(definition))
        page = _form_page(title, url_for("PropertiesView.edit", pk=pk), form, definition)
        if request.method != "POST" or not form.validate():
            return _show(page)
        facts = _facts(definition, form)
        deed = lambda: properties.change(definition, by=me(), **facts)  # noqa: E731
        return _do(page, deed, _("The column was changed."), of=definition)

    @expose("/convert/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("edit")
    def convert(self, pk: int) -> Any:
        definition = _own(pk)
        title = _("Another type for %(name)s", name=values.label_of(definition))
        type_, url = _type_asked_for(), url_for("PropertiesView.convert", pk=pk)
        if type_ is None or type_ is definition.type:
            return _page("types", title=title, types=_types(besides=definition.type), url=url)
        draft = _converted(definition, type_)
        form = _conversion_form(draft)(data={"currency": draft.currency})
        page = _form_page(title, url_for("PropertiesView.convert", pk=pk, type=type_.value), form, draft)
        if request.method != "POST" or not form.validate():
            return _show(page)
        facts = _facts(draft, form)
        return _do(page, lambda: properties.convert(definition, to=type_, by=me(), **facts), _("The type was changed."),
                   of=definition)  # fmt: skip

    @expose("/order", methods=["POST"])
    @has_access
    @permission_name("edit")
    def order(self) -> Any:
        wanted = [key_of(number) for number in request.form.get("ids", "").split(",")]
        if None in wanted:
            abort(400)
        return _do(None, lambda: properties.reorder(wanted, by=me()), _place_in_words(wanted))

    @expose("/archive/<int:pk>", methods=["POST"])
    @has_access
    def archive(self, pk: int) -> Any:
        definition, said = _own(pk), _("The column was archived; its values stay.")
        return _do(None, lambda: properties.archive(definition, by=me()), said)

    @expose("/restore/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("archive")
    def restore(self, pk: int) -> Any:
        definition = _own(pk)
        return _do(None, lambda: properties.restore(definition, by=me()), _("The column is back, with its values."))


def _place_in_words(wanted: Any) -> str:
    """Where the property that was moved has come to stand, for those who do not see it."""
    moved = request.form.get("focus", "").partition("-")[2] or request.form.get("moved", "")
    definition = next((one for one in values.definitions_of(me().account_id) if str(one.id) == moved), None)
    if definition is None or definition.id not in wanted:
        return _("The order was changed.")
    place, label = wanted.index(definition.id) + 1, values.label_of(definition)
    return _("%(name)s is number %(place)s of %(count)s now.", name=label, place=place, count=len(wanted))


def _own(pk: int) -> Property:
    """The definition of that key. One of an account beneath is seen, and its owner's alone to change."""
    found = find(Property, pk)
    return found if found.account_id == current_scope().account_id else abort(403)


def _type_asked_for() -> PropertyType | None:
    asked = request.args.get("type", "")
    return PropertyType(asked) if asked in set(PropertyType) else None


def _types(besides: PropertyType | None = None) -> Any:
    return [(type_.value, str(type_.label), ICONS[type_]) for type_ in PropertyType if type_ is not besides]


# --- doing it, and what is shown afterwards ----------------------------------------------------------------------


def _do(page: FormPage | None, deed: Any, said: str, of: Property | None = None) -> Any:
    """Do it and show the list again; or say no, with everything typed still there."""
    try:
        deed()
        db.session.flush()
    except Refused as refusal:
        db.session.rollback()
        values.forget_definitions()
        if page is None:
            return _page("list", problem=refusal.sentence), 422
        return _refused(page, refusal)
    if of is not None and of.is_being_converted:
        said = _("There are many values; they are being converted.")
    if from_htmx():
        return _page("list", changed=True, said=said)
    flash(said, "success")
    return redirect(url_for("PropertiesView.list"))


def _refused(page: FormPage, refusal: Refused) -> Any:
    found = getattr(refusal, "found", [])
    if refusal.field in page.form:
        page.form[refusal.field].errors = [*page.form[refusal.field].errors, refusal.sentence]
    else:
        page.form.form_errors.append(refusal.sentence)
    return _show(page, misfits=found[:FOUND], more=_and_more(len(found) - FOUND))


def _show(page: FormPage, **said: Any) -> Any:
    wrong = page.form.errors or page.form.form_errors
    return render_template("_form.html" if page.modal else "form.html", page=page, **said), 422 if wrong else 200


def _page(what: str, **said: Any) -> str:
    """The list of properties, or that of types; in the dialog or on a page."""
    if what == "list":
        said |= _listed()
    return render_part(f"_property_{what}.html", **said)


def _listed() -> dict[str, Any]:
    every = values.all_definitions_of(current_scope().account_id)
    live = [definition for definition in every if not definition.is_archived]
    return {
        "lines": [_line(definition, live) for definition in live],
        "archived": [(definition.id, values.label_of(definition)) for definition in every if definition.is_archived],
        "room": len(live) < values.MOST,
        "focus": request.form.get("focus", ""),
        "working": any(definition.is_being_converted for definition in live),
        "may": {name: may(f"property.{name}") for name in ("add", "edit", "archive")},
    }


def _line(definition: Property, live: Any) -> Line:
    ids, place = [str(one.id) for one in live], live.index(definition)
    said = {
        _("required"): definition.required,
        _("not in the table"): not definition.as_column,
        _("visible to the customer"): definition.visible_to_customer,
    }
    return Line(
        definition=definition,
        label=values.label_of(definition),
        type=str(definition.type.label),
        icon=ICONS[definition.type],
        facts=[fact for fact, holds in said.items() if holds],
        up=",".join(_moved(ids, place, place - 1)) if place > 0 else "",
        down=",".join(_moved(ids, place, place + 1)) if place + 1 < len(ids) else "",
        work=_work(definition),
    )


def _work(definition: Property) -> Work | None:
    if definition.conversion_status is None:
        return None
    told = definition.conversion
    return Work(
        to=str(PropertyType(told["to"]["type"]).label),
        percent=min(99, 100 * told["done"] // max(1, told["total"])),
        under_way=definition.is_being_converted,
        misfits=told["found"],
        more=_and_more(told["misfits"] - len(told["found"])),
    )


def _and_more(count: int) -> str:
    return ngettext("and one more", "and %(num)s more", count) if count > 0 else ""


def _moved(ids: Any, place: int, to: int) -> Any:
    moved = [*ids]
    moved.insert(to, moved.pop(place))
    return moved


# --- the form of a definition ------------------------------------------------------------------------------------


class _Held:
    """A definition as its form shows it."""

    def __init__(self, definition: Property) -> None:
        self.__dict__ = {name: getattr(definition, name) for name in _FIELDS}
        self.minimum, self.maximum = as_kept(definition.minimum), as_kept(definition.maximum)
        self.default_value = as_input(definition, values.default_of(definition))


_FIELDS = (
    "label_en", "label_de", "help_en", "help_de", "currency", "max_length", "required", "as_column",
    "visible_to_customer",
)  # fmt: skip


def _form_for(definition: Property) -> type[FlaskForm]:
    """The questions that have a meaning for the type."""
    type_ = definition.type
    body: dict[str, Any] = {
        "label_en": Trimmed(_l("Name in English"), [Length(max=80)]),
        "label_de": Trimmed(_l("Name in German"), [Length(max=80)], description=_l("One of the two is enough.")),
        "help_en": TextAreaField(_l("Help in English"), [Length(max=300)], render_kw={"rows": 2}),
        "help_de": TextAreaField(_l("Help in German"), [Length(max=300)], render_kw={"rows": 2}),
    }
    body |= _currency(type_)
    if type_.has_limits:
        body["minimum"] = input_for(definition, _l("Minimum"), checked=False)
        body["maximum"] = input_for(definition, _l("Maximum"), checked=False)
    if type_.is_text:
        body["max_length"] = IntegerField(_l("Maximum length"), [Optional(), NumberRange(1, LONGEST)])
    if definition.choices or not type_.has_choices:
        about = _l("Proposed when an account is added.")
        body["default_value"] = input_for(definition, _l("Proposed value"), checked=False)
        body["default_value"].kwargs["description"] = about
    body["required"] = BooleanField(_l("Required"))
    body["as_column"] = BooleanField(_l("Shown as a column"))
    body["visible_to_customer"] = BooleanField(_l("Visible to the customer"))
    return type("PropertyForm", (FlaskForm,), body)


def _conversion_form(draft: Property) -> type[FlaskForm]:
    return type("ConversionForm", (FlaskForm,), _currency(draft.type))


def _currency(type_: PropertyType) -> dict[str, Any]:
    return {"currency": SelectField(_l("Currency"), choices=currencies)} if type_ is PropertyType.MONEY else {}


def _converted(definition: Property, type_: PropertyType) -> Property:
    """What the conversion's form starts from: with choices, those there are or the words found in the table."""
    draft = Property(type=type_, account_id=definition.account_id, currency=me().account.currency, choices=[])
    if type_.has_choices:
        found = definition.choices or [{"label_en": word, "label_de": word} for word in properties.words_of(definition)]
        draft.choices = found
    return draft


def _facts(definition: Property, form: Any) -> dict[str, Any]:
    """What the form says, as the verbs take it."""
    facts = {name: form[name].data for name in _FIELDS if name in form}
    facts |= {name: form[name].data for name in ("minimum", "maximum") if name in form}
    if "default_value" in form:
        facts["default_value"] = from_input(definition, form["default_value"].data)
    if definition.type.has_choices:
        facts["choices"] = _choices_typed()
    return facts


def _choices_typed() -> Any:
    columns = [request.form.getlist(f"choice_{name}") for name in ("key", "en", "de")]
    return [{"key": key, "label_en": en, "label_de": de} for key, en, de in zip(*columns, strict=False)]


def _form_page(title: str, url: str, form: Any, definition: Property) -> FormPage:
    shown = [field for field in form if field.type != "CSRFTokenField"]
    flags = [field for field in shown if field.type == "BooleanField"]
    groups = [FieldGroup("", [field for field in shown if field not in flags])]
    choices = []
    if definition.type.has_choices:
        choices = _choices_typed() if request.method == "POST" else [*definition.choices]
        choices += [{}] * BLANK_CHOICES
    return FormPage(
        title=title,
        url=url,
        form=form,
        groups=[*groups, FieldGroup("", flags)] if flags else groups,
        submit_label=_("Save"),
        cancel_url=url_for("PropertiesView.list"),
        modal=from_htmx(),
        extra="_property_extra.html",
        more={"choices": choices},
        within=True,
    )
