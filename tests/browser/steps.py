"""What people do in a browser again and again, and how a browser is listened to."""

from __future__ import annotations

import gettext
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Response, expect

from tests.cast import PASSWORD, Person

TRANSLATIONS = Path(__file__).parents[2] / "app/translations"
POLICY_WATCH = """addEventListener("securitypolicyviolation", (event) => console.error(
    `content policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""

in_both_languages = pytest.mark.parametrize("locale", ["en", "de"], indirect=True)


class Words:
    """The sentences of the pages, as the catalogue has them in the language at hand."""

    def __init__(self, locale: str) -> None:
        self.catalogue = gettext.translation("messages", TRANSLATIONS, [locale], fallback=True)

    def __call__(self, sentence: str, **values: Any) -> str:
        said = self.catalogue.gettext(sentence)
        if said == sentence:  # one of several forms: older Pythons, Debian's among them, look for it only by its number
            said = self.catalogue.ngettext(sentence, sentence, 1)
        return said % values if values else said


class Watch:
    """Listens to what browsers complain about: errors of scripts, breaches of the content policy, faults."""

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def follow(self, context: BrowserContext) -> None:
        context.add_init_script(POLICY_WATCH)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"{message.page.url if message.page else ''}: {message.text}")

    def _response(self, response: Response) -> None:
        """A page may refuse (4xx); a fault or a missing static file is never meant."""
        if response.status >= 500 or (response.status >= 400 and "/static/" in response.url):
            self.complaints.append(f"{response.status} for {response.url}")


def sign_in(page: Page, person: Person, password: str = PASSWORD) -> None:
    page.goto("/login/")
    page.locator("[name=email]").fill(person.email)
    page.locator("[name=password]").fill(password)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(re.compile(r"/a/[\w-]+/|/login/code/|/no-account/"))


def sign_out(page: Page, say: Words) -> None:
    page.locator(".k-topbar-end .dropdown > button").last.click()
    page.get_by_role("button", name=say("Sign out"), exact=True).click()
    page.wait_for_url("**/login/")


def expect_path(page: Page, path: str) -> None:
    """Where the browser is, or will be in a moment; without host and question mark."""
    expect(page).to_have_url(re.compile(rf"^https?://[^/]+{re.escape(path)}(\?.*)?$"))


def row(page: Page, name: str) -> Locator:
    """A row of the list, by what its first column says."""
    return page.locator("tbody tr").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def expect_names(page: Page, *names: str) -> None:
    """What the rows of the list are called, from top to bottom; waits for the page a click has asked for."""
    expect(page.locator("tbody tr th")).to_have_text(names)


def dialog(page: Page) -> Locator:
    return page.locator("#dialog[open]")


def question(page: Page) -> Locator:
    """The small dialog that asks before a deed."""
    return page.locator("#confirm[open]")


def flash(page: Page) -> Locator:
    return page.locator("#flashes")


def expect_flash(page: Page, text: str) -> None:
    expect(flash(page)).to_contain_text(text)
