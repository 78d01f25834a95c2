"""What the facts of an account are called, and explained; in its forms, its lists and its history."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

ACCOUNT: dict[str, Any] = {
    "name": _l("Name"),
    "contact": _l("Contact"),
    "email": _l("E-mail"),
    "phone": _l("Phone"),
    "website": _l("Web site"),
    "vat_id": _l("VAT ID"),
    "street": _l("Street and number"),
    "postal_code": _l("Postal code"),
    "city": _l("City"),
    "country": _l("Country"),
    "language": _l("Language"),
    "time_zone": _l("Time zone"),
    "currency": _l("Currency"),
}
ACCOUNT_HELPS: dict[str, Any] = {
    "vat_id": _l("For instance DE136695976; it is checked."),
    "language": _l("Of mails and documents."),
}
