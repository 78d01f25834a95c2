"""An account's own settings, for its administrators; the operator's hold for everybody (section 6)."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..errors import Refused
from ..extensions import db
from ..models import Account, Kind
from ..services import accounts
from ..tenancy import current_scope
from ..ui.fields import form_for
from ..ui.labels import ACCOUNT, ACCOUNT_HELPS
from ..ui.page import FieldGroup, FormPage

LABELS = ACCOUNT | {
    "second_factor_required": _l("Administrators need a second factor"),
    "portal_needs_subscription": _l("The customer portal needs a running subscription"),
}
HELPS = ACCOUNT_HELPS | {
    "second_factor_required": _l("In every account: administrators set it up at their next page."),
    "portal_needs_subscription": _l(
        "As a rule off, so that nobody is locked out before they have one. On: the portal opens to customers with a "
        "subscription that is active or in its free month; others read there whom to ask. Licenses and the API go on."
    ),
}
COMPANY = ["name", "contact", "email", "phone", "website", "vat_id"]
ADDRESS = ["street", "postal_code", "city", "country"]
REGION = ["language", "time_zone", "currency"]
FOR_EVERYBODY = [(_l("Security"), ["second_factor_required"]), (_l("Customer portal"), ["portal_needs_subscription"])]


class SettingsView(BaseView):
    """One form about the acting account itself."""

    route_base = "/settings"
    class_permission_name = "settings"
    default_view = "edit"

    @expose("/", methods=["GET", "POST"])
    @has_access
    def edit(self) -> Any:
        account = db.session.get(Account, current_scope().account_id)
        groups = self._groups(account)
        form = form_for(Account, [name for _title, names in groups for name in names], LABELS, HELPS)(obj=account)
        if request.method == "POST" and form.validate():
            try:
                form.populate_obj(account)
                accounts.accept(account)
            except Refused as refusal:
                db.session.rollback()
                form[refusal.field or "name"].errors = [refusal.sentence]
            else:
                flash(_("The settings were saved."), "success")
                return redirect(url_for("SettingsView.edit"))
        page = FormPage(
            title=_("Settings"),
            url=url_for("SettingsView.edit"),
            form=form,
            groups=[FieldGroup(str(title), [form[name] for name in names]) for title, names in groups],
            submit_label=_("Save"),
            cancel_url=url_for("DashboardView.show"),
            lead=_("What holds for this account."),
        )
        return render_template("form.html", page=page), 422 if form.errors else 200

    def _groups(self, account: Account) -> list[tuple[Any, list[str]]]:
        groups = [(_l("Company"), COMPANY), (_l("Postal address"), ADDRESS), (_l("Region"), REGION)]
        return [*groups, *FOR_EVERYBODY] if account.kind is Kind.OPERATOR else groups
