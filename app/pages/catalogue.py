"""The catalogue's articles and license types, which the operator writes and everybody reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import select

from ..errors import Refused
from ..extensions import db
from ..models import Article, ArticlePrice, LicenseType, sort_key
from ..services import catalog
from ..ui.acting import me
from ..ui.archived import CatalogueView, archiving
from ..ui.columns import Field, changed
from ..ui.formats import read_whole_number, shown
from ..ui.interface import Table
from ..ui.page import Cell, Fact, FieldGroup, FormPage, Section
from .prices import PricedView, prices_in_words

BLANK_GRANTS = 2  # offered besides those there are


class ArticlesView(PricedView):
    """What the operator sells, and what each article grants; partners read it (M-11, M-12)."""

    route_base = "/articles"
    datamodel = Table(Article)
    noun = "article"
    prices_of = ArticlePrice
    list_title = _l("Articles")
    list_lead = _l("What accounts can acquire. What an article grants becomes licenses of the account.")
    show_title = _l("Article")
    add_title = add_label = _l("Add article")
    include_route_methods = CatalogueView.include_route_methods | {"show", "price"}
    label_columns = {
        "number": _l("Article number"),
        "name": _l("Name"),
        "price": _l("Price of one"),
        "granted": _l("Grants"),
        "name_en": _l("Name in English"),
        "name_de": _l("Name in German"),
        "description": _l("Description"),
        "description_en": _l("Description in English"),
        "description_de": _l("Description in German"),
        "created_at": _l("Created"),
        "archived_at": _l("Archived"),
    }
    help_columns = {
        "number": _l("Your own, or left empty to be given one."),
        "name_de": _l("One of the two is enough."),
    }
    list_columns = ["name", "number", "price", "granted", "created_at"]
    more_columns = ("description", "archived_at")
    add_columns = edit_columns = ["number", "name_en", "name_de", "description_en", "description_de"]
    search = ("name", "number")
    sections = (("overview", _l("Overview"), ("name", "number", "created_at", "description")),)
    related = (("accounts", _l("Accounts that have it"), "HoldingsView", "article_id"),)
    empty_title = _l("No articles yet")
    empty_text = _l("Define license types first, then articles that grant them.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        granted = {"value": lambda article: " · ".join(map(_grant_in_words, article.grants))}
        price = {"value": prices_in_words}
        return changed(super().fields(names), granted=granted, price=price, description={"kind": "long"})

    def _sections(self, row: Article) -> Any:
        overview, *rest = super()._sections(row)
        facts = [
            Fact(grant.type.name, Cell(f"{shown(grant.quantity, 'number')} {grant.type.unit}")) for grant in row.grants
        ]
        lead = _("For each piece.") if facts else _("Nothing: it is sold, but gives no rights.")
        return [overview, Section("grants", _("Grants"), facts, lead=lead), *rest]

    def field_groups(self, fields: Any) -> Any:
        named = [field for field in fields if not field.name.startswith("description")]
        return [FieldGroup("", named), FieldGroup("", [field for field in fields if field not in named])]

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        """Besides the fields: a line for each license type it grants."""
        page = super()._form_page(form, title, url, name)
        pk = request.view_args.get("pk")
        types = list(db.session.scalars(select(LicenseType)))
        more = {"grants": _grants_asked(pk), "types": _types_offered(types)}
        return replace(page, extra="_article_grants.html", more=more)

    def create(self, form: Any) -> Article:
        return catalog.define_article(**self._facts(form))

    def change(self, row: Article, form: Any) -> None:
        catalog.change_article(row, **self._facts(form))

    def _facts(self, form: Any) -> dict[str, Any]:
        return {name: form[name].data for name in self.add_columns} | {"grants": _grants_typed(), "by": me()}

    archive, restore = archiving(
        confirm=_l("Archive these articles? They can be given no longer; whoever has them keeps them."),
        confirm_one=_l("Archive “%(name)s”? It can be given no longer; whoever has it keeps it."),
        archived=lambda num: ngettext("One article was archived.", "%(num)s articles were archived.", num),
        restored=lambda num: ngettext("One article was restored.", "%(num)s articles were restored.", num),
    )


class LicenseTypesView(CatalogueView):
    """The kinds of rights there are, and how strictly they are counted (M-13)."""

    route_base = "/license-types"
    datamodel = Table(LicenseType)
    noun = "license_type"
    list_title = _l("License types")
    list_lead = _l("The rights articles can grant, and what happens when a license is used up.")
    add_title = add_label = _l("Add license type")
    label_columns = {
        "name": _l("Name"),
        "key": _l("Key"),
        "unit": _l("Unit"),
        "policy": _l("Policy"),
        "overage_percent": _l("Tolerated overage in %"),
        "name_en": _l("Name in English"),
        "name_de": _l("Name in German"),
        "unit_en": _l("Unit in English"),
        "unit_de": _l("Unit in German"),
    }
    help_columns = {
        "key": _l("Its name in the API; it cannot be changed later."),
        "name_de": _l("One of the two is enough."),
        "unit_en": _l("What is counted, in the plural: assets, users, GB."),
        "policy": _l("Above the quantity “Hard” refuses, “Soft” only warns, “Overage” tolerates some more."),
        "overage_percent": _l("1 to 100; needed for the policy “Overage” alone."),
    }
    list_columns = ["name", "key", "unit", "policy", "overage_percent"]
    edit_columns = ["name_en", "name_de", "unit_en", "unit_de", "policy", "overage_percent"]
    add_columns = ["key", *edit_columns]
    search = ("name", "key", "unit")
    empty_title = _l("No license types yet")
    empty_text = _l("Add what your accounts may do so much of: create assets, connect data loggers, add users.")

    def create(self, form: Any) -> LicenseType:
        return catalog.define_license_type(by=me(), **{name: form[name].data for name in self.add_columns})

    def change(self, row: LicenseType, form: Any) -> None:
        catalog.change_license_type(row, by=me(), **{name: form[name].data for name in self.edit_columns})

    archive, restore = archiving(
        confirm=_l("Archive these license types? No article can newly grant them; licenses there are stay."),
        archived=lambda num: ngettext("One license type was archived.", "%(num)s license types were archived.", num),
        restored=lambda num: ngettext("One license type was restored.", "%(num)s license types were restored.", num),
    )


def _grant_in_words(grant: Any) -> str:
    return f"{shown(grant.quantity, 'number')} {grant.type.name}"


def _grants_typed() -> list[tuple[int, int]]:
    """What the lines of an article's form say; empty ones are left out."""
    typed = zip(request.form.getlist("grant_type"), request.form.getlist("grant_quantity"), strict=False)
    found = []
    for type_, quantity in typed:
        if not type_:
            continue
        try:
            found.append((int(type_), read_whole_number(quantity)))
        except ValueError as error:
            raise Refused(_("Say how many of each license type, as a whole number."), field="grants") from error
    return found


def _grants_asked(pk: int | None) -> list[tuple[str, str]]:
    """The lines of an article's form: (number of the license type, quantity as text)."""
    if request.method == "POST":
        lines = zip(request.form.getlist("grant_type"), request.form.getlist("grant_quantity"), strict=False)
        found = [line for line in lines if any(line)]
    else:
        article = db.session.get(Article, pk) if pk else None
        found = [(str(g.type_id), shown(g.quantity, "number")) for g in article.grants] if article else []
    return [*found, *[("", "")] * BLANK_GRANTS]


def _types_offered(types: list[LicenseType]) -> list[tuple[str, str]]:
    """The license types to choose from; archived ones say so, for the articles that grant them."""
    return [(str(type_.id), _type_in_words(type_)) for type_ in sorted(types, key=lambda one: sort_key(one.name))]


def _type_in_words(type_: LicenseType) -> str:
    words = {"name": type_.name, "unit": type_.unit}
    return _("%(name)s (%(unit)s), archived", **words) if type_.is_archived else _("%(name)s (%(unit)s)", **words)
