"""The quick search: what it finds is what stands there, however it was written and whoever asks."""

from __future__ import annotations

import random

import pytest
from flask import current_app
from sqlalchemy import event, insert, select, text
from werkzeug.datastructures import MultiDict

from app import clock, properties
from app.extensions import db, found_by_parts, having_parts
from app.models import Account, Consent, Kind, PropertyType, PropertyValue, Role, SearchedText, sort_key, words_of
from app.services import moves
from app.services import properties as verbs
from app.tenancy import unscoped
from app.ui import finding
from app.ui.listing import Listing
from app.ui.properties import columns
from app.views import AccountsView
from tests import cast, linking
from tests.cast import ALICE, CHARLIE, DORA, FRIDA, account_id, acting_as

ODD = [
    'say "hello"', "50 % off", "a_b", "back\\slash", "Größe straße", "日本語の名前", "{brace,d}", "O'Neil & Söhne",
    "\x01\x02\x03",
]  # fmt: skip


@pytest.fixture
def hobby(app):
    """A property of Alice's, and a long text that Küstenfunk has of it."""
    with acting_as(ALICE) as by:
        own = verbs.define(PropertyType.LONG, by=by, label_en="Hobby")
        know(own, "kuestenfunk", f"Segeln und Klönen {'x' * 250} am Ende")
        return own.id


def know(definition, slug, value):
    properties.write(db.session.scalar(select(Account).where(Account.slug == slug)), {definition: value})
    db.session.flush()


def asked(query):
    """The list of accounts as the page has it."""
    acting = db.session.info["scope"].account_id
    view = next(view for view in current_app.appbuilder.baseviews if type(view) is AccountsView)
    fields = super(AccountsView, view).fields() | columns(properties.definitions_of(acting))
    left_out = (Account.id == acting, Account.archived_at.is_not(None))
    return Listing(Account, fields, ("name",), MultiDict(query), "", tuple(~one for one in left_out), left_out)


def found(person, words, **more):
    with acting_as(person):
        listing = asked({"q": words, "size": "100", **more})
        rows = [row.slug for row in listing.turn_to_page()]
        assert listing.count() == len(rows)
        return sorted(rows)


def many(slug, names):
    """Customers beneath that account, poured in past the services."""
    with unscoped("many accounts") as session:
        home = session.scalar(select(Account).where(Account.slug == slug))
        session.connection().execute(insert(Account.__table__), [
            {"id": number, "parent_id": home.id, "path": f"{home.path}{number:08}/", "kind": Kind.CUSTOMER,
             "slug": f"many-{number}", "name": name, "name_key": name.casefold(), "name_sort": sort_key(name),
             "words": words_of(name), "country": "", "contact": "", "email": "", "language": "en", "time_zone": "UTC",
             "currency": "EUR", "created_at": clock.now(), "second_factor_required": False, "properties": {}}
            for number, name in enumerate(names, 1000)
        ])  # fmt: skip


def texts_kept():
    """The texts the search knows, and those there are."""
    with unscoped("comparing texts", writes=False) as session:
        kept = session.execute(
            select(SearchedText.account_id, SearchedText.account_path, SearchedText.definition_id, SearchedText.words)
        )
        own = session.execute(select(Account.id, Account.path, Account.words))
        values = session.execute(
            select(PropertyValue.account_id, PropertyValue.account_path, PropertyValue.definition_id,
                   PropertyValue.rest, PropertyValue.text).where(PropertyValue.text.is_not(None))
        )  # fmt: skip
        there = [(id_, path, None, words) for id_, path, words in own]
        there += [(id_, path, definition, rest or text) for id_, path, definition, rest, text in values]
        return sorted(map(str, kept)), sorted(map(str, there))


# --- what it finds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["Küstenfunk", "kusten", "TENFU", "info@kuesten", "klönen", "SEGELN", "xxx am ende", "se", "k"]
)
def test_a_text_is_found_wherever_it_stands(hobby, words):
    assert "kuestenfunk" in found(ALICE, words)


@pytest.mark.parametrize("words", ["kustenfunker", "segeln klonen", "ende am", "zzz", "qx", "\x01\x02\x03", '"', "%"])
def test_what_stands_nowhere_is_not_found(hobby, words):
    assert found(ALICE, words) == []


def test_every_piece_of_odd_words_is_found_and_nothing_else(app):
    many("nordlicht", ODD)
    dice = random.Random(5)
    for name in ODD:
        folded = sort_key(name)
        for size in (1, 2, 3, 4, 7, len(folded)):
            start = dice.randrange(max(1, len(folded) - size + 1))
            piece = folded[start : start + size]
            if piece.strip() == piece and piece:
                wanted = [f"many-{n}" for n, one in enumerate(ODD, 1000) if piece in words_of(one)]
                assert [slug for slug in found(ALICE, piece) if slug.startswith("many")] == wanted, piece


def test_a_choice_is_found_by_its_label_beside_texts(app):
    with acting_as(ALICE) as by:
        choices = [{"label_en": "Leuchtfeuer", "label_de": "Leuchtfeuer"}, {"label_en": "Other", "label_de": "Anderes"}]
        thing = verbs.define(PropertyType.CHOICE, by=by, label_en="Thing", choices=choices)
        know(thing, "kuestenfunk", "leuchtfeuer")
    many("nordlicht", ["Leuchtfeuer Wartung"])

    assert found(ALICE, "leuchtfeu") == ["kuestenfunk", "many-1000"]


def test_contacts_are_not_found_by_whom_they_are_masked_to(app):
    viewer = cast.hire("vera@nordlicht.example", "nordlicht", Role.VIEWER)

    assert found(ALICE, "info@kuestenfunk") == ["kuestenfunk"]
    assert found(viewer, "info@kuestenfunk") == []
    assert found(viewer, "kustenfunk") == ["kuestenfunk"]


@pytest.mark.parametrize("most", [2, 500])
def test_filters_and_the_search_are_met_together(hobby, monkeypatch, most):
    monkeypatch.setattr(finding, "LOOKED", most)
    many("nordlicht", [f"Segeln {n}" for n in range(9)])

    assert found(ALICE, "segeln", _flt_0_name="Segeln 3") == ["many-1003"]
    assert found(ALICE, "segeln", **{f"_flt_0_prop_{hobby}": "Ende"}) == ["kuestenfunk"]
    assert len(found(ALICE, "segeln", **{f"_flt_0_prop_{hobby}": "~empty"})) == 9


# --- what follows ------------------------------------------------------------------------------------------------


def test_the_texts_follow_what_is_written(hobby):
    with acting_as(ALICE):
        db.session.scalar(select(Account).where(Account.slug == "kuestenfunk")).name = "Hafenfunk"
        know(properties.definitions_of(account_id("nordlicht"))[0], "kuestenfunk", "Angeln")

    assert found(ALICE, "hafenf") == found(ALICE, "angeln") == ["kuestenfunk"]
    assert found(ALICE, "tenfunk") == ["kuestenfunk"]  # its address
    assert found(ALICE, "segeln") == []
    kept, there = texts_kept()
    assert kept == there

    with acting_as(ALICE):
        know(properties.definitions_of(account_id("nordlicht"))[0], "kuestenfunk", None)
    assert found(ALICE, "angeln") == []


def test_the_texts_go_where_their_account_goes(hobby):
    with acting_as(DORA) as by:
        moves.move(cast.account_called("kuestenfunk"), to=cast.account_called("alpenwerk"), by=by)

    assert found(ALICE, "kustenf") == found(ALICE, "segeln") == []
    assert found(CHARLIE, "kustenf") == ["kuestenfunk"]
    assert found(CHARLIE, "segeln") == []
    kept, there = texts_kept()
    assert kept == there


def test_the_texts_of_a_row_that_goes_go_with_it(app):
    many("nordlicht", ["Kurzlebig"])
    with unscoped("taking it away again") as session:
        session.execute(text("DELETE FROM account WHERE id = 1000"))

    kept, there = texts_kept()
    assert kept == there
    assert found(ALICE, "kurzlebig") == []


# --- the wall ----------------------------------------------------------------------------------------------------


def test_nobody_finds_what_is_not_theirs_to_see(hobby):
    assert found(CHARLIE, "kustenfunk") == found(FRIDA, "segeln") == []
    assert found(DORA, "segeln") == []  # what Alice knows, Alice knows
    assert found(DORA, "kustenfunk") == ["kuestenfunk"]


def test_a_client_by_consent_is_found_with_those_beneath(app):
    with acting_as(CHARLIE):
        before = asked({}).count()
    linking.link(CHARLIE, "bob@kuestenfunk.example", Consent.VIEW)

    assert before
    assert found(CHARLIE, "kustenfunk") == ["kuestenfunk"]
    assert found(CHARLIE, "gletscher") == ["gletscherbau"]


def test_the_index_of_parts_gives_nothing_away(hobby, database):
    """Asked directly, with parts that foreign texts have."""
    parts = ["kus", "ten"]
    with acting_as(CHARLIE):
        if database == "postgresql":
            assert db.session.scalars(select(found_by_parts(parts, "kustenfunk", [hobby], 10).c.key)).all() == []
        rows = having_parts(parts)
        statement = select(SearchedText.words).join_from(rows, SearchedText, SearchedText.id == rows.c.rowid)
        if database == "sqlite":
            assert db.session.scalars(statement).all() == []
        assert {one.account_id for one in db.session.scalars(select(SearchedText))} == {
            account_id("alpenwerk"), account_id("gletscherbau"),
        }  # fmt: skip


# --- many rows ---------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(app):
    """4,000 accounts: half of them are called harbor, and one of them lantern, the last by name."""
    names = [f"{'Harbor' if n % 2 else 'Meadow'} {n:04} {'zz' if n > 3989 else 'aa'}" for n in range(3_999)]
    many("nordlicht", [*names, "Zzz Lantern"])
    with db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def page(query):
    with acting_as(ALICE):
        listing = asked(query)
        statements = []

        def note(_connection, _cursor, statement, parameters, _context, _many):
            statements.append((statement, parameters))

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            names = [row.name for row in listing.turn_to_page()]
            summary = listing.paging().summary
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
        connection = db.session.connection().execution_options(walled=True)
        plans = ["\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, values))
                 for statement, values in statements]  # fmt: skip
        return names, summary, plans


def test_little_is_looked_up_in_the_index_of_parts(crowd, database):
    names, summary, plans = page({"q": "lantern"})

    assert (names, summary) == (["Zzz Lantern"], "1–1 of 1")
    assert len(plans) <= 3
    if database == "sqlite":
        assert "VIRTUAL TABLE" in plans[0] and "SEARCH searched_text USING INTEGER PRIMARY KEY" in plans[0]
        assert not any("ix_account_words" in plan for plan in plans)
    else:
        assert "Function Scan on found_by_parts" in plans[0]


def test_postgresql_uses_the_index_below_row_level_security(crowd, database):
    if database == "sqlite":
        pytest.skip("SQLite has another index")
    with acting_as(ALICE):
        connection = db.session.connection().execution_options(walled=True)
        connection.exec_driver_sql("SELECT set_config('kontor.sought', '{lan,ern}', true)")
        asking = "EXPLAIN SELECT account_id FROM searched_text WHERE strpos(words, 'lantern') > 0 LIMIT 9"
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(asking))

    assert "Bitmap Index Scan on ix_searched_text_parts" in plan


def test_much_is_met_on_the_way_and_not_counted(crowd):
    names, summary, plans = page({"q": "harbor"})
    assert names == [f"Harbor {n:04} aa" for n in range(1, 50, 2)]
    assert summary == "1–25 of 500+"
    assert len(plans) <= 4

    names, summary, _plans = page({"q": "harbor", "page": "3"})
    assert names == [f"Harbor {n:04} aa" for n in range(101, 150, 2)]

    names, summary, _plans = page({"q": "harbor", "count": "all"})
    assert summary == "1–25 of 1,999"


def test_what_is_often_found_but_far_behind_is_found_all_the_same(crowd, monkeypatch):
    monkeypatch.setattr(finding, "STEPS", 100)
    names, summary, _plans = page({"q": "meadow"})  # every harbor stands before it

    assert names == [f"Meadow {n:04} aa" for n in range(0, 50, 2)]
    assert summary == "1–25 of 2,000"


def test_pages_far_behind_and_other_orders_are_of_all_that_is_found(crowd):
    names, summary, _plans = page({"q": "harbor", "page": "80"})
    assert names[-1] == "Harbor 3997 zz" and len(names) == 24
    assert summary == "1,976–1,999 of 1,999"

    names, summary, _plans = page({"q": "harbor", "sort": "-city"})
    assert len(names) == 25 and summary == "1–25 of 1,999"


def test_the_next_page_begins_where_the_last_one_ended(crowd):
    with acting_as(ALICE):
        first = asked({"q": "harbor"})
        first.turn_to_page()
        after = first.next_after

    names, _summary, _plans = page({"q": "harbor", "page": "2", "after": after})
    assert names == [f"Harbor {n:04} aa" for n in range(51, 100, 2)]


def test_short_words_are_looked_for_in_all_words(crowd):
    assert page({"q": "zz"})[:2] == (
        ["Harbor 3991 zz", "Harbor 3993 zz", "Harbor 3995 zz", "Harbor 3997 zz",
         "Meadow 3990 zz", "Meadow 3992 zz", "Meadow 3994 zz", "Meadow 3996 zz", "Meadow 3998 zz", "Zzz Lantern"],
        "1–10 of 10",
    )  # fmt: skip
    assert page({"q": "a"})[1] == "1–25 of 500+"


def test_counting_all_is_asked_once(crowd, monkeypatch):
    monkeypatch.setattr(finding, "COUNTED", 100)
    _names, summary, plans = page({"count": "all"})

    assert summary == "1–25 of 4,004"
    assert len(plans) <= 3, "\n\n".join(plans)


def test_the_longest_account_there_can_be_fits_into_every_index(app):
    """A row of an index has 2,704 bytes on PostgreSQL, and a letter up to four; nothing here can be compressed."""
    dice = random.Random(7)
    longest = {
        column.name: "".join(chr(dice.randrange(0x20000, 0x110000)) for _ in range(column.type.length))
        for column in Account.__table__.columns
        if column.name in {"name", "name_key", "name_sort", "contact", "email", "phone", "website", "city", "words"}
    }
    many("nordlicht", ["Longest"])

    with unscoped("every column filled to its end") as session:
        path = session.scalar(select(Account.path).where(Account.id == 1000))
        row = Account.__table__.update().where(Account.__table__.c.id == 1000)
        session.connection().execute(row.values(longest | {"path": f"{path[:-1]:a<239}/", "kind": Kind.PARTNER}))

    assert found(ALICE, longest["words"][:50]) == ["many-1000"]
