"""Many accounts: the index of properties alone answers counting, sorting and filtering, in a few statements."""

from __future__ import annotations

import pytest
from flask import current_app
from sqlalchemy import event, insert
from werkzeug.datastructures import MultiDict

from app import clock, properties
from app.extensions import db
from app.models import Account, Kind, PropertyType, PropertyValue, words_of
from app.services import properties as verbs
from app.tenancy import acting, unscoped
from app.ui.listing import Listing
from app.ui.properties import columns
from app.views import AccountsView
from tests.cast import acting_as, browse

T = PropertyType
MANY = 6_000  # more than are sorted by themselves
CHOICES = [{"label_en": "Common"}, {"label_en": "Rare"}]


@pytest.fixture
def many(app, alice):
    """Alice's scope and columns over so many accounts, each with a text, a number and a choice."""
    with acting_as(alice) as by:
        own = [verbs.define(type_, by=by, label_en=type_.value, choices=CHOICES if type_.has_choices else [])
               for type_ in (T.TEXT, T.INTEGER, T.CHOICE)]  # fmt: skip
        scope, numbers = db.session.info["scope"], [definition.id for definition in own]
    with unscoped("many accounts") as session:
        connection = session.connection()
        connection.execute(insert(Account.__table__), [_account(number, scope) for number in range(1000, 1000 + MANY)])
        connection.execute(insert(PropertyValue.__table__), [
            {"account_id": number, "account_path": f"{scope.path}{number:08}/", "definition_id": definition.id,
             "text": None, "rest": None, "number": None, "date": None} | properties.index_of(definition, kept)
            for number in range(1000, 1000 + MANY)
            for definition, kept in zip(own, _values(number), strict=True)
        ])  # fmt: skip
        connection.exec_driver_sql("ANALYZE")
    return scope, [f"prop_{number}" for number in numbers]


def _account(number, scope):
    return {
        "id": number, "parent_id": scope.account_id, "path": f"{scope.path}{number:08}/", "kind": Kind.CUSTOMER,
        "slug": f"many-{number}", "name": f"Many {number}", "name_key": f"many {number}", "name_sort": f"many {number}",
        "words": words_of(f"Many {number}"), "contact": "", "email": "", "country": "", "language": "en",
        "time_zone": "UTC", "currency": "EUR", "created_at": clock.now(), "second_factor_required": False,
        "properties": {},
    }  # fmt: skip


def _values(number):
    return f"word {number % 997}", str(number % 100), "rare" if number % 1000 == 0 else "common"


def asked(scope, query):
    """The statements a list makes for its count and a page, with the plans of those about the index."""
    statements = []
    with acting(scope, writes=False):
        own = columns(properties.definitions_of(scope.account_id))
        view = next(view for view in current_app.appbuilder.baseviews if type(view) is AccountsView)
        fields = super(AccountsView, view).fields() | own
        left_out = (Account.id == scope.account_id, Account.archived_at.is_not(None))
        listing = Listing(Account, fields, ("name",), MultiDict(query), "", tuple(~one for one in left_out), left_out)

        def note(_connection, _cursor, statement, parameters, _context, _many):
            statements.append((statement, parameters))

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            count, rows = listing.count(), listing.rows()
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
        connection = db.session.connection().execution_options(walled=True)
        plans = [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in statements
        ]
    return count, rows, plans


ASKED = [  # what, which index answers, how many there are
    ({"sort": "{0}"}, "ix_property_value_text", MANY + 4),
    ({"sort": "-{1}"}, "ix_property_value_number", MANY + 4),
    ({"_flt_1_{0}": "word 7"}, "ix_property_value_text", 7),
    ({"_flt_0_{2}": "rare"}, "ix_property_value_text", 6),
    ({"_flt_0_{2}": "common", "sort": "{1}"}, "ix_property_value_number", MANY - 6),
    ({"_flt_1_{1}": "10", "_flt_2_{1}": "12"}, "ix_property_value_number", 180),
    ({"_flt_0_{0}": "d 99"}, "property_value", 48),
    ({"_flt_0_{1}": "~empty"}, "property_value", 4),
]


def test_the_index_answers(many):
    scope, names = many

    for query, index, count in ASKED:
        query = {key.format(*names): value.format(*names) for key, value in query.items()}
        found, rows, plans = asked(scope, query)
        plan = "\n\n".join(plans)

        assert found == count, query
        assert len(rows) == min(25, count), query
        assert index in plan, query
        assert len(plans) <= 7, plan
        if db.engine.dialect.name == "sqlite":  # PostgreSQL may read so few rows another way
            assert "COVERING INDEX ix_property_value" in plan, query


@pytest.mark.parametrize("query", [{"_flt_0_{1}": "~empty"}, {"_flt_1_kind": "customer"}])
def test_sqlite_reads_the_rows_alone_that_few_filters_leave(many, database, query):
    if database != "sqlite":
        pytest.skip("PostgreSQL finds its own way to few rows")
    scope, names = many

    found, rows, plans = asked(scope, {key.format(*names): value for key, value in query.items()})

    assert found == len(rows) > 0
    assert "CORRELATED" not in "\n".join(plans)
    (page,) = (plan for plan in plans if "ORDER BY" in plan)
    assert "SEARCH account USING INTEGER PRIMARY KEY" in page


def test_pages_of_many_accounts_need_no_more_statements(many, alice):
    _scope, (text, number, choice) = many
    browser = browse(alice)
    for query in ("", f"sort={text}", f"sort=-{number}&page=200", f"_flt_0_{choice}=common&sort={text}", "q=word",
                  f"_flt_0_{number}=~empty", f"_flt_0_{number}=~empty&q=e", "_flt_1_kind=customer", "sort=kind",
                  f"_flt_0_{choice}=common&_flt_1_{number}=5&q=many"):  # fmt: skip
        browser.get(f"/accounts/list/?{query}")
        statements = []

        def note(_connection, _cursor, statement, *_more, into=statements):
            into.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        assert browser.get(f"/accounts/list/?{query}").status_code == 200
        event.remove(db.engine, "before_cursor_execute", note)
        assert len(statements) <= 13, "\n".join(statements)
