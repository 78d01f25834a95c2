"""Imports: what a file would change, written as a whole or not at all, undone within the hour (X-3)."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import column, false, func, select, table

from app import clock, importing, jobs, sheets
from app import properties as values
from app.errors import Refused
from app.extensions import db
from app.models import (
    Account,
    AccountImport,
    HoldKind,
    ImportStatus,
    LogEntry,
    Member,
    OwnedByAccount,
    Property,
    PropertyType,
    Role,
    SearchedText,
)
from app.property_types import from_kept
from app.services import accounts, holds, imports, moves, properties
from app.services.import_columns import columns_for, guess, id_of, id_reader
from app.services.import_plan import look
from app.sheets import Sheet
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, CHARLIE, account_called, account_id, acting_as, add_member, apart, hire

T = PropertyType
GOLD = [{"label_en": "Gold", "label_de": "Gold"}, {"label_en": "None", "label_de": "Keine"}]


def sheet(header, *rows):
    return Sheet("Accounts", header, [(number, list(row)) for number, row in enumerate(rows, 2)])


def looked(by, file, **options):
    return look(file, guess(file.header, columns_for(by.account_id)), owner=by.account, **options)


def states(rows):
    return [row.state for row in rows]


def said(row):
    """The errors of a row, each as "cell: sentence"."""
    return [f"{cell}: {sentence}" for cell, sentence in row.errors]


def known(slug, by, at=None):
    """The ID an export would give the account."""
    return id_of(account_called(slug), owner_id=by.account_id, at=at or clock.now())


def upload(file, *, person=ALICE, overwrites=False, clears=False):
    """Upload, look and start; the number of the import that waits for the worker."""
    with acting_as(person) as by:
        mapping = guess(file.header, columns_for(by.account_id))
        import_ = imports.take(file, "file.xlsx", mapping, locale="en", by=by)
        imports.keep(import_, looked(by, file, clears=clears), mapping=mapping, clears=clears)
        imports.start(import_, overwrites=overwrites, by=by)
        return import_.id


def written(file, **options):
    number = upload(file, **options)
    importing.run(number)
    return number


def undone(number, person=ALICE):
    with acting_as(person) as by:
        imports.undo(db.session.get(AccountImport, number), by=by)
    importing.run(number)
    return found(number)


def found(number):
    with unscoped("looking at the test's import", writes=False) as session:
        return session.get(AccountImport, number)


def now(slug):
    with unscoped("looking at the test's account", writes=False) as session:
        return session.scalar(select(Account).where(Account.slug == slug))


# --- what would change -------------------------------------------------------------------------------------------


def test_rows_are_created_changed_or_left_alone(alice):
    with acting_as(alice) as by:
        file = sheet(
            ["Name", "Contact", "Kontor ID"],
            ["Küstenfunk", "Gesa Gerdes", known("kuestenfunk", by)],
            ["Deichbau", None, known("deichbau", by)],
            ["Neufunk", "Somebody", None],
        )
        rows = looked(by, file)

    assert states(rows) == ["changed", "unchanged", "created"]
    assert rows[0].cells == {"contact": ["", "Gesa Gerdes"]}
    assert rows[2].cells == {"name": [None, "Neufunk"], "contact": [None, "Somebody"]}


def test_rows_without_an_id_are_known_by_their_name_beside_their_siblings(alice):
    with acting_as(alice) as by:
        file = sheet(["Name", "Contact"], [" KÜSTENFUNK ", "Gesa"], ["Bergen Sensor", "Beneath Fjordline"])
        rows = looked(by, file)

    assert states(rows) == ["changed", "created"]
    assert rows[0].cells == {"contact": ["", "Gesa"]}


def test_the_account_above_may_be_named(alice):
    with acting_as(alice) as by:
        file = sheet(
            ["Name", "Beneath", "Contact"],
            ["Bergen Sensor", "Fjordline", "Berit"], ["Oslo Sensor", "Fjordline", "Ola"], ["X", "Deichbau", "Y"],
        )  # fmt: skip
        rows = looked(by, file)

    assert states(rows) == ["changed", "created", "error"]
    assert rows[1].parent_id == account_id("fjordline")
    assert said(rows[2]) == ["Accounts!B4: There is no partner named “Deichbau” here."]


def test_an_id_from_elsewhere_is_an_error_in_its_cell(alice):
    with acting_as(CHARLIE) as by:
        charlies = known("gletscherbau", by)
    with acting_as(alice) as by:
        own, deichbau = known("kuestenfunk", by), account_called("deichbau").id
        forged = own.replace(own.split("-")[0], str(deichbau), 1)
        with unscoped("a number of somebody else's", writes=False):
            foreign = id_of(account_called("gletscherbau"), owner_id=by.account_id, at=clock.now())
        ids = (charlies, forged, foreign, "1", "x-y-z", own)
        file = sheet(["Kontor ID", "Contact"], *[[text, "x"] for text in ids])
        rows = looked(by, file)

    assert states(rows) == ["error"] * 5 + ["changed"]
    assert said(rows[0])[0].startswith("Accounts!A2: This is not the ID of an account of yours.")


def test_an_id_is_good_for_the_account_it_was_made_for_alone(alice):
    with acting_as(alice) as by:
        text = known("deichbau", by)

        assert id_reader(by.account_id)(text)[0] == account_id("deichbau")
        assert id_reader(account_id("fjordline"))(text) is None
        assert id_reader(by.account_id)(text + "x") is None


@pytest.mark.parametrize(
    ("header", "cell", "sentence"),
    [
        ("E-mail", "nobody", "This is not an e-mail address."),
        ("Country", "Atlantis", "“Atlantis” is not known here."),
        ("Currency", "Taler", "“Taler” is not known here."),
        ("Contact", "x" * 121, "At most 120 characters."),
        ("Phone", "on request", "Not a phone number."),
        ("Web site", "nowhere", "Not a web address."),
        ("Web site", f"{'x' * 190}.example", "At most 200 characters."),
        ("VAT ID", "DE136695977", "This VAT ID cannot be right: one of its characters must be mistyped."),
        ("Seats", "viele", "Not a number."),
        ("Seats", 1.5, "Not a whole number."),
        ("Until", {"t": "2026-03-31T12:00:00"}, "Not a date."),
        ("Until", 46112.0, "Not a date."),
        ("Level", "Silver", "Not one of the choices."),
        ("Active", "perhaps", "Yes or no."),
    ],
)
def test_an_error_names_its_cell_and_says_why(alice, header, cell, sentence):
    with acting_as(alice) as by:
        define_all(by)
        [row] = looked(by, sheet(["Name", header], ["Deichbau", cell]))

    assert said(row) == [f"Accounts!B2: {sentence}"]


def define_all(by):
    properties.define(T.INTEGER, by=by, label_en="Seats", label_de="Plätze")
    properties.define(T.MONEY, by=by, label_en="Turnover", label_de="Umsatz", currency="EUR")
    properties.define(T.DATE, by=by, label_en="Until", label_de="Bis")
    properties.define(T.CHOICE, by=by, label_en="Level", label_de="Stufe", choices=GOLD)
    properties.define(T.FLAG, by=by, label_en="Active", label_de="Aktiv")
    properties.define(T.TEXT, by=by, label_en="Number", label_de="Nummer")


@pytest.mark.parametrize(
    ("header", "cell", "kept"),
    [
        ("Country", "Deutschland", "DE"), ("Country", "germany", "DE"), ("Country", "de", "DE"),
        ("Time zone", "Europe/Vienna", "Europe/Vienna"), ("Currency", "CHF – Swiss Franc", "CHF"),
        ("Telefon", 4940123456.0, "4940123456"), ("Website", "kontor.example", "https://kontor.example"),
        ("VAT ID", "de 136 695 976", "DE136695976"), ("PLZ", 20457.0, "20457"), ("Ort", "Hamburg", "Hamburg"),
        ("Street", "Kai 1", "Kai 1"), ("Seats", 12.0, "12"), ("Plätze", "1,234", "1234"),
        ("Turnover", 1234.5, "1234.50"), ("Turnover", "1.234,56", "1234.56"), ("Umsatz", "1,234.56", "1234.56"),
        ("Turnover", 0.1 + 0.2, "0.30"),
        ("Until", {"d": "2027-01-31"}, "2027-01-31"), ("Until", "31.01.2027", "2027-01-31"),
        ("Until", "2027-01-31", "2027-01-31"), ("Level", "Keine", "none"), ("Level", "gold", "gold"),
        ("Active", True, True), ("Active", "nein", False), ("Active", 1.0, True),
        ("Number", 4711.0, "4711"), ("Number", "=1+1", "=1+1"),
    ],
)  # fmt: skip
def test_what_people_and_spreadsheets_write_is_understood(alice, header, cell, kept):
    with acting_as(alice) as by:
        define_all(by)
        [row] = looked(by, sheet(["Name", header], ["Deichbau", cell]))

    assert [new for _old, new in row.cells.values()] == [kept], said(row)


def test_a_vat_id_is_one_of_the_country_the_account_will_have(alice):
    with acting_as(alice) as by:
        file = sheet(
            ["Name", "Country", "VAT ID"],
            ["Deichbau", None, "AT U13585627"], ["Küstenfunk", "Austria", "136695976"],
            ["Neufunk", "Germany", "136695976"], ["Altfunk", "Norway", "DE136695977"],
        )  # fmt: skip
        rows = looked(by, file)

    assert states(rows) == ["changed", "error", "created", "error"]
    assert [row.cells["vat_id"] for row in (rows[0], rows[2])] == [["", "ATU13585627"], [None, "DE136695976"]]
    assert said(rows[1])[0].startswith("Accounts!C3: This")


@pytest.mark.parametrize(
    ("number", "becomes", "problems"),
    [("136695976", [["136695976", "DE136695976"]], []),
     ("1234567", [], ["Accounts!B2: This VAT ID is too short or too long."])],
)  # fmt: skip
def test_with_another_country_the_vat_id_is_looked_at_again(alice, number, becomes, problems):
    with acting_as(alice):
        accounts.change(account_called("deichbau"), vat_id=number, country="")
    with acting_as(alice) as by:
        [row] = looked(by, sheet(["Name", "Country"], ["Deichbau", "Germany"]))

    assert [pair for key, pair in row.cells.items() if key == "vat_id"] == becomes
    assert said(row) == problems


def test_of_two_columns_with_one_title_each_finds_its_own(alice):
    with acting_as(alice) as by:
        own = properties.define(T.TEXT, by=by, label_en="City", label_de="Stadt")
        mapping = guess(["Name", "City", "City", "City"], columns_for(by.account_id))

    assert mapping == ["name", "city", f"prop_{own.id}", ""]


def test_an_empty_cell_leaves_the_value_unless_it_is_to_clear_it(alice):
    with acting_as(alice) as by:
        file = sheet(["Kontor ID", "Name", "E-mail"], [known("kuestenfunk", by), None, None])
        left, cleared = looked(by, file), looked(by, file, clears=True)

    assert states(left) == ["unchanged"]
    assert said(cleared[0]) == ["Accounts!B2: Please fill this in."]
    assert cleared[0].cells == {"email": ["info@kuestenfunk.example", ""]}


def test_a_name_cannot_stand_twice(alice):
    with acting_as(alice) as by:
        file = sheet(
            ["Name", "Kontor ID"],
            ["Neufunk", None], ["neufunk", None], ["Deichbau", known("kuestenfunk", by)], ["Küstenfunk", None],
        )  # fmt: skip
        rows = looked(by, file)

    assert states(rows) == ["created", "error", "error", "error"]
    assert said(rows[1]) == ["Accounts!A3: This account stands in row 2 already."]
    assert said(rows[2]) == ["Accounts!A4: There is an account named “Deichbau” here already."]


def test_a_new_account_has_what_the_form_would_propose_and_lacks_nothing_required(alice):
    with acting_as(alice) as by:
        properties.define(T.TEXT, by=by, label_en="Number", label_de="Nummer", required=True)
        properties.define(T.TEXT, by=by, label_en="Source", label_de="Quelle", default_value="Fair")
        rows = looked(by, sheet(["Name", "Number"], ["Neufunk", "7"], ["Altfunk", None]))

    assert [new for _old, new in rows[0].cells.values()] == ["Neufunk", "7", "Fair"]
    assert said(rows[1]) == ["Accounts!B3: Number: Please fill this in."]


def test_an_import_neither_moves_accounts_nor_changes_the_acting_one(alice):
    with acting_as(alice) as by:
        file = sheet(
            ["Kontor ID", "Beneath", "Contact"],
            [known("bergen", by), "Nordlicht", "x"], [known("nordlicht", by), None, "x"],
        )  # fmt: skip
        rows = looked(by, file)

    assert said(rows[0]) == ["Accounts!B2: An import does not move accounts."]
    assert said(rows[1]) == ["Accounts!A3: The account you act in is changed in its settings."]


# --- changed since the export ------------------------------------------------------------------------------------


def test_what_the_file_only_repeats_from_before_a_change_is_left_alone(alice):
    with acting_as(alice) as by:
        define_all(by)
        mark = known("kuestenfunk", by)
    with acting_as(alice):
        account_called("kuestenfunk").email = "new@kuestenfunk.example"
    with acting_as(alice) as by:
        file = sheet(["Kontor ID", "E-mail", "Contact"], [mark, "info@kuestenfunk.example", "Gesa"])
        [row] = looked(by, file)

    assert row.state == "changed"
    assert row.cells == {"contact": ["", "Gesa"]}


def test_what_both_sides_have_changed_is_a_conflict_that_names_who_and_when(alice):
    with acting_as(alice) as by:
        mark = known("kuestenfunk", by)
    frieda = hire("frieda@nordlicht.example", "nordlicht", Role.SALES, "Frieda Falk")
    with acting_as(frieda):
        account_called("kuestenfunk").contact = "Frieda's choice"
    with acting_as(alice) as by:
        [row] = looked(by, sheet(["Kontor ID", "Contact"], [mark, "Alice's choice"]))

    assert row.state == "conflict"
    current, new, who, _when = row.conflicts["contact"]
    assert (current, new, who) == ("Frieda's choice", "Alice's choice", "Frieda Falk")


def test_a_property_changed_on_both_sides_is_a_conflict_too(alice):
    with acting_as(alice) as by:
        define_all(by)
        mark = known("kuestenfunk", by)
    written(sheet(["Name", "Level"], ["Küstenfunk", "Gold"]))
    with acting_as(alice) as by:
        [row] = looked(by, sheet(["Kontor ID", "Level"], [mark, "None"]))

    assert row.state == "conflict"


def test_after_a_large_import_the_database_knows_its_tables_again(alice, database, monkeypatch):
    if database == "sqlite":
        pytest.skip("SQLite looks at its tables when a connection is closed")
    monkeypatch.setattr(importing, "MANY", 2)

    written(sheet(["Name"], ["Hafen"], ["Hallig"]))

    with unscoped("what PostgreSQL believes", writes=False) as session:
        for model in (Account, SearchedText):
            believed = select(column("reltuples")).select_from(table("pg_class"))
            believed = session.scalar(believed.where(column("relname") == model.__tablename__))
            assert believed == session.scalar(select(func.count()).select_from(model))


@pytest.mark.parametrize(("overwrites", "contact"), [(True, "Alice's choice"), (False, "Somebody's choice")])
def test_in_a_conflict_the_person_says_who_wins(alice, overwrites, contact):
    with acting_as(alice) as by:
        mark = known("kuestenfunk", by)
    with acting_as(alice):
        account_called("kuestenfunk").contact = "Somebody's choice"

    written(sheet(["Kontor ID", "Contact"], [mark, "Alice's choice"]), overwrites=overwrites)

    assert now("kuestenfunk").contact == contact


# --- writing it --------------------------------------------------------------------------------------------------


def test_the_whole_file_is_written_with_a_line_of_history_for_each_account_and_one_for_the_import(alice):
    with acting_as(alice) as by:
        define_all(by)
    number = written(sheet(["Name", "Contact", "Seats"], ["Küstenfunk", "Gesa", 12.0], ["Neufunk", "Somebody", 7.0]))

    assert found(number).status is ImportStatus.DONE
    with acting_as(alice) as by:
        new = db.session.scalar(select(Account).where(Account.name == "Neufunk"))
        assert (new.parent_id, new.country, new.language) == (by.account_id, "DE", "de")
        assert db.session.scalar(select(Member.role).where(Member.account_id == new.id)) is Role.ADMINISTRATOR
        lines = [(line.action, line.subject) for line in db.session.scalars(select(LogEntry).order_by(LogEntry.id))]
        for line in [
            ("account.updated", "Küstenfunk"), ("account.properties_changed", "Küstenfunk"),
            ("account.created", "Neufunk"), ("account.properties_changed", "Neufunk"), ("account.imported", ""),
        ]:  # fmt: skip
            assert lines.count(line) == 1, line


def test_a_file_leaves_the_same_rows_in_every_table_as_the_work_of_hands(alice):
    with acting_as(alice) as by:
        define_all(by)
        know(open_by_hand("Hafen", by, contact="Jürgen Groß"), by, "12", None, "Kai")
    header = ["Name", "Contact", "Seats", "Until", "Number"]
    written(sheet(header, ["Hallig", "Jürgen Groß", 12.0, None, "Kai"]))
    assert left_by("Hallig") == left_by("Hafen")

    with acting_as(alice) as by:
        account = db.session.scalar(select(Account).where(Account.name == "Hafen"))
        accounts.change(account, contact="Gesa")
        know(account, by, "12", "2027-01-31", f"Kai {'x' * 300}")
    written(sheet(header, ["Hallig", "Gesa", 12.0, "2027-01-31", f"Kai {'x' * 300}"]))
    by_hand = left_by("Hafen")
    assert left_by("Hallig") == by_hand
    of_each = Counter(row["table"] for row in by_hand)
    assert of_each == {"account": 1, "member": 1, "property_value": 3, "searched_text": 2, "log_entry": 5}


def open_by_hand(name, by, **facts):
    """As the form does."""
    usual = {name: getattr(by.account, name) for name in ("country", "language", "time_zone", "currency")}
    return accounts.open_account(name, parent=by.account, by=by, **usual | facts)


def know(account, by, seats, until, number):
    kept = {"Seats": seats, "Until": until, "Number": number}
    own = {definition.label_en: definition for definition in values.definitions_of(by.account_id)}
    values.write(account, {own[label]: from_kept(own[label], value) for label, value in kept.items()})


def left_by(name):
    """Every row about that account, whatever its table, but for numbers, moments and what is drawn by lot."""

    def nameless(fact):
        return str(fact).replace(name, "…").replace(name.lower(), "…")

    by_lot = {"id", "account_id", "account_path", "subject_id", "path", "slug", "at", "created_at"}
    found = []
    with unscoped("every table, whoever's", writes=False) as session:
        number = session.scalar(select(Account.id).where(Account.name == name))
        for mapper in Account.registry.mappers:
            for row in session.scalars(select(mapper.class_).where(is_about(mapper.class_, number))):
                facts = {key: getattr(row, key) for key in mapper.columns.keys() if key not in by_lot}
                for key, told in ((key, told) for key, told in facts.items() if isinstance(told, dict)):
                    facts[key] = sorted(pair for pair in told.items() if pair[0] not in by_lot)
                found.append({"table": mapper.local_table.name} | {key: nameless(facts[key]) for key in facts})
    return sorted(found, key=str)


def is_about(model, number):
    if model is LogEntry:
        return (model.account_id == number) | (model.subject_type == "account") & (model.subject_id == number)
    if issubclass(model, OwnedByAccount):
        return model.account_id == number
    return model.id == number if model is Account else false()


def test_all_or_nothing(alice):
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"], ["Deichbau", "Dirk"], ["Neufunk", "Nele"]))
    with acting_as(alice):
        account_called("deichbau").contact = "Somebody else"

    importing.run(number)

    assert now("kuestenfunk").contact == ""
    assert found(number).status is ImportStatus.CHECKED
    assert found(number).error == "This has been changed meanwhile: Deichbau: Contact."
    with acting_as(alice):
        assert db.session.scalar(select(Account).where(Account.name == "Neufunk")) is None


def test_a_name_taken_meanwhile_stops_it(alice):
    number = upload(sheet(["Name"], ["Neufunk"], ["Altfunk"]))
    with acting_as(alice) as by:
        accounts.open_account("NEUFUNK", parent=by.account, by=by)

    importing.run(number)

    assert "Neufunk" in found(number).error
    with acting_as(alice):
        assert db.session.scalar(select(Account).where(Account.name == "Altfunk")) is None


def test_a_partner_that_went_meanwhile_stops_it(alice):
    with acting_as(alice) as by:
        partner = accounts.open_account("Sundfunk", parent=by.account, by=by)
        accounts.enable_partner(partner, by=by)
    number = upload(sheet(["Name", "Beneath"], ["Neufunk", "Sundfunk"]))
    with acting_as(alice) as by:
        accounts.disable_partner(db.session.get(Account, partner.id), by=by)

    importing.run(number)

    assert found(number).error.startswith("Sundfunk manages no accounts")


def test_a_partner_moved_out_of_sight_meanwhile_stops_it(alice, dora):
    with acting_as(alice) as by:
        partner = accounts.open_account("Sundfunk", parent=by.account, by=by)
        accounts.enable_partner(partner, by=by)
    number = upload(sheet(["Name", "Beneath"], ["Neufunk", "Sundfunk"]))
    with acting_as(dora) as by:
        moves.move(db.session.get(Account, partner.id), to=account_called("alpenwerk"), by=by)

    importing.run(number)

    assert found(number).error == "This has been changed meanwhile: Neufunk."


def test_an_account_on_hold_imports_nothing(alice, dora):
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))
    with acting_as(dora) as by:
        holds.put_on_hold(account_called("nordlicht"), HoldKind.ADMINISTRATIVE, reason="Papers are missing.", by=by)

    importing.run(number)

    assert found(number).error == "You may no longer import accounts."
    assert now("kuestenfunk").contact == ""


def test_what_is_written_is_tidied_and_found_as_from_the_form(alice):
    file = sheet(
        ["Name", "Web site", "VAT ID", "Phone"],
        ["Küstenfunk", "kuestenfunk.example", "DE 136 695 976", "040 123"],
        ["Neufunk", "neufunk.example", "136 695 976", "040 456"],
    )  # fmt: skip
    written(file)

    with acting_as(alice) as by:
        known = {account.name: account for account in db.session.scalars(select(Account))}
        assert known["Küstenfunk"].vat_id == "DE136695976"
        assert known["Küstenfunk"].website == "https://kuestenfunk.example"
        assert known["Neufunk"].vat_id == "DE136695976"
        assert known["Neufunk"].website == "https://neufunk.example"
        assert "040 456" in known["Neufunk"].words
        assert states(looked(by, file)) == ["unchanged", "unchanged"]


def test_a_choice_that_went_meanwhile_stops_it(alice):
    with acting_as(alice) as by:
        level = properties.define(T.CHOICE, by=by, label_en="Level", label_de="Stufe", choices=GOLD)
    number = upload(sheet(["Name", "Level"], ["Küstenfunk", "Gold"]))
    with acting_as(alice) as by:
        definition = db.session.merge(level)
        properties.change(definition, by=by, choices=[choice for choice in level.choices if choice["key"] != "gold"])

    importing.run(number)

    assert found(number).error == "Not one of the choices."
    assert now("kuestenfunk").properties == {}


def test_a_file_with_errors_is_not_started(alice):
    with pytest.raises(Refused, match="has errors"):
        upload(sheet(["Name", "E-mail"], ["Küstenfunk", "nobody"]))


def test_a_file_that_changes_nothing_is_not_started(alice):
    with pytest.raises(Refused, match="nothing to import"):
        upload(sheet(["Name", "E-mail"], ["Küstenfunk", "info@kuestenfunk.example"]))


def test_it_is_written_once_however_often_and_by_however_many_workers(app, alice):
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))

    workers = [threading.Thread(target=apart, args=(in_context, app, number)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    importing.run(number)

    with acting_as(alice):
        assert len(list(db.session.scalars(select(LogEntry).where(LogEntry.action == "account.imported")))) == 1


def in_context(app, number):
    with app.app_context():
        importing.run(number)


def prepared(number, person=ALICE):
    """What a worker has worked out, and not yet written; how to write it."""
    with unscoped("the test is the worker"):
        attempt = imports.claim(number).attempts
    with acting_as(person, writes=False) as by:
        ready = imports.prepare(number, attempt=attempt, by=by, tell=lambda *_: None)

    def write():
        with acting_as(person) as by:
            imports.write(number, ready, attempt=attempt, by=by)

    return write


@pytest.mark.parametrize("fact", ["contact", "country", "archived_at"])
def test_a_change_while_it_is_prepared_stops_it(alice, fact):
    write = prepared(upload(sheet(["Name", "Contact", "Seats"], ["Küstenfunk", "Gesa", None])))
    with acting_as(alice):
        setattr(account_called("kuestenfunk"), fact, clock.now() if fact.endswith("_at") else "AT")

    with pytest.raises(Refused, match="changed meanwhile: Küstenfunk"):
        write()


def test_a_property_given_while_it_is_prepared_stays_beside_the_new_one(alice):
    with acting_as(alice) as by:
        seats, more = (
            properties.define(T.INTEGER, by=by, label_en=label, label_de=label) for label in ("Seats", "More")
        )
    write = prepared(upload(sheet(["Name", "Seats"], ["Küstenfunk", 12])))
    with acting_as(alice):
        account_called("kuestenfunk").properties = {str(more.id): "5"}

    write()

    assert now("kuestenfunk").properties == {str(more.id): "5", str(seats.id): "12"}


def test_a_property_changed_while_it_is_prepared_stops_it(alice):
    with acting_as(alice) as by:
        seats = properties.define(T.INTEGER, by=by, label_en="Seats", label_de="Plätze")
    write = prepared(upload(sheet(["Name", "Seats"], ["Küstenfunk", 12])))
    with acting_as(alice):
        account_called("kuestenfunk").properties = {str(seats.id): "5"}

    with pytest.raises(Refused, match="changed meanwhile: Küstenfunk: Seats"):
        write()


def test_a_definition_changed_while_it_is_prepared_stops_it(alice):
    with acting_as(alice) as by:
        seats = properties.define(T.INTEGER, by=by, label_en="Seats", label_de="Plätze")
    write = prepared(upload(sheet(["Name", "Seats"], ["Küstenfunk", 12])))
    with acting_as(alice) as by:
        properties.change(db.session.get(Property, seats.id), by=by, maximum=10)

    with pytest.raises(Refused, match="columns of your accounts have changed"):
        write()


def test_a_partner_that_goes_while_it_is_prepared_stops_it(alice):
    with acting_as(alice) as by:
        partner = accounts.open_account("Sundfunk", parent=by.account, by=by)
        accounts.enable_partner(partner, by=by)
    write = prepared(upload(sheet(["Name", "Beneath"], ["Neufunk", "Sundfunk"])))
    with acting_as(alice) as by:
        accounts.archive(db.session.get(Account, partner.id), by=by)

    with pytest.raises(Refused, match="Sundfunk is archived"):
        write()


def test_a_worker_that_dies_leaves_it_to_the_next(alice):
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))
    with unscoped("a worker takes it, and is never heard of again"):
        imports.claim(number)

    importing.run_due()
    assert found(number).status is ImportStatus.IMPORTING

    with clock.back_then(clock.now() + imports.LEASE + timedelta(seconds=1)):
        importing.run_due()
    assert found(number).status is ImportStatus.DONE


def test_a_worker_that_comes_back_too_late_writes_nothing(alice):
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))
    with unscoped("the first takes it"):
        late = imports.claim(number).attempts
    with clock.back_then(clock.now() + imports.LEASE + timedelta(seconds=1)), unscoped("the next has it"):
        imports.claim(number)

    with pytest.raises(imports.Stopped), acting_as(alice) as by:
        imports.prepare(number, attempt=late, by=by, tell=lambda *_: None)

    assert now("kuestenfunk").contact == ""


def test_who_may_no_longer_import_gets_nothing_written(alice):
    mona = hire("mona@nordlicht.example", "nordlicht", Role.MANAGER)
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]), person=mona)
    with unscoped("demoting the test's person") as session:
        member = session.scalar(select(Member).join(Member.user).where(Member.user.has(email=mona.email)))
        member.role = Role.SALES

    importing.run(number)

    assert found(number).error == "You may no longer import accounts."
    assert now("kuestenfunk").contact == ""


# --- undoing it --------------------------------------------------------------------------------------------------


def test_an_import_is_undone_within_the_hour(alice):
    with acting_as(alice) as by:
        define_all(by)
    written(sheet(["Name", "Contact", "Turnover"], ["Küstenfunk", "First", 1.0]))
    number = written(sheet(["Name", "Contact", "Turnover"], ["Küstenfunk", "Gesa", 2.5], ["Neufunk", "Nele", 3.0]))

    assert undone(number).status is ImportStatus.UNDONE

    account = now("kuestenfunk")
    assert account.contact == "First"
    assert list(account.properties.values()) == ["1.00"]
    with acting_as(alice):
        gone = db.session.scalar(select(Account).where(Account.name.startswith("Neufunk")))
        assert gone.is_archived and gone.name != "Neufunk"
    assert states_after_looking(alice, sheet(["Name"], ["Neufunk"])) == ["created"]


def states_after_looking(person, file):
    with acting_as(person) as by:
        return states(looked(by, file))


def test_undoing_is_refused_in_words_where_a_value_has_changed_since(alice):
    number = written(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"], ["Deichbau", "Dirk"]))
    with acting_as(alice):
        account_called("deichbau").contact = "Somebody else"

    after = undone(number)

    assert after.status is ImportStatus.DONE
    assert after.error == "This has been changed meanwhile: Deichbau: Contact."
    assert now("kuestenfunk").contact == "Gesa"


def test_undoing_is_refused_where_a_new_account_is_in_use(alice):
    number = written(sheet(["Name"], ["Neufunk"]))
    with unscoped("somebody moves in") as session:
        new = session.scalar(select(Account).where(Account.name == "Neufunk"))
        add_member("nele@neufunk.example", "Nele Neu", new, Role.VIEWER)

    assert undone(number).error == "This has been changed meanwhile: Neufunk."


def test_undoing_is_refused_where_a_new_account_has_acquired_something(alice):
    number = written(sheet(["Name"], ["Neufunk"]))
    with unscoped("looking for the test's account", writes=False) as session:
        slug = session.scalar(select(Account.slug).where(Account.name == "Neufunk"))
    stock.give(stock.article(), slug)

    assert undone(number).error == "This has been changed meanwhile: Neufunk."


def test_after_an_hour_it_is_too_late(alice):
    number = written(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))

    with clock.back_then(clock.now() + timedelta(minutes=61)), pytest.raises(Refused, match="within an hour"):
        undone(number)


def test_it_is_undone_once(alice):
    number = written(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))
    undone(number)

    with pytest.raises(Refused, match="upload it again"):
        undone(number)


# --- whose it is -------------------------------------------------------------------------------------------------


def test_a_file_is_inside_its_account(alice, frida, dora):
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))

    for stranger in (frida, dora, CHARLIE):
        with acting_as(stranger):
            assert db.session.get(AccountImport, number) is None


def test_a_plan_that_reaches_beyond_the_wall_writes_nothing(alice):
    """Even a plan made by hand cannot reach a stranger's account."""
    number = upload(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))
    with unscoped("tampering with a plan") as session:
        import_ = session.get(AccountImport, number)
        rows = imports.rows_of(import_)
        rows[0].id = session.scalar(select(Account.id).where(Account.slug == "gletscherbau"))
        import_.plan = sheets.packed([vars(row) for row in rows])

    importing.run(number)

    assert now("gletscherbau").contact == ""
    assert found(number).status is ImportStatus.CHECKED


def test_files_are_forgotten_after_a_day(alice):
    number = written(sheet(["Name", "Contact"], ["Küstenfunk", "Gesa"]))

    with clock.back_then(clock.now() + imports.KEPT + timedelta(minutes=1)):
        jobs.clear_away()

    assert found(number) is None
