"""Webhooks on the screen and through the API: the secret once, errors at the field, the log, sending again."""

from __future__ import annotations

import re

import pytest

from app import announcing
from app.models import Role, WebhookStatus
from tests import buying
from tests.cast import ALICE, BOB, browse, hire, program
from tests.receiving import EVERY, hook, is_signed, log, receiver, webhook, work

ADD = {"name": "Warehouse", "url": "https://erp.example.com/kontor", "events": EVERY}
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


@pytest.fixture
def alices(app):
    return browse(ALICE)


@pytest.fixture
def post(app):
    with receiver() as listening:
        yield listening


def test_the_secret_is_shown_once_and_never_again(alices):
    made = alices.post("/webhooks/add", data=ADD)
    assert SECRET.search(made.text)

    for path in ("list/", "show/1", "edit/1"):
        shown = alices.get(f"/webhooks/{path}")
        assert shown.status_code == 200 and "whsec_" not in shown.text
    again = alices.post("/webhooks/renew/1")
    assert SECRET.search(again.text)[0] != SECRET.search(made.text)[0]


@pytest.mark.parametrize(
    "wrong, field", [({"url": "http://erp.example.com/"}, "url"), ({"name": ""}, "name"), ({"events": []}, "events")]
)
def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_stays(alices, wrong, field):
    answer = alices.post("/webhooks/add", data=ADD | wrong)

    assert answer.status_code == 422 and f'id="{field}-error"' in answer.text
    assert "whsec_" not in answer.text
    if field != "name":
        assert 'value="Warehouse"' in answer.text


def test_the_log_shows_each_try_and_what_came_back(alices, post):
    hook(post.url)
    post.code, post.answer = 500, b"<b>out of order</b>"
    buying.placed(buying.plan_of(), slug="kuestenfunk")
    work()
    (delivery,) = log()
    assert ">Order placed<" in alices.get("/webhook-deliveries/list/").text  # in words
    shown = alices.get(f"/webhook-deliveries/show/{delivery.id}").text

    assert "&lt;b&gt;out of order&lt;/b&gt;" in shown and "500" in shown
    assert "&#34;type&#34;: &#34;order.placed&#34;" in shown
    assert alices.get("/webhook-deliveries/export").status_code == 200


def test_what_failed_is_sent_again_from_the_list(alices, post):
    number, secret = hook(post.url)
    alices.post("/webhooks/action_post", data={"action": "test", "rowid": number})
    work()
    (delivery,) = log()
    alices.post("/webhook-deliveries/action_post", data={"action": "replay", "rowid": delivery.id})
    announcing.deliver_to(number)

    assert len(post.got) == 2 and all(is_signed(one, secret) for one in post.got)


def test_switched_off_and_on_from_its_page(alices, post):
    number, _secret = hook(post.url)

    alices.post("/webhooks/action_post", data={"action": "switch_off", "rowid": number})
    assert webhook(number).status is WebhookStatus.OFF
    alices.post("/webhooks/action_post", data={"action": "switch_on", "rowid": number})
    assert webhook(number).status is WebhookStatus.ON


@pytest.mark.parametrize("path", ["/webhooks/list/", "/webhooks/add", "/webhook-deliveries/list/"])
def test_webhooks_are_for_administrators_of_accounts_that_manage_others(app, path):
    mia = hire("mia@nordlicht.example", "nordlicht", Role.MANAGER)

    assert browse(mia).get(path).status_code == 403
    assert browse(BOB).get(path).status_code == 403


# --- the API -----------------------------------------------------------------------------------------------------


def test_a_program_adds_a_webhook_and_has_its_secret_told(post):
    warehouse = program(ALICE)
    made = warehouse.post("/api/v1/webhook/", json=ADD, headers={"X-Idempotency-Key": "hook-1"})
    assert made.status_code == 201 and "secret" not in made.text and "nonce" not in made.text
    pk = made.json["id"]
    told = warehouse.post(f"/api/v1/webhook/{pk}/renew_secret", json={})

    assert SECRET.fullmatch(told.json["secret"])
    changed = warehouse.put(f"/api/v1/webhook/{pk}", json={"events": ["order.placed"]})
    assert changed.json["result"]["events"] == ["order.placed"]
    assert warehouse.put(f"/api/v1/webhook/{pk}", json={"events": ["order.eaten"]}).status_code == 422
    wrong = warehouse.put(f"/api/v1/webhook/{pk}", json={"url": "https://127.0.0.1/"})
    assert wrong.json["errors"][0]["field"] == "url"
    assert warehouse.delete(f"/api/v1/webhook/{pk}").status_code == 200
    assert warehouse.get(f"/api/v1/webhook/{pk}").status_code == 404


def test_a_program_reads_the_log_and_sends_again(post):
    number, _secret = hook(post.url)
    warehouse = program(ALICE)
    assert warehouse.post(f"/api/v1/webhook/{number}/test").status_code == 200
    work()
    (row,) = warehouse.get("/api/v1/webhook_delivery/").json["result"]

    assert (row["event"], row["status"], row["code"], row["tries"][0]["answer"]) == (
        "webhook.test", "delivered", 200, "thank you",
    )  # fmt: skip
    assert warehouse.post(f"/api/v1/webhook_delivery/{row['id']}/replay").json["result"]["status"] == "waiting"


def test_a_key_without_the_scope_learns_nothing(post):
    hook(post.url)

    assert program(ALICE, "order.list").get("/api/v1/webhook/").status_code == 403
