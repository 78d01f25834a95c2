"""Properties: what each type takes, what conversion keeps, and that the index says what the values say (M-8, M-9)."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from email_validator import validate_email
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app import properties as values
from app import property_types
from app.errors import OutsideScope, Refused
from app.extensions import db
from app.models import Account, LogEntry, Property, PropertyType, PropertyValue
from app.services import properties
from app.services.properties import Misfits
from app.ui.history import changes_in_words
from tests.cast import account_called, acting_as, apart

T = PropertyType
GOLD = [
    {"label_en": "Gold", "label_de": "Gold"},
    {"label_en": "Silver", "label_de": "Silber"},
    {"label_en": "None", "label_de": "Keine"},
]


def define(type_, by, label="Thing", **facts):
    if type_.has_choices:
        facts.setdefault("choices", GOLD)
    return properties.define(type_, by=by, label_en=label, **facts)


def put(definition, value, slug="kuestenfunk"):
    values.write(account_called(slug), {definition: value})
    db.session.flush()


def kept(definition, slug="kuestenfunk"):
    return account_called(slug).properties.get(str(definition.id))


# --- what each type takes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [
        (T.TEXT, "  two \n words ", "two words"),
        (T.LONG, " one\r\ntwo ", "one\ntwo"),
        (T.INTEGER, Decimal("1234"), "1234"),
        (T.INTEGER, -7, "-7"),
        (T.DECIMAL, Decimal("1234.50"), "1234.5"),
        (T.DECIMAL, Decimal("-0.0"), "0"),
        (T.DECIMAL, Decimal("1E+3"), "1000"),
        (T.MONEY, Decimal("0.1"), "0.10"),
        (T.DATE, date(2026, 2, 28), "2026-02-28"),
        (T.FLAG, False, False),
        (T.CHOICE, "silver", "silver"),
        (T.CHOICES, ["none", "gold", "gold"], ["gold", "none"]),
        (T.URL, "www.example.org/a?b", "https://www.example.org/a?b"),
        (T.EMAIL, "Info@Example.ORG", "info@example.org"),
        (T.PHONE, "+49 (40) 123-45", "+49 (40) 123-45"),
    ],
)
def test_a_value_is_kept_exact_and_tidy(alice, type_, value, stored):
    with acting_as(alice) as by:
        definition = define(type_, by)
        put(definition, value)

        assert kept(definition) == stored
        assert property_types.check(definition, values.value_of(definition, account_called("kuestenfunk"))) == stored


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (T.TEXT, 3), (T.TEXT, "x" * 2001), (T.LONG, "x" * 2001), (T.INTEGER, Decimal("1.5")), (T.INTEGER, True),
        (T.DECIMAL, "1.5"), (T.DECIMAL, Decimal("NaN")), (T.DECIMAL, Decimal("1234567890123456")),
        (T.DECIMAL, Decimal("0.1234567")), (T.DECIMAL, Decimal("1E+400")), (T.MONEY, Decimal("0.001")),
        (T.DATE, "2026-01-01"), (T.FLAG, "yes"), (T.CHOICE, "bronze"), (T.CHOICES, ["gold", "bronze"]),
        (T.URL, "javascript:alert(1)"), (T.URL, "nonsense"), (T.URL, "ftp://example.org"), (T.URL, "http://[x"),
        (T.EMAIL, "nobody"), (T.PHONE, "call me"), (T.PHONE, "12"), (T.MEMBER, 999_999), (T.MEMBER, "1"),
    ],
)  # fmt: skip
def test_what_is_no_such_value_is_refused_at_its_field(alice, type_, value):
    with acting_as(alice) as by:
        definition = define(type_, by)
        with pytest.raises(Refused) as refusal:
            put(definition, value)

        assert refusal.value.field == f"prop_{definition.id}"
        assert kept(definition) is None


@pytest.mark.parametrize(
    ("type_", "facts", "good", "bad"),
    [
        (T.TEXT, {"max_length": 3}, "abc", "abcd"),
        (T.INTEGER, {"minimum": 1, "maximum": 9}, 9, 10),
        (T.MONEY, {"minimum": Decimal(10)}, Decimal(10), Decimal("9.99")),
        (T.DATE, {"maximum": date(2026, 1, 31)}, date(2026, 1, 31), date(2026, 2, 1)),
        (T.TEXT, {"required": True}, "x", ""),
        (T.CHOICES, {"required": True}, ["gold"], []),
    ],
)
def test_limits_hold_at_their_edge(alice, type_, facts, good, bad):
    with acting_as(alice) as by:
        definition = define(type_, by, **facts)
        put(definition, good)
        with pytest.raises(Refused):
            put(definition, bad)


@settings(max_examples=500, deadline=None)
@given(st.from_regex(r"[a-z0-9._+-]{1,9}@([a-z0-9-]{1,6}\.){1,2}([a-z]{2,5}|local|test|invalid)", fullmatch=True))
def test_an_address_that_is_plain_is_one_the_library_takes_as_it_is(text):
    """The short cut of an import says yes only where the long way does."""
    if property_types.is_plain_address(text):
        assert validate_email(text, check_deliverability=False).normalized == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("info@kuestenfunk.example", True), ("nele.j-k_2@mail.kuesten-funk.example", True), ("a@b.local", False),
        ("a@b", False), (f"{'a' * 60}@b.example", False), ("a@b.example\n", False), ("ä@b.example", False),
    ],
)  # fmt: skip
def test_most_addresses_are_plain_and_whatever_is_not_is_looked_at(text, plain):
    assert property_types.is_plain_address(text) is plain


def test_a_member_is_one_of_the_partners_own(alice, bob):
    with acting_as(bob) as other:
        stranger = other.id
    with acting_as(alice) as by:
        definition = define(T.MEMBER, by)
        put(definition, by.id)
        assert kept(definition) == by.id
        with pytest.raises(Refused):
            put(definition, stranger)


def test_a_value_is_taken_away(alice):
    with acting_as(alice) as by:
        definition = define(T.TEXT, by)
        put(definition, "here")
        put(definition, None)

        assert kept(definition) is None
        assert db.session.scalar(select(func.count(PropertyValue.id))) == 0


# --- the definition ----------------------------------------------------------------------------------------------


def test_a_property_has_a_key_of_its_own_and_one_name_is_enough(alice):
    with acting_as(alice) as by:
        first = properties.define(T.DATE, by=by, label_de="Vertrag bis Ende")
        second = properties.define(T.DATE, by=by, label_en="Vertrag-bis ende!")

        assert (first.key, first.label_en) == ("vertrag_bis_ende", "Vertrag bis Ende")
        assert second.key == "vertrag_bis_ende_2"


@pytest.mark.parametrize("facts", [{"label_en": "SEGMENT"}, {"label_en": "Other", "label_de": " segment "}])
def test_names_are_unique_in_each_language_whatever_the_case(alice, facts):
    with acting_as(alice) as by:
        define(T.TEXT, by, "Segment")
        with pytest.raises(Refused, match="already"):
            properties.define(T.TEXT, by=by, **facts)


def test_the_database_refuses_a_second_property_of_that_name(alice):
    with pytest.raises(IntegrityError), acting_as(alice) as by:
        define(T.TEXT, by, "Segment")
        db.session.add(Property(account=by.account, key="other", type=T.TEXT, label_en="SEGMENT", label_de="Anders"))


def test_two_partners_may_use_the_same_name(alice, charlie):
    for person in (alice, charlie):
        with acting_as(person) as by:
            define(T.TEXT, by, "Segment")


@pytest.mark.parametrize(
    ("type_", "facts", "field"),
    [
        (T.TEXT, {"label_en": " "}, "label_en"),
        (T.TEXT, {"label_en": "x" * 81}, "label_en"),
        (T.TEXT, {"max_length": 2001}, "max_length"),
        (T.INTEGER, {"minimum": 5, "maximum": 4}, "maximum"),
        (T.DATE, {"minimum": date(2026, 2, 1), "maximum": date(2026, 1, 1)}, "maximum"),
        (T.INTEGER, {"maximum": 4, "default_value": 5}, "default_value"),
        (T.INTEGER, {"minimum": Decimal("1.5")}, "minimum"),
        (T.CHOICE, {"choices": []}, "choices"),
        (T.CHOICE, {"choices": [{"label_en": "A"}, {"label_en": "a"}]}, "choices"),
        (T.CHOICE, {"choices": [{"label_en": f"{n}"} for n in range(201)]}, "choices"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused_at_its_field(alice, type_, facts, field):
    with acting_as(alice) as by, pytest.raises(Refused) as refusal:
        properties.define(type_, by=by, **{"label_en": "Thing", **facts})

    assert refusal.value.field == field


def test_there_are_64_and_not_one_more(alice, charlie):
    with acting_as(alice) as by:
        for number in range(values.MOST):
            last = define(T.TEXT, by, f"Number {number}")
        with pytest.raises(Refused, match="at most 64"):
            define(T.TEXT, by, "One more")
        properties.archive(last, by=by)
        define(T.TEXT, by, "In its place")
        with pytest.raises(Refused, match="at most 64"):
            properties.restore(last, by=by)
    with acting_as(charlie) as by:
        define(T.TEXT, by, "Another partner's first")


def test_archived_it_keeps_its_values(alice):
    with acting_as(alice) as by:
        definition = define(T.TEXT, by)
        put(definition, "kept")
        properties.archive(definition, by=by)
        assert values.definitions_of(by.account_id) == []
    with acting_as(alice) as by:
        definition = db.session.get(Property, definition.id)
        properties.restore(definition, by=by)
        assert values.definitions_of(by.account_id) == [definition]
        assert values.value_of(definition, account_called("kuestenfunk")) == "kept"


def test_the_order_is_the_one_asked_for(alice):
    with acting_as(alice) as by:
        ids = [define(T.TEXT, by, name).id for name in "abcd"]
        properties.reorder([ids[2], ids[0]], by=by)
        assert [d.label_en for d in values.definitions_of(by.account_id)] == ["c", "a", "b", "d"]
        with pytest.raises(Refused, match="changed meanwhile"):
            properties.reorder([ids[0], ids[0]], by=by)


def test_a_choice_in_use_cannot_go_and_its_label_may_change(alice):
    with acting_as(alice) as by:
        definition = define(T.CHOICE, by)
        put(definition, "silver")
        without = [choice for choice in definition.choices if choice["key"] != "silver"]
        with pytest.raises(Misfits) as refusal:
            properties.change(definition, by=by, choices=without)
        assert refusal.value.found == [(account_called("kuestenfunk").id, "Küstenfunk", "Silver")]
        renamed = [{**choice, "label_en": choice["label_en"].upper()} for choice in definition.choices]
        properties.change(definition, by=by, choices=renamed[1:])

        assert kept(definition) == "silver"
        assert db.session.scalar(select(PropertyValue.number)) == 0  # it is the first one now


def test_choices_follow_the_order_of_their_definition(alice):
    with acting_as(alice) as by:
        definition = define(T.CHOICES, by)
        put(definition, ["gold", "none"])
        properties.change(definition, by=by, choices=definition.choices[::-1])

        assert kept(definition) == ["none", "gold"]
        assert_index_equals_values(definition)


# --- whose it is -------------------------------------------------------------------------------------------------


def test_a_stranger_sees_neither_the_definition_nor_its_values(alice, charlie):
    with acting_as(alice) as by:
        put(define(T.TEXT, by), "secret")

    with acting_as(charlie) as by:
        assert db.session.scalar(select(func.count(Property.id))) == 0
        assert db.session.scalar(select(func.count(PropertyValue.id))) == 0
        assert values.definitions_of(by.account_id) == []


def test_a_subpartner_has_definitions_of_its_own_and_sees_no_line_about_those_above(alice, frida):
    with acting_as(alice) as by:
        put(define(T.TEXT, by, "Risk"), "high risk", slug="bergen")
    with acting_as(frida) as by:
        assert values.definitions_of(by.account_id) == []
        put(define(T.TEXT, by, "Fish"), "cod", slug="bergen")
        told = [changes_in_words(line) for line in db.session.scalars(select(LogEntry))]

    assert "Fish: cod" in told
    assert not [words for words in told if "high risk" in words]


def test_only_the_owner_changes_a_definition(alice, frida):
    with acting_as(frida) as by:
        number = define(T.TEXT, by).id
    with acting_as(alice) as by:
        fjordlines = db.session.get(Property, number)
        for deed in (
            lambda: properties.change(fjordlines, by=by, label_en="Mine"),
            lambda: properties.archive(fjordlines, by=by),
            lambda: properties.convert(fjordlines, to=T.LONG, by=by),
            lambda: properties.reorder([number], by=by),
        ):
            with pytest.raises(Refused):
                deed()


def test_values_live_beneath_their_owner_only(alice, frida, charlie):
    with acting_as(frida) as by:
        fish = define(T.TEXT, by, "Fish")
    with acting_as(charlie) as by:
        ski = define(T.TEXT, by, "Ski")

    with pytest.raises(OutsideScope), acting_as(alice):
        account_called("kuestenfunk").properties = {str(fish.id): "cod"}
        db.session.flush()
    with pytest.raises(OutsideScope), acting_as(alice):
        account_called("kuestenfunk").properties = {str(ski.id): "long"}
        db.session.flush()


def test_two_partners_who_write_at_once_lose_nothing(app, alice, frida):
    with acting_as(alice) as by:
        risk = define(T.INTEGER, by, "Risk").id
    with acting_as(frida) as by:
        fish = define(T.INTEGER, by, "Fish").id
    both_have_looked = threading.Barrier(2, timeout=2)

    def write(person, number, value):
        with app.app_context(), acting_as(person):
            account = account_called("bergen")
            with suppress(threading.BrokenBarrierError):  # SQLite lets one in at a time
                both_have_looked.wait()
            values.write(account, {db.session.get(Property, number): value})

    threads = [threading.Thread(target=apart, args=(write, *given)) for given in ((alice, risk, 1), (frida, fish, 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with acting_as(alice):
        assert account_called("bergen").properties == {str(risk): "1", str(fish): "2"}


# --- conversion --------------------------------------------------------------------------------------------------

FITS = [
    (T.TEXT, "12.5", T.DECIMAL, "12.5"), (T.TEXT, "12", T.INTEGER, "12"), (T.TEXT, "1.5", T.MONEY, "1.50"),
    (T.TEXT, "2026-01-31", T.DATE, "2026-01-31"), (T.TEXT, "ja", T.FLAG, True), (T.TEXT, "silber", T.CHOICE, "silver"),
    (T.TEXT, "Gold, none", T.CHOICES, ["gold", "none"]), (T.TEXT, "example.org", T.URL, "https://example.org"),
    (T.TEXT, "a@example.org", T.EMAIL, "a@example.org"), (T.TEXT, "040 1234", T.PHONE, "040 1234"),
    (T.TEXT, "alice ahrens", T.MEMBER, "the member"), (T.LONG, "a\nb", T.TEXT, "a b"), (T.TEXT, "a", T.LONG, "a"),
    (T.INTEGER, 5, T.DECIMAL, "5"), (T.DECIMAL, Decimal("5"), T.INTEGER, "5"),
    (T.DECIMAL, Decimal("5.1"), T.TEXT, "5.1"),
    (T.DECIMAL, Decimal("5.1"), T.MONEY, "5.10"), (T.MONEY, Decimal("5.10"), T.DECIMAL, "5.1"),
    (T.INTEGER, 1, T.FLAG, True), (T.FLAG, False, T.INTEGER, "0"), (T.FLAG, True, T.TEXT, "Yes"),
    (T.DATE, date(2026, 1, 31), T.TEXT, "2026-01-31"), (T.CHOICE, "silver", T.TEXT, "Silver"),
    (T.CHOICE, "silver", T.CHOICES, ["silver"]), (T.CHOICES, ["silver"], T.CHOICE, "silver"),
    (T.CHOICES, ["gold", "silver"], T.TEXT, "Gold, Silver"), (T.URL, "https://example.org", T.TEXT, "https://example.org"),
    (T.MEMBER, "the member", T.TEXT, "Alice Ahrens"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "value", "after", "stored"), FITS)
def test_a_value_that_fits_is_converted_with_its_place_in_the_index(alice, before, value, after, stored):
    with acting_as(alice) as by:
        value, stored = (by.id if said == "the member" else said for said in (value, stored))
        definition = define(before, by)
        put(definition, value)
        properties.convert(definition, to=after, by=by, **({"choices": GOLD} if after.has_choices else {}))

        assert (definition.type, kept(definition)) == (after, stored)
        assert_index_equals_values(definition)


MISFITS = [
    (T.TEXT, "many", T.INTEGER), (T.TEXT, "soon", T.DATE), (T.TEXT, "maybe", T.FLAG), (T.TEXT, "Bronze", T.CHOICE),
    (T.TEXT, "x", T.URL), (T.TEXT, "x", T.EMAIL), (T.TEXT, "x", T.PHONE), (T.TEXT, "Bob Brandt", T.MEMBER),
    (T.DECIMAL, Decimal("1.5"), T.INTEGER), (T.DECIMAL, Decimal("1.555"), T.MONEY), (T.INTEGER, 2, T.FLAG),
    (T.INTEGER, 20260131, T.DATE), (T.DATE, date(2026, 1, 31), T.INTEGER), (T.CHOICES, ["gold", "none"], T.CHOICE),
]  # fmt: skip


@pytest.mark.parametrize(("before", "value", "after"), MISFITS)
def test_values_that_do_not_fit_are_named_and_nothing_is_converted(alice, before, value, after):
    with acting_as(alice) as by:
        definition = define(before, by)
        put(definition, value)
        put(definition, value, slug="bergen")
        was = kept(definition)
        with pytest.raises(Misfits) as refusal:
            properties.convert(definition, to=after, by=by, **({"choices": GOLD} if after.has_choices else {}))

        assert [name for _id, name, _value in refusal.value.found] == ["Küstenfunk", "Bergen Sensor"]
        assert (definition.type, kept(definition)) == (before, was)
        assert_index_equals_values(definition)


def test_one_misfit_keeps_the_others_from_being_converted(alice):
    with acting_as(alice) as by:
        definition = define(T.TEXT, by)
        put(definition, "12")
        put(definition, "twelve", slug="deichbau")
        with pytest.raises(Misfits) as refusal:
            properties.convert(definition, to=T.INTEGER, by=by)

        assert refusal.value.found == [(account_called("deichbau").id, "Deichbau", "twelve")]
        assert kept(definition) == "12"


# --- history -----------------------------------------------------------------------------------------------------


def test_a_changed_value_is_told_old_and_new_at_the_partner(alice, bob):
    with acting_as(alice) as by:
        definition = define(T.CHOICE, by, "Status")
        put(definition, "gold")
        put(definition, "silver")
        lines = db.session.scalars(
            select(LogEntry).where(LogEntry.action == "account.properties_changed").order_by(LogEntry.id)
        ).all()

        assert [changes_in_words(line) for line in lines] == ["Status: Gold", "Status: Gold → Silver"]
        assert {(line.account_id, line.subject) for line in lines} == {(by.account_id, "Küstenfunk")}
    with acting_as(bob):
        assert not db.session.scalars(select(LogEntry).where(LogEntry.action == "account.properties_changed")).all()


def test_verbs_leave_one_line_each(alice):
    with acting_as(alice) as by:
        definition = define(T.TEXT, by)
        properties.change(definition, by=by, label_en="Other")
        properties.convert(definition, to=T.LONG, by=by)
        properties.reorder([definition.id], by=by)
        properties.archive(definition, by=by)
        db.session.flush()
        properties.restore(definition, by=by)
    with acting_as(alice):
        told = db.session.scalars(
            select(LogEntry.action).where(LogEntry.action.like("property.%")).order_by(LogEntry.id)
        ).all()

    assert sorted(told) == sorted(
        f"property.{verb}" for verb in ("defined", "changed", "converted", "reordered", "archived", "restored")
    )


# --- the index ---------------------------------------------------------------------------------------------------


def assert_index_equals_values(*definitions):
    db.session.flush()
    db.session.expire_all()
    by_id = {str(d.id): d for d in definitions}
    expected = {}
    for account in db.session.scalars(select(Account)):
        for key, value in account.properties.items():
            place = {"text": None, "rest": None, "number": None, "date": None} | values.index_of(by_id[key], value)
            expected[account.id, int(key)] = (account.path, *place.values())
    found = {
        (row.account_id, row.definition_id): (row.account_path, row.text, row.rest, row.number, row.date)
        for row in db.session.scalars(select(PropertyValue))
    }
    assert found == expected


SLUGS = ["kuestenfunk", "deichbau", "fjordline", "bergen"]
SOME = {
    T.TEXT: st.text(max_size=300),
    T.LONG: st.text(max_size=2000),
    T.INTEGER: st.integers(-(10**15) + 1, 10**15 - 1),
    T.DECIMAL: st.decimals(-(10**8), 10**8, places=6),
    T.MONEY: st.decimals(-(10**12), 10**12, places=2),
    T.DATE: st.dates(),
    T.FLAG: st.booleans(),
    T.CHOICE: st.sampled_from(["gold", "silver", "none"]),
    T.CHOICES: st.lists(st.sampled_from(["gold", "silver", "none"])),
}
EDITS = st.lists(
    st.sampled_from(list(SOME)).flatmap(
        lambda type_: st.tuples(st.just(type_), st.sampled_from(SLUGS), st.none() | SOME[type_])
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_the_index_says_what_the_values_say_after_any_edits(alice, edits):
    with acting_as(alice) as by:
        own = {type_: define(type_, by, type_.value) for type_ in SOME}
        for type_, slug, value in edits:
            values.write(account_called(slug), {own[type_]: value})
        assert_index_equals_values(*own.values())
        db.session.rollback()
