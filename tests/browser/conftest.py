"""What tests in a browser may ask for: the site, a page in it in the language at hand, and its words."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.site import Site
from tests.browser.steps import Watch, Words

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip
BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]  # without its own windows first
LOCALES = {"en": "en-GB", "de": "de-DE"}
DESK = {"width": 1440, "height": 900}
PATIENCE = 20_000  # milliseconds for what ought to appear at once: the machine may have more to do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("missing tool: chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    site.open()
    yield site
    site.close()


@pytest.fixture
def site(running_site: Site) -> Site:
    """The site, with a fresh copy of the world."""
    running_site.renew()
    return running_site


@pytest.fixture
def app(site: Site) -> Iterator[Flask]:
    """The site's application, for what a test prepares or looks up behind the browser's back."""
    with site.app.app_context():
        yield site.app


@pytest.fixture
def locale(request: pytest.FixtureRequest) -> str:
    """The browser's language: English, unless the test asks for others (`steps.in_both_languages`)."""
    return getattr(request, "param", "en")


@pytest.fixture
def say(locale: str) -> Words:
    return Words(locale)


@pytest.fixture
def new_browser(site: Site, chromium: Browser, locale: str) -> Iterator[Callable[..., Page]]:
    """Opens browsers that know nothing of each other. What one of them complains about fails the test."""
    watch, contexts = Watch(), []

    def open_one(**options: Any) -> Page:
        usual = {"locale": LOCALES[locale], "timezone_id": "Europe/Berlin", "reduced_motion": "reduce"}
        context = chromium.new_context(base_url=site.address, **usual | {"viewport": DESK} | options)
        context.set_default_timeout(PATIENCE)
        watch.follow(context)
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()
    assert not watch.complaints, "the browser complains:\n" + "\n".join(watch.complaints)


@pytest.fixture
def page(new_browser: Callable[..., Page]) -> Page:
    return new_browser()
