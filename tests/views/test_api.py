"""The REST API as a program meets it: who gets in, the dialect, what is written, and how errors are told."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from sqlalchemy import event, select

from app import clock, limits, permissions
from app.api import RESOURCES
from app.extensions import db
from app.models import Account, ApiKey, Invitation, LogEntry, Message, Property, PropertyType, Role
from app.services import api_keys, properties
from tests import stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, Program, account_id, acting_as, browse, hire, program

ACCOUNTS, NONE = "/api/v1/account/", "keys:!(none)"


@pytest.fixture
def warehouse(app) -> Program:
    """Alice's program, which may do whatever programs may."""
    return program(ALICE)


def named(answer):
    return [row["name"] for row in answer.json["result"]]


def problem(answer, status):
    """The problem an answer is, with the marks of one."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(answer.json) and answer.json["status"] == status
    return answer.json


def wrong_fields(answer):
    return [error["field"] for error in problem(answer, 422)["errors"]]


# --- who gets in -------------------------------------------------------------------------------------------------


def test_a_key_says_for_whom_it_acts_and_what_it_may_do(app):
    told = program(ALICE, "account.list").get("/api/v1/me/").json

    assert told["account"] == {"id": account_id("nordlicht"), "name": "Nordlicht", "slug": "nordlicht"}
    assert told["user"]["email"] == ALICE.email and told["key"] == "Warehouse"
    assert told["permissions"] == ["account.list"]


@pytest.mark.parametrize("header", ["Bearer kontor_wrong", "Bearer", "Basic YTpi", "kontor_x", "Bearer \xff"])
def test_what_is_no_key_is_turned_away_and_told_how(app, header):
    answer = app.test_client().get(ACCOUNTS, headers={"Authorization": header})

    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_who_shows_nothing_is_turned_away(app):
    problem(app.test_client().get(ACCOUNTS), 401)


def test_a_wrong_key_is_not_made_good_by_a_cookie(alice):
    problem(browse(alice).get(ACCOUNTS, headers={"Authorization": "Bearer kontor_wrong"}), 401)


def test_a_revoked_key_opens_nothing_from_that_moment(warehouse):
    assert warehouse.get(ACCOUNTS).status_code == 200

    with acting_as(ALICE) as by:
        api_keys.revoke(db.session.scalar(select(ApiKey)), by=by)

    problem(warehouse.get(ACCOUNTS), 401)


def test_a_key_does_what_its_scopes_and_its_persons_role_both_include(app):
    reader = program(ALICE, "account.list", name="Reader")

    assert reader.get(ACCOUNTS).status_code == 200
    problem(reader.post(ACCOUNTS, json={"name": "Neufunk"}), 403)
    problem(reader.get(f"{ACCOUNTS}{account_id('deichbau')}"), 403)
    problem(reader.get("/api/v1/member/"), 403)


def test_a_key_loses_what_its_person_loses(app):
    mara = hire("mara@nordlicht.example", "nordlicht", Role.ADMINISTRATOR)
    tool = program(mara)
    assert tool.post(ACCOUNTS, json={"name": "Neufunk"}).status_code == 201

    with acting_as(mara) as by:
        by.role = Role.VIEWER

    assert tool.get(ACCOUNTS).status_code == 200
    problem(tool.post(ACCOUNTS, json={"name": "Altfunk"}), 403)


def test_the_address_may_name_the_account_of_the_key_and_no_other(warehouse):
    assert named(warehouse.get(f"/a/nordlicht{ACCOUNTS}")) == named(warehouse.get(ACCOUNTS))

    strange = problem(warehouse.get(f"/a/alpenwerk{ACCOUNTS}"), 404)
    assert strange == problem(warehouse.get(f"/a/nirgends{ACCOUNTS}"), 404)


def test_a_browser_reads_with_its_cookie_and_writes_with_its_token(alice):
    browser = browse(alice)

    assert browser.get(ACCOUNTS).status_code == 200
    problem(browser.post(ACCOUNTS, json={"name": "Neufunk"}, headers={"X-CSRFToken": ""}), 400)
    assert browser.post(ACCOUNTS, json={"name": "Neufunk"}).status_code == 201


def test_a_cookie_needs_the_account_in_the_address(alice):
    browser = browse(alice)

    problem(browser.client.get(ACCOUNTS), 401)
    problem(browser.client.get(f"/a/alpenwerk{ACCOUNTS}"), 404)


def test_no_other_site_is_let_in(warehouse):
    answer = warehouse.get(ACCOUNTS, headers={"Origin": "https://evil.example"})

    assert not [name for name, _value in answer.headers if name.lower().startswith("access-control-")]


def test_wrong_keys_are_counted_and_right_ones_still_get_in(warehouse, app, monkeypatch):
    monkeypatch.setitem(app.config, "LIMITS", {"api-ip": 2})
    guess = Program(app.test_client(), "kontor_guess")

    assert [guess.get(ACCOUNTS).status_code for _n in range(3)] == [401, 401, 429]
    assert 1 <= int(guess.get(ACCOUNTS).headers["Retry-After"]) <= 15 * 60
    assert warehouse.get(ACCOUNTS).status_code == 200


def test_a_key_has_its_own_limit(warehouse, app, monkeypatch):
    monkeypatch.setitem(app.config, "LIMITS", {"api-key": 2})

    assert [warehouse.get(ACCOUNTS).status_code for _n in range(3)] == [200, 200, 429]
    assert program(ALICE, name="Another").get(ACCOUNTS).status_code == 200
    assert limits.LIMITS["api-key"].tries >= 100


def test_flask_appbuilders_own_doors_stay_shut(app):
    for path in ("security/login", "security/refresh", "menu/", "_openapi/v1", "security/users/"):
        assert app.test_client().post(f"/api/v1/{path}", json={}).status_code in {404, 405}


def test_programs_are_offered_exactly_what_the_resources_ask_for(app):
    apis = [view for view in app.appbuilder.baseviews if isinstance(view, RESOURCES)]
    asked = {api.right_to(method) for api in apis for method in api.include_route_methods}

    asked.add("contact.see")  # of cells, at whichever address they are answered
    assert asked == {f"{noun}.{verb}" for noun, verbs in permissions.BY_PROGRAMS.items() for verb in verbs}
    assert asked <= set(permissions.TABLE)


# --- the dialect: asking -----------------------------------------------------------------------------------------


def test_a_list_tells_count_keys_and_rows(warehouse):
    answer = warehouse.get(ACCOUNTS).json

    assert answer["count"] == 4 == len(answer["ids"]) == len(answer["result"])
    row = next(row for row in answer["result"] if row["slug"] == "bergen")
    assert row["parent"] == {"id": account_id("fjordline"), "name": "Fjordline"}
    assert row["created_at"].endswith("+00:00") and row["archived_at"] is None and row["properties"] == {}
    assert {"label_columns", "list_columns", "order_columns"} <= set(answer)


@pytest.mark.parametrize(
    "question",
    [
        "(filters:!((col:name,opr:ct,value:fjord)),columns:!(name),keys:!(none))",
        '{"filters": [{"col": "name", "opr": "ct", "value": "fjord"}], "columns": ["name"], "keys": ["none"]}',
    ],
)
def test_a_question_is_understood_in_rison_and_in_json(warehouse, question):
    answer = warehouse.get(ACCOUNTS, query_string={"q": question}).json

    assert answer == {"count": 1, "ids": [account_id("fjordline")], "result": [{"name": "Fjordline"}]}


def ask(asking, path=ACCOUNTS, **question):
    return asking.get(path, query_string={"q": json.dumps(question)})


@pytest.mark.parametrize(
    "col, opr, value, expected",
    [
        ("name", "eq", "Deichbau", {"Deichbau"}),
        ("name", "sw", "de", {"Deichbau"}),
        ("kind", "eq", "partner", {"Fjordline"}),
        ("kind", "neq", "partner", {"Küstenfunk", "Deichbau", "Bergen Sensor"}),
        ("name", "eq", ["Deichbau", "Fjordline"], {"Deichbau", "Fjordline"}),
        ("country", "eq", "NO", {"Fjordline"}),
        ("parent.name", "ct", "fjord", {"Bergen Sensor"}),
        ("is_archived", "eq", True, set()),
        ("created_at", "lt", "2020-01-01", set()),
        ("created_at", "ge", "2020-01-01T00:00:00+01:00", {"Küstenfunk", "Deichbau", "Fjordline", "Bergen Sensor"}),
        ("id", "gt", 2**40, set()),
    ],
)
def test_a_filter_fits_its_column(warehouse, col, opr, value, expected):
    answer = ask(warehouse, filters=[{"col": col, "opr": opr, "value": value}])

    assert answer.status_code == 200, answer.text
    assert set(named(answer)) == expected


def test_filters_add_up_and_pages_follow_the_order(warehouse):
    def page(number):
        return named(ask(warehouse, order_column="name", order_direction="desc", page=number, page_size=3))

    assert page(0) == ["Küstenfunk", "Fjordline", "Deichbau"] and page(1) == ["Bergen Sensor"] and page(2) == []
    both = [{"col": "name", "opr": "ct", "value": "e"}, {"col": "kind", "opr": "eq", "value": "partner"}]
    assert named(ask(warehouse, filters=both)) == ["Fjordline"]


@pytest.mark.parametrize(
    "question",
    [
        "(", "!", "nonsense:", "!!!", "((((((", "(a:b)", "[]", '{"page": -1}', '{"page_size": 101}', '{"page_size": 0}',
        '{"order_column": "path"}', '{"order_column": "properties"}', '{"order_column": "parent.path"}',
        '{"columns": ["name_key"]}',
        '{"filters": [{"col": "path", "opr": "sw", "value": "a"}]}',
        '{"filters": [{"col": "user.password", "opr": "sw", "value": "a"}]}',
        '{"filters": [{"col": "name", "opr": "rel_o_m", "value": 1}]}',
        '{"filters": [{"col": "kind", "opr": "eq", "value": "nonsense"}]}',
        '{"filters": [{"col": "is_archived", "opr": "eq", "value": 1}]}',
        '{"filters": [{"col": "id", "opr": "eq", "value": "x"}]}',
        '{"filters": [{"col": "id", "opr": "eq", "value": 1e400}]}',
        '{"filters": [{"col": "created_at", "opr": "eq", "value": "2026-02-30"}]}',
        '{"filters": [{"col": "created_at", "opr": "eq", "value": "9999-12-31"}]}',
        '{"filters": [{"col": "created_at", "opr": "eq", "value": "2026-01-01T00:00:00"}]}',
        '{"filters": [{"col": "name", "opr": "eq", "value": []}]}',
        '{"filters": [{"col": "name", "opr": "ct", "value": "a\\u0000"}]}',
        '{"nonsense": 1}', '{"page": NaN}', "(" * 5000, "a" * 9000,
    ],
)  # fmt: skip
def test_a_question_nobody_understands_is_told_so(warehouse, question):
    problem(warehouse.get(ACCOUNTS, query_string={"q": question}), 400)


def test_one_account_with_the_columns_wanted(warehouse):
    path = f"{ACCOUNTS}{account_id('kuestenfunk')}"

    assert warehouse.get(path).json["result"]["email"] == "info@kuestenfunk.example"
    assert ask(warehouse, path, columns=["name", "parent"], keys=["none"]).json["result"] == {
        "name": "Küstenfunk", "parent": {"id": account_id("nordlicht"), "name": "Nordlicht"}
    }  # fmt: skip


def test_what_is_a_strangers_is_not_there(warehouse):
    strange = problem(warehouse.get(f"{ACCOUNTS}{account_id('gletscherbau')}"), 404)

    assert strange == problem(warehouse.get(f"{ACCOUNTS}999999"), 404)
    for path in (f"{ACCOUNTS}{2**31}", f"{ACCOUNTS}{2**70}"):
        problem(warehouse.get(path), 404)


def test_info_tells_what_can_be_sent_and_asked(warehouse):
    told = warehouse.get(f"{ACCOUNTS}_info").json

    assert {"name": "name", "label": "Name", "required": True}.items() <= told["add_columns"][0].items()
    assert {"can_list", "can_add", "can_archive"} <= set(told["permissions"])
    assert {"name": "sw", "operator": "sw"} in told["filters"]["name"]


@pytest.mark.parametrize("resource", ["account", "member", "invitation", "property", "article", "license"])
def test_a_list_needs_few_statements_however_long_it_is(warehouse, resource):
    with acting_as(ALICE) as by:
        properties.define(PropertyType.TEXT, label_en="Note", by=by)
    for n in range(12):
        warehouse.post(ACCOUNTS, json={"name": f"Neufunk {n}", "properties": {"note": "x"}})
        warehouse.post("/api/v1/invitation/", json={"email": f"n{n}@x.example", "role": "viewer"})
    stock.give(stock.article(grants={stock.license_type(): 5}), "kuestenfunk")
    statements = []

    def count(_connection, _cursor, statement, *_more):
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", count)
    answer = warehouse.get(f"/api/v1/{resource}/")
    event.remove(db.engine, "before_cursor_execute", count)

    assert answer.status_code == 200 and answer.json["count"] > 0
    begun = [s for s in statements if not s.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"))]
    assert len(begun) <= 8, "\n".join(begun)


# --- the dialect: writing ----------------------------------------------------------------------------------------


def test_an_account_is_added_as_from_the_screen(warehouse):
    answer = warehouse.post(ACCOUNTS, json={"name": "  Neufunk ", "email": "info@neufunk.example"})

    assert answer.status_code == 201
    assert answer.json["result"]["name"] == "Neufunk" and answer.json["result"]["currency"] == "EUR"
    assert warehouse.get(answer.headers["Location"]).json["result"] == answer.json["result"]
    with acting_as(ALICE) as by:
        account = db.session.get(Account, answer.json["id"])
        assert account.parent_id == by.account_id
        line = db.session.scalar(select(LogEntry).where(LogEntry.action == "account.created").order_by(-LogEntry.id))
        assert (line.subject, line.actor_id, line.via) == ("Neufunk", by.user_id, "Warehouse")


def test_history_says_by_which_key_in_words(warehouse, alice):
    warehouse.post(ACCOUNTS, json={"name": "Neufunk"})

    assert "Alice Ahrens via API key Warehouse" in browse(alice).get("/history/list/").text


def test_what_is_sent_is_changed_and_the_rest_stays(warehouse):
    path = f"{ACCOUNTS}{account_id('kuestenfunk')}"

    answer = warehouse.put(path, json={"contact": "Bob Brandt"})

    assert answer.status_code == 200
    row = warehouse.get(path).json["result"]
    assert (row["contact"], row["email"], row["name"]) == ("Bob Brandt", "info@kuestenfunk.example", "Küstenfunk")


def test_ones_own_account_is_changed_in_its_settings(warehouse):
    problem(warehouse.put(f"{ACCOUNTS}{account_id('nordlicht')}", json={"name": "Südlicht"}), 403)


@pytest.mark.parametrize(
    "sent, fields",
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "   "}, ["name"]),
        ({"name": "x" * 121}, ["name"]),
        ({"name": 7}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": "küstenFUNK"}, ["name"]),
        ({"name": "N", "country": "XX", "email": "nonsense", "currency": "euro"}, ["email", "country", "currency"]),
        ({"name": "N", "parent_id": 1, "path": "x", "kind": "operator"}, ["kind", "parent_id", "path"]),
        ({"name": "N", "properties": {"nonsense": 1}}, ["properties.nonsense"]),
    ],
)
def test_every_wrong_field_is_named(warehouse, sent, fields):
    assert wrong_fields(warehouse.post(ACCOUNTS, json=sent)) == fields


@pytest.mark.parametrize(
    "body, type_, status",
    [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ("", "application/json", 400),
        ('{"name": NaN}', "application/json", 400),
        ('{"name": "a\\u0000b"}', "application/json", 400),
        ('{"name": "\\ud800"}', "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        (b"\xff\xfe{", "application/json", 400),
        ("name=N", "application/x-www-form-urlencoded", 415),
        ('{"name": "N"}', "text/plain", 415),
        ('{"name": "' + "x" * 1_100_000 + '"}', "application/json", 413),
    ],
)
def test_a_body_that_is_none_is_told_so(warehouse, body, type_, status):
    problem(warehouse.post(ACCOUNTS, data=body, content_type=type_), status)


def test_what_the_state_forbids_is_a_conflict(warehouse):
    path = f"{ACCOUNTS}{account_id('deichbau')}"

    assert warehouse.post(f"{path}/archive").json["result"]["is_archived"] is True
    assert "archived already" in problem(warehouse.post(f"{path}/archive"), 409)["detail"]
    assert warehouse.post(f"{path}/restore").json["result"]["archived_at"] is None


def test_a_strangers_account_is_neither_changed_nor_archived(app):
    theirs = f"{ACCOUNTS}{account_id('kuestenfunk')}"
    charlies = program(CHARLIE)

    for answer in (charlies.put(theirs, json={"name": "X"}), charlies.post(f"{theirs}/archive"), charlies.get(theirs)):
        problem(answer, 404)


def test_a_member_gets_a_role_and_goes(warehouse):
    hire("vera@nordlicht.example", "nordlicht", Role.VIEWER, "Vera Voss")
    hers = [{"col": "user.email", "opr": "sw", "value": "vera"}]
    vera = ask(warehouse, "/api/v1/member/", filters=hers).json["ids"][0]

    assert warehouse.put(f"/api/v1/member/{vera}", json={"role": "sales"}).json["result"]["role"] == "sales"
    assert wrong_fields(warehouse.put(f"/api/v1/member/{vera}", json={"role": "king"})) == ["role"]
    assert warehouse.delete(f"/api/v1/member/{vera}").status_code == 200
    problem(warehouse.get(f"/api/v1/member/{vera}"), 404)


def test_members_of_accounts_beneath_are_seen_and_left_alone(warehouse):
    question = [{"col": "account.id", "opr": "eq", "value": account_id("kuestenfunk")}]
    bob = ask(warehouse, "/api/v1/member/", filters=question).json["ids"][0]

    problem(warehouse.put(f"/api/v1/member/{bob}", json={"role": "viewer"}), 403)
    problem(warehouse.delete(f"/api/v1/member/{bob}"), 409)


def test_an_invitation_is_mailed_and_taken_back(warehouse):
    answer = warehouse.post("/api/v1/invitation/", json={"email": "New@Neufunk.example", "role": "viewer"})

    assert answer.status_code == 201 and answer.json["result"]["status"] == "pending"
    with acting_as(ALICE):
        assert db.session.scalar(select(Message.recipient)) == "new@neufunk.example"
    withdrawn = warehouse.post(f"/api/v1/invitation/{answer.json['id']}/withdraw")
    assert withdrawn.json["result"]["status"] == "withdrawn"


@pytest.mark.parametrize("slug", ["alpenwerk", "gletscherbau", None])
def test_nobody_is_invited_into_a_strangers_account(warehouse, slug):
    account = account_id(slug) if slug else 999_999
    sent = {"email": "new@x.example", "role": "viewer", "account_id": account}

    answer = warehouse.post("/api/v1/invitation/", json=sent)

    assert problem(answer, 422)["errors"] == [{"field": "account_id", "message": "There is no such account."}]
    with acting_as(ALICE):
        assert db.session.scalar(select(Invitation.id)) is None


# --- properties --------------------------------------------------------------------------------------------------

TYPES = {
    "budget": (PropertyType.MONEY, "12.50", "1e3"),
    "seats": (PropertyType.INTEGER, 12, "1.5"),
    "rate": (PropertyType.DECIMAL, "0.125", "x"),
    "until": (PropertyType.DATE, "2026-12-31", "31.12.2026"),
    "vip": (PropertyType.FLAG, True, 1),
    "tier": (PropertyType.CHOICE, "gold", "Gold"),
    "tags": (PropertyType.CHOICES, ["red", "gold"], "red"),
    "note": (PropertyType.TEXT, "hello", 5),
    "site": (PropertyType.URL, "https://x.example", "no url at all"),
}
CHOICES = [{"key": key, "label_en": key.title(), "label_de": key.title()} for key in ("red", "gold")]


@pytest.fixture
def columns(app) -> None:
    """A property of each type, Nordlicht's own."""
    with acting_as(ALICE) as by:
        for key, (type_, *_values) in TYPES.items():
            properties.define(type_, label_en=key, choices=CHOICES if type_.has_choices else [], by=by)


def test_properties_go_in_and_come_out_typed(warehouse, columns):
    values = {key: good for key, (_type, good, _bad) in TYPES.items()}

    answer = warehouse.put(f"{ACCOUNTS}{account_id('deichbau')}", json={"properties": values})

    assert answer.json["result"]["properties"] == values | {"tags": ["red", "gold"]}


def test_a_property_not_sent_stays_and_null_empties_it(warehouse, columns):
    path = f"{ACCOUNTS}{account_id('deichbau')}"
    warehouse.put(path, json={"properties": {"seats": 3, "note": "x"}})

    told = warehouse.put(path, json={"properties": {"note": None}}).json["result"]["properties"]

    assert (told["seats"], told["note"]) == (3, None)


def test_what_does_not_fit_its_type_is_named_and_nothing_is_written(warehouse, columns):
    path = f"{ACCOUNTS}{account_id('deichbau')}"
    for key, (_type, _good, bad) in TYPES.items():
        if key == "budget":
            continue  # a thousand is an amount, however it is written
        answer = warehouse.put(path, json={"contact": "Nobody", "properties": {key: bad}})
        assert wrong_fields(answer) == [f"properties.{key}"], key

    row = warehouse.get(path).json["result"]
    assert row["contact"] == "" and set(row["properties"].values()) == {None}


@pytest.mark.parametrize(
    "col, opr, value, expected",
    [
        ("seats", "gt", 3, ["Fjordline"]),
        ("seats", "ge", 3, ["Deichbau", "Fjordline"]),
        ("seats", "eq", "3", ["Deichbau"]),
        ("until", "lt", "2026-06-01", ["Deichbau"]),
        ("until", "ge", "2026-06-01", ["Fjordline"]),
        ("note", "ct", "eich", ["Deichbau"]),
        ("tier", "eq", "gold", ["Fjordline"]),
        ("tags", "ct", "red", ["Deichbau"]),
        ("vip", "eq", True, ["Fjordline"]),
    ],
)
def test_properties_are_filtered_like_columns(warehouse, columns, col, opr, value, expected):
    deichbau = {"seats": 3, "until": "2026-01-31", "note": "Deich", "tier": "red", "tags": ["red"], "vip": False}
    fjordline = {"seats": 10, "until": "2026-12-31", "note": "Fjord", "tier": "gold", "tags": ["gold"], "vip": True}
    warehouse.put(f"{ACCOUNTS}{account_id('deichbau')}", json={"properties": deichbau})
    warehouse.put(f"{ACCOUNTS}{account_id('fjordline')}", json={"properties": fjordline})

    answer = ask(warehouse, filters=[{"col": f"properties.{col}", "opr": opr, "value": value}], order_column="name")

    assert answer.status_code == 200, answer.text
    assert named(answer) == expected


def test_properties_are_sorted_with_the_empty_ones_last(warehouse, columns):
    for slug, seats in (("deichbau", 3), ("fjordline", 10)):
        warehouse.put(f"{ACCOUNTS}{account_id(slug)}", json={"properties": {"seats": seats}})

    columns = ["name", "properties.seats"]
    answer = ask(warehouse, order_column="properties.seats", order_direction="desc", columns=columns)

    assert named(answer)[:2] == ["Fjordline", "Deichbau"]
    assert answer.json["result"][0] == {"name": "Fjordline", "properties": {"seats": 10}}


def test_a_required_property_is_asked_for_when_an_account_is_added(warehouse):
    sent = {"type": "text", "label_en": "Region", "required": True}
    assert warehouse.post("/api/v1/property/", json=sent).status_code == 201

    assert wrong_fields(warehouse.post(ACCOUNTS, json={"name": "Neufunk"})) == ["properties.region"]
    assert warehouse.post(ACCOUNTS, json={"name": "Neufunk", "properties": {"region": "N"}}).status_code == 201


def test_definitions_of_accounts_beneath_are_theirs_alone(warehouse, columns):
    pk = warehouse.get("/api/v1/property/").json["ids"][0]
    above = program(DORA)

    assert above.get("/api/v1/property/").json["count"] == 0
    problem(above.get(f"/api/v1/property/{pk}"), 404)
    problem(above.put(f"/api/v1/property/{pk}", json={"label_en": "X"}), 404)
    problem(above.post(f"/api/v1/property/{pk}/archive"), 404)


def test_another_partners_properties_are_not_there(warehouse, columns):
    with acting_as(ALICE):
        pk = db.session.scalar(select(Property.id))
    charlies = program(CHARLIE)

    problem(charlies.get(f"/api/v1/property/{pk}"), 404)
    problem(charlies.put(f"/api/v1/property/{pk}", json={"label_en": "X"}), 404)
    problem(ask(charlies, filters=[{"col": "properties.seats", "opr": "eq", "value": 1}]), 400)
    assert wrong_fields(charlies.post(ACCOUNTS, json={"name": "N", "properties": {"seats": 1}})) == ["properties.seats"]


@pytest.mark.parametrize(
    "sent, fields",
    [
        ({"type": "text"}, ["label_en"]),
        ({"label_en": "X"}, ["type"]),
        ({"type": "choice", "label_en": "X"}, ["choices"]),
        ({"type": "integer", "label_en": "X", "minimum": 5, "maximum": 1}, ["maximum"]),
        ({"type": "integer", "label_en": "X", "minimum": "x"}, ["minimum"]),
        ({"type": "date", "label_en": "X", "default_value": "soon"}, ["default_value"]),
        ({"type": "choices", "label_en": "X", "choices": CHOICES, "default_value": [1, {}]}, ["default_value"]),
        ({"type": "text", "label_en": "X", "default_value": {"a": 1}}, ["default_value"]),
    ],
)
def test_a_definition_that_makes_no_sense_is_told_so(warehouse, sent, fields):
    assert wrong_fields(warehouse.post("/api/v1/property/", json=sent)) == fields


# --- licenses ----------------------------------------------------------------------------------------------------


@pytest.fixture
def license_path(app) -> str:
    """Küstenfunk's license over ten."""
    return f"/api/v1/license/{stock.license_of(quantity=10)}"


@pytest.fixture
def sensors(app) -> Program:
    """Bob's program, which takes licenses into use."""
    return program(BOB, "license.list", "license.show", "license.use", name="Sensors")


def test_use_is_allowed_until_it_is_not_and_always_told_with_the_numbers(sensors, license_path):
    def use(verb, quantity, **more):
        return sensors.post(f"{license_path}/{verb}", json={"quantity": quantity, "reference": "plant 7"}, **more).json

    assert use("consume", 8) | {"message": ""} == {
        "allowed": True, "quantity": 10, "in_use": 8, "available": 2, "limit": 10, "policy": "hard",
        "warning": None, "reason": None, "message": "",
    }  # fmt: skip
    refused = use("consume", 3)
    assert (refused["allowed"], refused["reason"], refused["in_use"]) == (False, "full", 8)
    assert sensors.get(f"{license_path}/check?quantity=2").json["allowed"] is True
    assert sensors.get(f"{license_path}/check?quantity=3").json["allowed"] is False
    assert use("release", 8)["in_use"] == 0
    assert use("release", 1)["reason"] == "not_held"


def test_use_under_a_key_counts_once(sensors, license_path):
    def consume(quantity):
        sent = {"quantity": quantity, "reference": "plant 7"}
        return sensors.post(f"{license_path}/consume", json=sent, headers={"X-Idempotency-Key": "a-1"})

    assert consume(4).json == consume(4).json
    problem(consume(5), 422)
    assert sensors.get(license_path).json["result"]["in_use"] == 4


@pytest.mark.parametrize("query", ["quantity=0", "quantity=-1", "quantity=x", "quantity=1.5", "quantity=", "what=1"])
def test_a_check_that_cannot_be_meant_is_told_so(sensors, license_path, query):
    problem(sensors.get(f"{license_path}/check?{query}"), 400)


def test_a_license_is_listed_with_what_is_left_of_it(sensors, license_path):
    sensors.post(f"{license_path}/consume", json={"quantity": 4, "reference": "plant 7"})
    left = [{"col": "available", "opr": "le", "value": 6}, {"col": "status", "opr": "eq", "value": "active"}]

    answer = ask(sensors, "/api/v1/license/", filters=left, order_column="available").json

    assert answer["count"] == 1 and answer["result"][0]["available"] == 6
    assert answer["result"][0]["account"]["name"] == "Küstenfunk"
    assert date.fromisoformat(answer["result"][0]["valid_from"]) <= clock.today() + timedelta(days=1)


def test_a_stranger_neither_sees_nor_uses_a_license(license_path):
    charlies = program(CHARLIE)

    for answer in (
        charlies.get(license_path),
        charlies.get(f"{license_path}/check"),
        charlies.post(f"{license_path}/consume", json={"reference": "x"}),
        charlies.post(f"{license_path}/suspend", json={"reason": "x"}),
    ):
        problem(answer, 404)


def test_an_article_tells_what_it_grants(warehouse):
    stock.article(grants={stock.license_type("assets"): 5, stock.license_type("users"): 2})

    row = warehouse.get("/api/v1/article/").json["result"][0]

    assert row["number"] == "ART-1"
    assert row["grants"] == [{"license_type": "assets", "quantity": 5}, {"license_type": "users", "quantity": 2}]


# --- once --------------------------------------------------------------------------------------------------------

ONCE = {"X-Idempotency-Key": "order-4711"}


def test_what_is_sent_twice_under_one_key_is_done_once(warehouse):
    first, second = (warehouse.post(ACCOUNTS, json={"name": "Neufunk"}, headers=ONCE) for _n in range(2))

    assert (first.status_code, first.json, first.headers["Location"]) == (
        second.status_code, second.json, second.headers["Location"],
    )  # fmt: skip
    assert "X-Idempotency-Replayed" not in first.headers and second.headers["X-Idempotency-Replayed"] == "true"
    assert ask(warehouse, filters=[{"col": "name", "opr": "sw", "value": "Neufunk"}]).json["count"] == 1


def test_a_key_for_something_else_is_refused(warehouse):
    warehouse.post(ACCOUNTS, json={"name": "Neufunk"}, headers=ONCE)

    problem(warehouse.post(ACCOUNTS, json={"name": "Altfunk"}, headers=ONCE), 422)


def test_what_was_refused_may_be_tried_again_under_its_key(warehouse):
    problem(warehouse.post(ACCOUNTS, json={"name": "Küstenfunk"}, headers=ONCE), 422)

    assert warehouse.post(ACCOUNTS, json={"name": "Neufunk"}, headers=ONCE).status_code == 201


def test_a_key_is_one_programs_own(warehouse):
    warehouse.post(ACCOUNTS, json={"name": "Neufunk"}, headers=ONCE)

    another = program(ALICE, name="Another").post(ACCOUNTS, json={"name": "Altfunk"}, headers=ONCE)
    assert another.status_code == 201 and another.json["result"]["name"] == "Altfunk"


@pytest.mark.parametrize("key", ["x" * 121, "a\tb"])
def test_what_is_no_idempotency_key_is_told_so(warehouse, key):
    problem(warehouse.post(ACCOUNTS, json={"name": "Neufunk"}, headers={"X-Idempotency-Key": key}), 400)


# --- how errors are told -----------------------------------------------------------------------------------------


def test_errors_are_told_in_the_language_asked_for_or_the_persons(warehouse):
    german = problem(warehouse.get(f"{ACCOUNTS}999999", headers={"Accept-Language": "de-AT,de;q=0.9"}), 404)
    english = problem(warehouse.get(f"{ACCOUNTS}999999", headers={"Accept-Language": "en"}), 404)

    assert german["title"] == "Nicht gefunden" and english["title"] == "Not found"


def test_what_is_not_there_and_methods_unknown_are_problems_too(warehouse):
    problem(warehouse.get("/api/v1/nonsense/"), 404)
    problem(warehouse.get("/api/v2/account/"), 404)
    answer = warehouse.open("PATCH", ACCOUNTS)
    problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(",", "").split())


def test_a_fault_of_ours_shows_nothing_of_our_inside(warehouse, monkeypatch):
    def break_down(*_args, **_facts):
        raise RuntimeError("SELECT secrets")

    monkeypatch.setattr("app.api.accounts.open_account", break_down)

    told = problem(warehouse.post(ACCOUNTS, json={"name": "Neufunk"}), 500)

    assert "secrets" not in str(told) and "Traceback" not in str(told)
