"""The conversion of many values: done by the worker, told while it lasts, all of it or nothing (M-9)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import select

from app import clock, jobs
from app import properties as values
from app.errors import Refused
from app.extensions import db
from app.models import ConversionStatus, LogEntry, Property, PropertyType, PropertyValue
from app.services import conversions, properties
from tests.cast import account_called, acting_as

T = PropertyType
SLUGS = ("kuestenfunk", "deichbau", "fjordline", "bergen")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Three are many here, and two at a time are looked at."""
    monkeypatch.setattr(properties, "MANY", 3)
    monkeypatch.setattr(conversions, "CHUNK", 2)


def define(person, words, type_=T.TEXT, **facts) -> int:
    with acting_as(person) as by:
        definition = properties.define(type_, by=by, label_en="Thing", **facts)
        for slug, word in zip(SLUGS, words, strict=False):
            values.write(account_called(slug), {definition: word})
        return definition.id


def convert(person, number, to, **facts) -> None:
    with acting_as(person) as by:
        properties.convert(db.session.get(Property, number), to=to, by=by, **facts)


def told(person, number) -> Property:
    with acting_as(person):
        return db.session.get(Property, number)


def kept(person, number) -> list:
    with acting_as(person):
        return [account_called(slug).properties.get(str(number)) for slug in SLUGS]


def test_few_values_are_converted_at_once(alice):
    number = define(alice, ["1", "2"])

    convert(alice, number, T.INTEGER)

    assert told(alice, number).type is T.INTEGER


def test_many_are_left_to_the_worker_and_seen_as_they_were_until_then(alice):
    number = define(alice, ["4", "3", "2", "1"])

    convert(alice, number, T.INTEGER)

    definition = told(alice, number)
    assert (definition.type, definition.conversion_status) == (T.TEXT, ConversionStatus.WAITING)
    assert definition.conversion["total"] == 4
    jobs.convert_due()
    definition = told(alice, number)
    assert (definition.type, definition.conversion_status, definition.conversion) == (T.INTEGER, None, None)
    assert kept(alice, number) == ["4", "3", "2", "1"]
    with acting_as(alice):
        in_order = select(PropertyValue.number).where(PropertyValue.definition_id == number)
        assert db.session.scalars(in_order.order_by(PropertyValue.number)).all() == [1, 2, 3, 4]
        assert db.session.scalars(select(PropertyValue.text)).all() == [None] * 4
        lines = db.session.scalars(select(LogEntry).where(LogEntry.action == "property.converted")).all()
        assert [line.actor for line in lines] == ["Alice Ahrens"]


def test_one_misfit_and_nothing_is_changed(alice):
    number = define(alice, ["4", "three", "2", "1"])

    convert(alice, number, T.INTEGER)
    jobs.convert_due()

    definition = told(alice, number)
    assert (definition.type, definition.conversion_status) == (T.TEXT, ConversionStatus.FAILED)
    assert [(name, value) for _id, name, value in definition.conversion["found"]] == [("Deichbau", "three")]
    assert kept(alice, number) == ["4", "three", "2", "1"]


def test_a_value_that_comes_to_stand_in_the_way_meanwhile_is_found(alice, monkeypatch):
    number = define(alice, ["4", "3", "2", "1"])
    convert(alice, number, T.INTEGER)
    finish = conversions.finish

    def written_just_before(definition_id):
        account = account_called("fjordline")
        values.write(account, {db.session.get(Property, number): "two"})
        db.session.flush()
        finish(definition_id)

    monkeypatch.setattr(conversions, "finish", written_just_before)
    jobs.convert_due()

    definition = told(alice, number)
    assert (definition.type, definition.conversion_status) == (T.TEXT, ConversionStatus.FAILED)
    assert [name for _id, name, _value in definition.conversion["found"]] == ["Fjordline"]


def test_how_far_it_is_can_be_seen(alice):
    number = define(alice, ["4", "3", "2", "1"])
    convert(alice, number, T.INTEGER)

    with jobs.worker_unit():
        assert conversions.claim(number)
        last = conversions.look(number, 0)
    definition = told(alice, number)

    assert (definition.conversion_status, definition.conversion["done"]) == (ConversionStatus.RUNNING, 2)
    assert last is not None


def test_one_worker_gets_it_and_another_takes_over_when_it_has_died(alice):
    number = define(alice, ["4", "3", "2", "1"])
    convert(alice, number, T.INTEGER)
    with jobs.worker_unit():
        assert conversions.claim(number)
        conversions.look(number, 0)
    with jobs.worker_unit():
        assert not conversions.claim(number)
        assert conversions.due() == []

    with time_machine.travel(clock.now() + conversions.FORSAKEN + timedelta(seconds=1), tick=False):
        jobs.convert_due()

    assert told(alice, number).type is T.INTEGER


@pytest.mark.parametrize("deed", ["change", "convert", "archive"])
def test_meanwhile_the_definition_stays_as_it_is(alice, deed):
    number = define(alice, ["4", "3", "2", "1"])
    convert(alice, number, T.INTEGER)

    with acting_as(alice) as by, pytest.raises(Refused, match="being converted"):
        facts = {"change": {"label_en": "Other"}, "convert": {"to": T.LONG}, "archive": {}}[deed]
        getattr(properties, deed)(db.session.get(Property, number), by=by, **facts)


def test_values_are_read_in_the_language_of_whoever_asked(alice):
    number = define(alice, [Decimal("1.5"), Decimal("2.5"), Decimal("3"), Decimal("4")], T.DECIMAL)

    convert(alice, number, T.MONEY, currency="EUR")
    jobs.convert_due()

    assert kept(alice, number) == ["1.50", "2.50", "3.00", "4.00"]


def test_choices_in_another_order_are_renumbered_by_the_worker(alice):
    choices = [{"label_en": label} for label in ("Gold", "Silver")]
    number = define(alice, ["gold", "silver", "gold", "silver"], T.CHOICE, choices=choices)

    with acting_as(alice) as by:
        definition = db.session.get(Property, number)
        properties.change(definition, by=by, choices=definition.choices[::-1])
    jobs.convert_due()

    with acting_as(alice):
        places = select(PropertyValue.text, PropertyValue.number).order_by(PropertyValue.account_id)
        assert [tuple(row) for row in db.session.execute(places)] == [
            ("gold", 1), ("silver", 0), ("gold", 1), ("silver", 0)]  # fmt: skip
