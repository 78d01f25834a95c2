"""Takes the pictures of README and guide: `make pictures` starts a demo of its own and looks at it with Chromium.

Whoever changes a screen takes them anew, so that they show what people see. Each is a place, a person, a language,
and what is done there before the picture is taken.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HOME = Path(__file__).parents[1]
IMAGES = HOME / "docs/images"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-quic"]
DESK, PHONE = (1280, 800), (390, 844)
COLORS = 256  # of a picture: a screen has few, and thus stays below 120 kB
SECONDS_TO_BUILD = 300
PASSWORD = "kontor-demo-2026"  # the demo's, as the README has it
ALICE, BOB, CHARLIE, DORA = (
    f"{name}.example" for name in ("alice@nordlicht", "bob@kuestenfunk", "charlie@alpenwerk", "dora@kontor")
)
Deed = Callable[[Page], None]


@dataclass(frozen=True)
class Picture:
    """One picture, in both languages unless it says in which."""

    name: str
    who: str
    path: str
    do: tuple[Deed, ...] = ()
    languages: tuple[str, ...] = ("en", "de")
    size: tuple[int, int] = DESK
    scheme: str = "light"


# --- what is done in front of the camera -----------------------------------------------------------------------------


def click(selector: str, nth: int = 0) -> Deed:
    return lambda page: page.locator(selector).nth(nth).click()


def fill(name: str, text: str) -> Deed:
    return lambda page: page.locator(f"[name={name}]").first.fill(text)


def go_on(page: Page) -> None:
    page.locator("#step .btn-primary").click()


def in_dialog(page: Page) -> None:
    page.locator("#dialog[open] .btn-primary").click()


def open_row(text: str) -> Deed:
    return lambda page: page.locator("tbody tr", has_text=text).first.locator("th a").click()


def scroll_to(selector: str, text: str) -> Deed:
    below_the_bar = "e => scrollBy(0, e.getBoundingClientRect().top - 80)"
    return lambda page: page.locator(selector, has_text=text).first.evaluate(below_the_bar)


def find_customer(page: Page) -> None:
    page.locator("[name=q]").fill("werft")
    page.locator(".k-account-choice label", has_text="Werft").click()


NEW_ORDER = "/a/nordlicht/orders/new"
CLOUD = (click(".k-order-tile button"), fill("users", "30"))
PICTURES = [
    Picture("accounts", ALICE, "/a/nordlicht/accounts/list/", languages=("en",)),
    Picture("accounts-dark", ALICE, "/a/nordlicht/accounts/list/", languages=("de",), scheme="dark"),
    Picture("accounts-phone", ALICE, "/a/nordlicht/accounts/list/", languages=("en",), size=PHONE),
    Picture("account", ALICE, "/a/nordlicht/accounts/list/?q=küstenfunk", (open_row("Küstenfunk"),)),
    Picture("portal", BOB, "/a/kuestenfunk/portal/"),
    Picture("managers", BOB, "/a/kuestenfunk/managers/list/"),
    Picture("link", CHARLIE, "/a/alpenwerk/relationships/list/",
            (click("[data-add]"), fill("email", "hallo@kueste.example"))),
    Picture("code", CHARLIE, "/a/alpenwerk/relationships/list/",
            (click("[data-add]"), fill("email", "hallo@kueste.example"), in_dialog)),
    Picture("deadlines", ALICE, "/a/nordlicht/deadlines/"),
    Picture("plans", ALICE, "/a/nordlicht/plans/compare?currency=EUR",
            (scroll_to("main section", "Monitoring"),)),
    Picture("subscription", BOB, "/a/kuestenfunk/subscriptions/list/",
            (open_row("Hafenüberwachung"), click(".k-why-button"))),
    Picture("upfront", DORA, "/a/kontor/upfront/list/", (open_row("Küstenfunk"),)),
    Picture("surrender", BOB, "/a/kuestenfunk/portal/",
            (click("a[href*='/surrender']"), click("#dialog input:not([type=hidden])"),
             lambda page: page.keyboard.type("5"), in_dialog)),
    Picture("order-new", ALICE, NEW_ORDER),
    Picture("order-plan", ALICE, NEW_ORDER, CLOUD),
    Picture("order-summary", ALICE, NEW_ORDER,
            (*CLOUD, go_on, find_customer, go_on, fill("domain", "werft.field.example"), go_on)),
    Picture("order-failed", ALICE, "/a/nordlicht/orders/list/", (open_row("Sensorik Lübeck"),)),
    Picture("fulfilment", DORA, "/a/kontor/fulfilments/board"),
    Picture("webhook", ALICE, "/a/nordlicht/webhook-deliveries/list/"),
]  # fmt: skip


# --- taking them -----------------------------------------------------------------------------------------------------


def main(wanted: list[str]) -> None:
    chosen = [one for one in PICTURES if not wanted or one.name in wanted]
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for picture in chosen:
            for language in picture.languages:
                file = IMAGES / f"{picture.name}{'-de' if language == 'de' else ''}.png"
                file.write_bytes(small(take(browser, address, picture, language)))
                print(f"{file.name}: {file.stat().st_size // 1000} kB", flush=True)
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """A fresh demo on a free port; gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        own = {"PORT": str(port), "DATA_DIR": place, "DATABASE_URL": f"sqlite:///{place}/kontor.db"}
        running = subprocess.Popen([sys.executable, HOME / "run.py"], env=os.environ | own, stdout=subprocess.DEVNULL)
        try:
            wait_for(f"http://localhost:{port}")
            yield f"http://localhost:{port}"
        finally:
            running.terminate()
            running.wait(30)


def wait_for(address: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_BUILD
    while time.monotonic() < deadline:
        try:
            urlopen(f"{address}/healthz", timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(1)
    sys.exit("The demo did not start.")


def take(browser: Browser, address: str, picture: Picture, language: str) -> bytes:
    width, height = picture.size
    context = browser.new_context(
        base_url=address, viewport={"width": width, "height": height}, color_scheme=picture.scheme,
        locale="de-DE" if language == "de" else "en-GB", timezone_id="Europe/Berlin", reduced_motion="reduce",
    )  # fmt: skip
    page = context.new_page()
    page.goto("/login/")
    page.locator("[name=email]").fill(picture.who)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url("**/a/**")
    page.goto(f"/lang/{language}")
    page.goto(picture.path)
    for deed in picture.do:
        deed(page)
        settle(page)
    settle(page)
    taken = page.screenshot()
    context.close()
    return taken


def settle(page: Page) -> None:
    """Until nothing is under way any more: a page, a part of it, a price worked out as one types."""
    page.wait_for_timeout(600)
    page.wait_for_load_state("networkidle")


def small(png: bytes) -> bytes:
    """The same with a palette, a third of the size."""
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLORS, kmeans=2, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
