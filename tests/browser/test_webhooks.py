"""Webhooks in a browser: added with a secret shown once, told of an order, a failure in the log, sent again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from app.extensions import db
from app.models import DeliveryStatus, WebhookDelivery
from app.tenancy import unscoped
from tests import buying
from tests.browser.steps import dialog, expect_flash, in_both_languages, sign_in
from tests.cast import ALICE
from tests.receiving import is_signed, receiver, work


@pytest.fixture
def post(app):
    with receiver(app) as listening:
        yield listening


@in_both_languages
def test_a_program_is_told_of_an_order_and_told_again(app, post, page, say):
    sign_in(page, ALICE)
    page.goto("/a/nordlicht/webhooks/list/")
    page.get_by_role("link", name=say("Add webhook")).first.click()
    dialog(page).locator("[name=name]").fill("Warehouse")
    dialog(page).locator("[name=url]").fill("http://other.example/")
    dialog(page).get_by_role("button", name=say("Save")).click()
    expect(dialog(page).locator("#url-error")).to_be_visible()
    dialog(page).locator("[name=url]").fill(post.url)
    dialog(page).get_by_role("button", name=say("Save")).click()
    secret = dialog(page).locator("#secret").inner_text()
    dialog(page).get_by_role("link", name=say("I have kept it")).click()
    page.wait_for_url(re.compile(r"/webhooks/show/\d+"))
    assert secret.startswith("whsec_") and secret not in page.content()

    post.code, post.answer = 500, b"out of order"
    buying.placed(buying.plan_of(), slug="kuestenfunk")
    work()
    page.goto("/a/nordlicht/webhook-deliveries/list/")
    page.locator("tbody tr th a").first.click()
    page.wait_for_url(re.compile(r"/webhook-deliveries/show/\d+"))
    expect(page.locator("main")).to_contain_text("out of order")
    expect(page.locator("main")).to_contain_text('"type": "order.placed"')

    post.code = 200
    _give_up()
    page.reload()
    page.get_by_role("button", name=say("Send again"), exact=True).first.click()
    expect_flash(page, say("One delivery is sent again."))
    work()
    page.reload()
    expect(page.locator(".k-badges")).to_contain_text(say.catalogue.pgettext("delivery", "Delivered"))
    assert len(post.got) == 2 and all(is_signed(one, secret) for one in post.got)


def _give_up() -> None:
    """As if every try had gone wrong."""
    with unscoped("days pass"):
        db.session.execute(update(WebhookDelivery).values(status=DeliveryStatus.FAILED))
