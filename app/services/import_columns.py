"""What a column of an imported file may be: by which header it is known, what its cells mean, where they go (X-3).

Values are compared, told and kept as the database keeps them: texts and codes as they are, properties as
`property_types` keeps them. A cell is what `sheet_reader` makes of one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, cached_property, partial
from typing import Any

from babel.numbers import NumberFormatError, parse_decimal
from email_validator import EmailNotValidError, validate_email
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import inspect

from .. import properties, regions, tokens
from .. import property_types as types
from ..errors import Refused
from ..models import Account, Property, PropertyType

ID, PARENT, VAT_ID = "id", "parent", "vat_id"
ID_LABEL = "Kontor ID"  # the same in both languages, so that a file is known again in the other one
LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Column:
    """One thing a column can be."""

    key: str
    names: tuple[str, ...]  # its labels in all languages
    label: str
    definition: Property | None = None
    read: Callable[[Any], Any] = lambda cell: cell  # the kept value a cell means; raises `Refused` where it means none
    again: Callable[[Any], Any] = lambda kept: kept  # a property's kept value, if it still may be; or raises `Refused`
    say: Callable[[Any], str] = lambda kept: str(kept or "")
    required: bool = False

    def now(self, account: Account) -> Any:
        """What the account has there."""
        if self.definition is not None:
            return (account.properties or {}).get(self.kept_under)
        return getattr(account, self.key)

    @cached_property
    def kept_under(self) -> str:
        """A property's key among an account's values."""
        return str(self.definition.id)

    def told(self, kept: Any) -> Any:
        """The value as history tells it."""
        return properties.told(self.definition, kept) if self.definition is not None else kept


def columns_for(account_id: int) -> dict[str, Column]:
    """Everything a column can be in a file for the accounts beneath that one."""
    own = properties.definitions_of(account_id)
    found = [*_facts(), *(_property(definition) for definition in own)]
    return {column.key: column for column in found}


def guess(header: list[str], columns: dict[str, Column]) -> list[str]:
    """For each title of the header the column it most likely is; empty where it is none or its column is taken."""
    known: dict[str, list[str]] = {}
    for column in columns.values():
        for name in {_folded(name) for name in (*column.names, column.key)}:
            known.setdefault(name, []).append(column.key)
    mapping: list[str] = []
    for title in header:
        free = (key for key in known.get(_folded(title), []) if key not in mapping)
        mapping.append(next(free, ""))
    return mapping


def is_only_shown(title: str) -> bool:
    """Whether an export has such a column that an import leaves alone."""
    return _folded(title) in {_folded(name) for label in _ONLY_SHOWN for name in in_all_languages(label)}


_ONLY_SHOWN = (_l("Kind"), _l("Status"), _l("Created"), _l("Archived"))


def in_all_languages(label: Any) -> tuple[str, ...]:
    """A title as exports in either language have it."""
    found = []
    for language in LANGUAGES:
        with force_locale(language):
            found.append(str(label))
    return tuple(found)


def _folded(title: str) -> str:
    return re.sub(r"[\W_]+", " ", title.casefold()).strip()


# --- the account's own facts -------------------------------------------------------------------------------------


def _facts() -> list[Column]:
    return [
        Column(ID, (ID_LABEL, "Kontor-ID"), _("Kontor ID")),
        _text("name", _l("Name"), "Account", "Konto", "Company", "Firma", "Customer", "Kunde", required=True),
        Column(PARENT, in_all_languages(_l("Beneath")), _("Beneath"), read=line),
        _text("contact", _l("Contact"), "Ansprechpartner", "Kontakt"),
        Column("email", ("Email", "Mail", *in_all_languages(_l("E-mail"))), _("E-mail"), read=_email),
        _text("phone", _l("Phone"), "Telephone", "Tel", "Rufnummer", tidy=types.phone_number),
        _text("street", _l("Street and number"), "Street", "Straße", "Address", "Adresse"),
        _text("postal_code", _l("Postal code"), "Postcode", "ZIP", "ZIP code", "PLZ"),
        _text("city", _l("City"), "Town", "Stadt", "Ort"),
        one_of("country", _l("Country"), regions.countries),
        _text("website", _l("Web site"), "Website", "Homepage", "Webseite", tidy=types.web_address),
        _text(VAT_ID, _l("VAT ID"), "VAT number", "USt-ID", "USt-IdNr", "Umsatzsteuer-ID"),
        one_of("language", _l("Language"), regions.languages, required=True),
        one_of("time_zone", _l("Time zone"), _zones, required=True),
        one_of("currency", _l("Currency"), regions.currencies, required=True),
    ]


def _text(name: str, label: Any, *names: str, required: bool = False,
          tidy: Callable[[str], str] = lambda text: text) -> Column:  # fmt: skip
    longest = inspect(Account).columns[name].type.length

    def read(cell: Any) -> str:
        text = tidy(line(cell))
        if len(text) > longest:
            raise Refused(_("At most %(count)s characters.", count=longest))
        return text

    return Column(name, (*in_all_languages(label), *names), str(label), read=read, required=required)


def one_of(
    name: str, label: Any, choices: Callable[[str], dict[str, str]], *, required: bool = False
) -> Column:
    """A column of codes, which people write as a code or by its name in any language."""
    said = [pair for language in LANGUAGES for pair in choices(language).items()]
    codes = {text.casefold(): code for code, name in said for text in (code, name)}

    def read(cell: Any) -> str:
        code = codes.get(line(cell).casefold())
        if code is None:
            raise Refused(_("“%(text)s” is not known here.", text=line(cell)[:40]))
        return code

    def say(kept: Any) -> str:
        return choices(types.language()).get(kept, kept or "")

    return Column(name, in_all_languages(label), str(label), read=read, say=say, required=required)


def _zones(_language: str) -> dict[str, str]:
    return {zone: zone.replace("_", " ") for zone in regions.TIME_ZONES}


def _email(cell: Any) -> str:
    text = line(cell).lower()
    if types.is_plain_address(text):
        return text
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise Refused(_("This is not an e-mail address.")) from error
    return text


def line(cell: Any) -> str:
    return " ".join(as_text(cell).split())


def as_text(cell: Any) -> str:
    """What a cell says, as a text."""
    match cell:
        case None:
            return ""
        case bool():
            return _("Yes") if cell else _("No")
        case int() | float():
            return f"{number(cell):f}"
        case {"d": day}:
            return day
        case {"t": moment}:
            return moment
    return str(cell).replace("\x00", "")


def number(cell: float) -> Decimal:
    """The number a spreadsheet shows: doubles have 15 digits that mean something."""
    return Decimal(f"{cell:.15g}")


# --- properties --------------------------------------------------------------------------------------------------


def _property(definition: Property) -> Column:
    checker = cache(partial(types.checker_of, definition))  # made when the first value is checked
    made = types.value_maker(definition)

    def read(cell: Any) -> Any:
        return checker()(_value(definition, cell))

    def again(kept: Any) -> Any:
        return checker()(kept if kept is None or made is None else made(kept))

    def say(kept: Any) -> str:
        return types.as_text(definition, types.from_kept(definition, kept))

    return Column(
        key=f"prop_{definition.id}",
        names=(definition.label_en, definition.label_de, definition.key),
        label=properties.label_of(definition),
        definition=definition,
        read=read,
        again=again,
        say=say,
        required=definition.required,
    )


def _value(definition: Property, cell: Any) -> Any:
    """The value a cell of that column means, whether typed or written out."""
    type_ = definition.type
    if type_ is PropertyType.DATE and isinstance(cell, dict):
        if "t" in cell:
            raise Refused(_("Not a date."))
        return date.fromisoformat(cell["d"])
    if type_ is PropertyType.FLAG and isinstance(cell, bool | int | float) and cell in (0, 1):
        return bool(cell)
    if type_.is_number and isinstance(cell, int | float) and not isinstance(cell, bool):
        return number(cell)
    text = as_text(cell)
    return text if type_.is_text else _written(definition, text)


def _written(definition: Property, text: str) -> Any:
    """Numbers are taken in the other language's way, too, where they mean nothing in one's own."""
    try:
        return types.read(definition, text)
    except Refused:
        if not definition.type.is_number:
            raise
        other = "en" if types.language().startswith("de") else "de"
        try:
            return parse_decimal(text.strip().replace("\u00a0", ""), locale=other, strict=True)
        except NumberFormatError as error:
            raise Refused(_("Not a number.")) from error


# --- the ID of a row ---------------------------------------------------------------------------------------------

_SIGNED = 12  # bytes of the signature


def id_of(account: Account, *, owner_id: int, at: datetime) -> str:
    """What stands in an export's ID column: which account the row is, for whom and when it was written, signed."""
    return ids_for(owner_id=owner_id, at=at)(account.id)


def ids_for(*, owner_id: int, at: datetime) -> Callable[[int], str]:
    """The same for a file of many: makes the ID of an account's number."""
    seconds, sign = f"{int(at.timestamp()):x}", _signer(owner_id)

    def made(number: int) -> str:
        stamp = f"{number}-{seconds}"
        return f"{stamp}-{sign(stamp)}"

    return made


def id_reader(owner_id: int) -> Callable[[str], tuple[int, datetime] | None]:
    """What reads the IDs of a file's rows: the account's number and the moment of the export; `None` for an ID that
    was not made here for that account."""
    sign = _signer(owner_id)

    def read(text: str) -> tuple[int, datetime] | None:
        stamp, _dash, signature = text.strip().rpartition("-")
        if not re.fullmatch(r"[0-9]{1,10}-[0-9a-f]{1,10}", stamp, re.ASCII):
            return None
        if not hmac.compare_digest(signature.encode(), sign(stamp).encode()):
            return None
        number, seconds = stamp.split("-")
        return int(number), datetime.fromtimestamp(int(seconds, 16), UTC)

    return read


def _signer(owner_id: int) -> Callable[[str], str]:
    """The signature of a stamp. Copies of a hash that has the key take half the time of hashing it anew."""
    keyed = hashlib.blake2b(key=tokens.derived(f"rows of {owner_id}").encode(), digest_size=_SIGNED)

    def sign(stamp: str) -> str:
        signed = keyed.copy()
        signed.update(stamp.encode())
        return signed.hexdigest()

    return sign
