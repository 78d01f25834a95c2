"""A partner links a client by the code in the client's mail, and the client ends it; in both languages."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.steps import dialog, expect_flash, expect_path, in_both_languages, question, row, sign_in
from tests.cast import BOB, CHARLIE
from tests.linking import linked


@in_both_languages
def test_a_client_is_linked_by_its_code_and_takes_its_consent_back(app, new_browser, say):
    partner, client = new_browser(), new_browser()
    sign_in(partner, CHARLIE)
    sign_in(client, BOB)

    partner.goto("/a/alpenwerk/relationships/list/")
    partner.locator("[data-add]").click()
    dialog(partner).locator("[name=email]").fill(BOB.email)
    dialog(partner).locator("[value=licenses]").check()
    dialog(partner).get_by_role("button", name=say("Send code")).click()
    expect(dialog(partner).locator("[name=code]")).to_be_visible()

    code = code_in_outbox(client)
    dialog(partner).locator("[name=code]").fill("0000 0000" if code != "0000 0000" else "1111 1111")
    dialog(partner).get_by_role("button", name=say("Link client")).click()
    expect(dialog(partner).locator(".invalid-feedback")).to_be_visible()
    dialog(partner).locator("[name=code]").fill(code)
    dialog(partner).get_by_role("button", name=say("Link client")).click()

    expect_path(partner, "/a/alpenwerk/relationships/list/")
    expect_flash(partner, say("“%(client)s” is linked.", client="Küstenfunk"))
    row(partner, "Küstenfunk").get_by_role("link", name="Küstenfunk").click()
    expect(partner.locator(".k-badges")).to_contain_text(say("By consent"))

    client.goto("/a/kuestenfunk/managers/list/")
    expect(client.locator(".k-lead")).to_contain_text("Nordlicht")
    row(client, "Alpenwerk").locator("[name=rowid]").check()
    client.locator(".k-bulk [value=end]").click()
    expect(question(client)).to_contain_text("Alpenwerk")
    question(client).locator("[value=yes]").click()
    expect_flash(client, say.catalogue.ngettext("One relationship was ended.", "", 1))

    assert linked()[0].ended_at is not None
    assert partner.goto(partner.url).status == 404


def code_in_outbox(page):
    """The code as the client reads it, in the demo from the outbox."""
    page.goto("/a/kuestenfunk/outbox/list/")
    page.locator("tbody tr th a").first.click()
    return re.search(r"^\d{4} \d{4}$", page.locator(".k-message").inner_text(), re.M)[0]
