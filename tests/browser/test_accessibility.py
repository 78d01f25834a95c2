"""Every page, in both languages, light and dark, on a desk and on a phone: usable by everybody, true to the policy.

What Kontor can show is read off its map of addresses: a page nobody looks at here fails by name. axe judges the
English ones, in light by every rule and in dark, where nothing but colours differs, one of each kind by that of
contrast; one of each kind is looked at on a phone, in German, too, where words decide on the width.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Page, expect
from pyotp import TOTP
from sqlalchemy import select

from app import exporting, tokens
from app import properties as values
from app.extensions import db
from app.models import (
    Credential,
    HoldKind,
    License,
    LogEntry,
    Member,
    Message,
    OrderKind,
    Outcome,
    Plan,
    Policy,
    PropertyType,
    Role,
    Subscription,
    Token,
    UpfrontRequest,
    User,
    Webhook,
)
from app.outgoing import Answer
from app.services import (
    deliveries,
    holds,
    invitations,
    licenses,
    members,
    properties,
    resource_groups,
    saved_views,
    upfront,
    usage,
    webhooks,
)
from app.tenancy import unscoped
from tests import buying, cast, receiving, stock
from tests.browser.steps import Watch, in_both_languages, sign_in
from tests.cast import ALICE, BOB, DORA, PASSWORD, Person
from tests.signing import Tab, code_of, give_second_factor, messages_to, user_of

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = "color-contrast"
RUN_AXE = """async (only) => {
    const found = await axe.run(document, {...only, resultTypes: ["violations"]});
    const some = (nodes) => nodes.slice(0, 3).map((node) => node.html.slice(0, 160));
    return found.violations.map((one) => [one.id, one.help, some(one.nodes)]);
}"""
TOO_WIDE = """() => {
    const scrolls = (box) => box !== document.body && getComputedStyle(box).overflowX !== "visible";
    const within = (box) => box && (scrolls(box) || within(box.parentElement));
    const sticksOut = ({left, right, width}) => width && left < innerWidth && right > innerWidth + 1;
    const out = [...document.querySelectorAll("body *")].filter((one) =>
        sticksOut(one.getBoundingClientRect()) && one.checkVisibility() && !within(one.parentElement));
    if (document.documentElement.scrollWidth > innerWidth) out.push(document.documentElement);
    return out.map((one) => one.outerHTML.slice(0, 120));
}"""
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}

WITHOUT_ACCOUNT = ("/logout/", "/login/code/", "/no-account/", "/join/", "/activate/", "/credentials/")

NOBODY = None
VERA = Person("vera@nordlicht.example", "nordlicht")  # may only look
HELD = Person(ALICE.email, "deichbau")  # an account on administrative hold
EVE = Person("eve@nordlicht.example", "nordlicht")  # signs in with a second factor
GREGOR = Person("gregor@nordlicht.example", "nordlicht")  # has been removed from his only account

PAGES: list[tuple[Person | None, list[str]]] = [
    (
        NOBODY,
        [
            "/login/", "/forgot/", "/reset/{reset}", "/reset/no-such-secret", "/join/{for_somebody_new}",
            "/join/{for_gregor}", "/join/no-such-secret", "/activate/{link}",
            "/credentials/{credentials}",
        ],
    ),
    (
        ALICE,
        [
            "/", "/accounts/list/", "/accounts/list/?q=e&_flt_0_kind=customer", "/accounts/list/?q=nothing-like-this",
            "/accounts/list/?archived=1&page=x", "/accounts/show/{kuestenfunk}", "/accounts/show/{fjordline}",
            "/accounts/add", "/accounts/edit/{kuestenfunk}", "/accounts/list/?_flt_0_standing=archived",
            "/accounts/hold/{kuestenfunk}", "/accounts/lift/{fjordline}", "/accounts/move/{kuestenfunk}",
            "/accounts/move/{kuestenfunk}?to={fjordline}", "/accounts/related/parent_id/{fjordline}",
            "/members/list/", "/members/edit/{member}", "/members/related/account_id/{kuestenfunk}", "/roles/",
            "/outbox/list/", "/history/list/", "/history/show/{entry}", "/history/related/account_id/{kuestenfunk}",
            "/exports/", "/accounts/import/", "/accounts/import/{upload}", "/accounts/import/{upload}/columns",
            "/invitations/import/", "/invitations/import/{people}", "/invitations/import/{people}/columns",
            "/api-keys/list/", "/api-keys/add", "/api-reference/", "/webhooks/list/", "/webhooks/add",
            "/webhooks/show/{webhook}", "/webhooks/edit/{webhook}", "/webhooks/renew/{webhook}",
            "/webhook-deliveries/list/", "/webhook-deliveries/show/{delivery}",
            "/webhook-deliveries/related/webhook_id/{webhook}",
            "/relationships/list/", "/relationships/add", "/relationships/code", "/deadlines/",
            "/settings/", "/security/", "/security/second-factor", "/logout/", "/no-such-page",
            "/invitations/list/", "/invitations/add", "/invitations/add?account={kuestenfunk}",
            "/invitations/related/account_id/{kuestenfunk}", "/members/leave",
            "/accounts/list/?view={view}&sort=-name", "/views/add?list=accounts&state=sort=-name", "/views/edit/{view}",
            "/orders/new", "/orders/list/", "/orders/show/{order}", "/orders/show/{done}", "/orders/cancel/{order}",
            "/orders/change/{order}", "/orders/related/account_id/{kuestenfunk}", "/orders/plan/{draft}",
            "/orders/customer/{draft}", "/orders/instance/{draft}", "/orders/summary/{draft}",
            "/orders/subscription/{renewal}", "/orders/products/{purchase}",
            "/properties/", "/properties/add", *(f"/properties/add?type={type_}" for type_ in PropertyType),
            "/properties/edit/{text}", "/properties/edit/{choices}", "/properties/convert/{text}",
            "/properties/convert/{text}?type=choice", "/properties/convert/{text}?type=money",
        ],
    ),
    (
        DORA,
        [
            "/", "/settings/", "/outbox/list/", "/articles/list/", "/articles/show/{article}", "/articles/add",
            "/articles/edit/{article}", "/articles/price/{article}",
            "/license-types/list/", "/license-types/add", "/license-types/edit/{type}",
            "/plans/list/", "/plans/add", "/plans/edit/{plan}", "/holdings/list/",
            "/holdings/import/", "/holdings/import/{gifts}", "/holdings/import/{gifts}/columns",
            "/holdings/add?account={kuestenfunk}", "/holdings/related/account_id/{kuestenfunk}",
            "/accounts/show/{kuestenfunk}", "/licenses/list/", "/licenses/related/account_id/{kuestenfunk}",
            "/licenses/show/{license}", "/licenses/suspend/{license}", "/licenses/revoke/{license}",
            "/license-movements/list/", "/license-movements/related/license_id/{license}",
            "/products/list/", "/products/add", "/products/edit/{product}", "/plans/show/{plan}", "/plans/price/{plan}",
            "/fulfilments/board", "/fulfilments/list/", "/fulfilments/fulfil/{task}", "/fulfilments/fail/{task}",
            "/plans/compare", "/subscriptions/list/", "/subscriptions/add", "/subscriptions/add?account={kuestenfunk}",
            "/subscriptions/show/{free}", "/subscriptions/edit/{subscription}", "/subscriptions/pay/{free}",
            "/subscriptions/suspend/{subscription}", "/subscriptions/related/account_id/{kuestenfunk}",
            "/upfront/list/", "/upfront/show/{request}", "/upfront/call/{request}", "/upfront/payment/{request}",
            "/upfront/related/subscription_id/{subscription}",
            "/subscriptions/report-usage/{subscription}", "/usage-reports/list/",
            "/usage-reports/related/subscription_id/{subscription}",
        ],
    ),
    (BOB, [
        "/portal/", "/surrender/", "/surrender/?license={license}", "/roles/", "/managers/list/", "/deadlines/",
        "/outbox/show/{message}", "/join/{for_vera}", "/licenses/list/", "/licenses/show/{license}",
        "/holdings/list/", "/subscriptions/show/{subscription}", "/subscriptions/renew/{subscription}",
        "/subscriptions/cancel/{subscription}", "/subscriptions/ask-upfront/{other}",
        "/subscriptions/add-group/{subscription}", "/resource-groups/list/", "/resource-groups/edit/{group}",
        "/resource-groups/related/subscription_id/{subscription}",
    ]),
    (HELD, ["/portal/", "/members/list/", "/settings/"]),
    (VERA, ["/accounts/list/", "/settings/", "/join/{for_vera}"]),
    (EVE, ["/login/code/", "/security/", "/security/second-factor/off", "/security/recovery-codes"]),
    (GREGOR, ["/no-account/"]),
]  # fmt: skip
NOT_LOOKED_AT = {
    "static": "files",
    "public.healthz": "one word for machines",
    "public.language": "leads back to the page it came from",
    "AccountsView.index": "leads to the list",
    "MembersView.index": "leads to the list",
    "RelationshipsView.index": "leads to the list",
    "RelationshipsView.export": "a file",
    "ManagersView.index": "leads to the list",
    "ManagersView.export": "a file",
    "calendar.feed": "for calendar programs",
    "OutboxView.index": "leads to the list",
    "HistoryView.index": "leads to the list",
    "InvitationsView.index": "leads to the list",
    "LicensesView.index": "leads to the list",
    "MovementsView.index": "leads to the list",
    "HoldingsView.index": "leads to the list",
    "ArticlesView.index": "leads to the list",
    "LicenseTypesView.index": "leads to the list",
    "PlansView.index": "leads to the list",
    "ProductsView.index": "leads to the list",
    "SubscriptionsView.index": "leads to the list",
    "ResourceGroupsView.index": "leads to the list",
    "UsageReportsView.index": "leads to the list",
    "UpfrontView.index": "leads to the list",
    "SubscriptionsView.preview": "the price within the form, seen there",
    "LicensesView.export": "a file",
    "MovementsView.export": "a file",
    "HoldingsView.export": "a file",
    "ArticlesView.export": "a file",
    "LicenseTypesView.export": "a file",
    "PlansView.export": "a file",
    "ProductsView.export": "a file",
    "SubscriptionsView.export": "a file",
    "ResourceGroupsView.export": "a file",
    "UsageReportsView.export": "a file",
    "UpfrontView.export": "a file",
    "ApiKeysView.index": "leads to the list",
    "ApiKeysView.export": "a file",
    "WebhooksView.index": "leads to the list",
    "WebhooksView.export": "a file",
    "DeliveriesView.index": "leads to the list",
    "DeliveriesView.export": "a file",
    "AccountsView.export": "a file",
    "MembersView.export": "a file",
    "OutboxView.export": "a file",
    "HistoryView.export": "a file",
    "ExportsView.show": "a line of the page, fetched again and again",
    "ExportsView.file": "a file",
    "ImportsView.progress": "a line of the page, fetched again and again",
    "InvitationImportsView.progress": "a line of the page, fetched again and again",
    "HoldingImportsView.progress": "a line of the page, fetched again and again",
    "InvitationsView.export": "a file",
    "OrdersView.index": "leads to the list",
    "OrdersView.export": "a file",
    "FulfilmentsView.index": "leads to the list",
    "FulfilmentsView.export": "a file",
    "OutboxView.preview": "the mail itself, in a frame of the message's page",
}
ON_A_PHONE = {
    "/invitations/import/{people}", "/holdings/import/{gifts}",
    "/exports/", "/accounts/import/", "/accounts/import/{upload}", "/accounts/import/{upload}/columns",
    "/login/", "/forgot/", "/reset/{reset}", "/", "/accounts/list/", "/accounts/list/?q=e&_flt_0_kind=customer",
    "/accounts/show/{fjordline}", "/accounts/add", "/accounts/hold/{kuestenfunk}", "/accounts/move/{kuestenfunk}",
    "/accounts/move/{kuestenfunk}?to={fjordline}", "/members/list/", "/roles/", "/history/list/", "/settings/",
    "/articles/edit/{article}", "/licenses/list/", "/licenses/show/{license}", "/plans/list/", "/holdings/list/",
    "/security/", "/security/second-factor", "/outbox/show/{message}", "/no-such-page", "/login/code/",
    "/join/{for_somebody_new}", "/join/{for_gregor}", "/accounts/edit/{kuestenfunk}", "/invitations/list/",
    "/invitations/add", "/members/leave", "/properties/", "/properties/add", "/properties/add?type=money",
    "/properties/edit/{choices}", "/properties/convert/{text}?type=choice", "/views/edit/{view}",
    "/accounts/list/?view={view}&sort=-name",
    "/api-keys/add", "/api-reference/", "/webhooks/list/", "/webhooks/add", "/webhooks/show/{webhook}",
    "/webhook-deliveries/show/{delivery}", "/relationships/add", "/managers/list/", "/deadlines/",
    "/orders/new", "/orders/plan/{draft}", "/orders/customer/{draft}",
    "/orders/summary/{draft}", "/orders/show/{order}", "/orders/products/{purchase}", "/fulfilments/board",
}  # fmt: skip


def test_every_page_there_is_is_looked_at(app):
    """Add a new page to PAGES, or to NOT_LOOKED_AT with the reason."""
    rules = [rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/api/")]  # those are for programs
    there_are = {rule.endpoint for rule in rules if "GET" in rule.methods}
    places = app.url_map.bind("127.0.0.1")
    addresses = [re.sub(r"\{(\w+)\}", "1", address.partition("?")[0]) for _who, some in PAGES for address in some]
    looked_at = {places.match(address)[0] for address in addresses if address != "/no-such-page"}

    assert there_are - looked_at - set(NOT_LOOKED_AT) == set()
    assert set(NOT_LOOKED_AT) <= there_are - looked_at, "these are looked at, or no longer there"


@in_both_languages
def test_every_page_is_for_everybody(app, new_browser, locale):
    places = furnish(app)
    page = new_browser()
    findings = []

    for person, addresses in PAGES:
        page.context.clear_cookies()
        if person:
            sign_in(page, person)
        for address in addresses if locale == "en" else filter(ON_A_PHONE.__contains__, addresses):
            page.goto(full(address, person).format(**places))
            findings += look(page, address, locale, dark=address in ON_A_PHONE)
            if address in ON_A_PHONE:
                page.set_viewport_size(PHONE)
                findings += look(page, f"{address} on a phone", locale, light=False, dark=False)
                page.set_viewport_size(DESK)
            if address == "/login/code/":
                enter_code(page, EVE)

    assert not findings, "\n".join(findings)


def test_faults_are_found(site, chromium):
    """The negative control: whoever looks here sees a missing label, a wrong language, a breach of the policy."""
    watch, context = Watch(), chromium.new_context(base_url=site.address, viewport=PHONE)
    watch.follow(context)
    page = context.new_page()
    page.goto("/login/")

    page.evaluate("""() => {
        document.querySelector("label[for=email]").remove();
        document.documentElement.lang = "fr";
        document.title = "Kontor";
        document.querySelector("h1").textContent = "wide".repeat(300);
        document.querySelector("h1").className = "text-nowrap";
        document.querySelector("h1").style.color = "black";
        document.querySelector("form").insertAdjacentHTML("beforeend", "<p style='color: red'>red</p>");
    }""")
    found = "\n".join(look(page, "sign-in", "en"))
    context.close()

    assert "sign-in in dark: color-contrast" in found and "sign-in: color-contrast" not in found
    for fault in ("label", "does not say that it is in en", "its title is", "wider than the screen"):
        assert fault in found
    assert any("content policy: style-src" in complaint for complaint in watch.complaints)


# --- what opens on them ----------------------------------------------------------------------------------------


def filters(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/?_flt_0_name=e&_flt_1_kind=partner&_flt_0_created_at=~year")
    if page.locator(".k-filters.is-open").count() == 0:  # a panel once opened stays open in its tab
        page.locator("[data-filters]").click()
    expect(page.locator(".k-filters.is-open")).to_be_visible()


def picked_filter(page: Page) -> None:
    filters(page)
    page.locator(".k-filters .ts-control input").first.click()
    expect(page.locator(".ts-dropdown .option").first).to_be_visible()


def add_dialog(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/")
    page.locator("[data-add]").click()
    expect(page.locator("#dialog[open] [name=name]")).to_be_focused()


def refused_dialog(page: Page) -> None:
    add_dialog(page)
    page.keyboard.press("Enter")
    expect(page.locator("#dialog [aria-invalid=true]").first).to_be_visible()


def countries(page: Page) -> None:
    add_dialog(page)
    page.locator("#dialog .ts-control").first.click()
    expect(page.locator(".ts-dropdown .option").first).to_be_visible()


def chosen_rows(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/")
    page.locator("tbody [name=rowid]").first.check()
    expect(page.locator(".k-bulk.is-open")).to_be_visible()


def question(page: Page) -> None:
    chosen_rows(page)
    page.locator(".k-bulk [value=archive]").click()
    expect(page.locator("#confirm[open]")).to_be_visible()


def all_chosen(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/?size=2")
    page.locator("[data-choose-all]").check()
    page.locator("button[data-choose-matching]").click()
    page.locator(".k-bulk [value=archive]").click()
    expect(page.locator("#confirm[open]")).to_be_visible()


def columns(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/?cols=name,city&sort=name,-city")
    page.locator("[data-opens]").click()
    expect(page.locator(".k-columns-dialog[open]")).to_be_visible()


def save_view(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/?sort=-name")
    page.locator("a[href*='/views/add']").click()
    expect(page.locator("#dialog[open] [name=name]")).to_be_focused()


def view_menu(page: Page) -> None:
    """A view at hand that has been changed, one's usual, and all that can be done with it."""
    with cast.acting_as(ALICE) as alice:
        (view,) = saved_views.views_of("accounts", by=alice)
        saved_views.open_with("accounts", view, by=alice)
        pk = view.id
    page.goto(f"/a/nordlicht/accounts/list/?view={pk}&sort=-name")
    page.locator(".k-view-deeds .dropdown > button").click()
    expect(page.locator(".k-view-deeds .dropdown-menu")).to_be_visible()


def sections(page: Page) -> None:
    page.goto(f"/a/nordlicht/accounts/show/{cast.account_id('fjordline')}")
    for section in page.locator("[data-lazy]").all():
        section.scroll_into_view_if_needed()
        expect(section.locator(".k-skeleton")).to_have_count(0)


def shortcuts(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/")
    page.locator("tbody tr").first.wait_for()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts[open]")).to_be_visible()


def use_tool(page: Page, tool: str) -> None:
    """A button at the head of a list; on a phone they are behind one."""
    if page.viewport_size == PHONE:
        page.locator(".dropdown.d-md-none > button").click()
    page.locator(f"{tool}:visible").first.click()


def edit_table(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/")
    use_tool(page, "a[href$='/properties/'][data-modal]")
    expect(page.locator("#dialog[open] .k-properties li").first).to_be_visible()


def archived_properties(page: Page) -> None:
    edit_table(page)
    page.locator("#dialog .k-archived summary").click()
    expect(page.locator("#dialog .k-archived li")).to_be_visible()


def property_types(page: Page) -> None:
    edit_table(page)
    page.locator("#dialog a[href$='/properties/add']").click()
    expect(page.locator("#dialog .k-types li")).to_have_count(len(PropertyType))


def choices_form(page: Page) -> None:
    property_types(page)
    page.locator("#dialog a[href$='type=choice']").click()
    expect(page.locator("#dialog [name=label_en]")).to_be_focused()


def refused_property(page: Page) -> None:
    choices_form(page)
    page.keyboard.press("Enter")
    expect(page.locator("#dialog [aria-invalid=true]").first).to_be_visible()


def misfits(page: Page) -> None:
    edit_table(page)
    page.locator("#dialog a[href*='/properties/convert/']").first.click()
    page.locator("#dialog a[href$='type=integer']").click()
    page.locator("#dialog .btn-primary").click()
    expect(page.locator("#dialog .k-misfits tbody tr").first).to_be_visible()


def invite_dialog(page: Page) -> None:
    page.goto("/a/nordlicht/members/list/")
    use_tool(page, "a[href$='/invitations/add']")
    expect(page.locator("#dialog[open] [name=email]")).to_be_focused()


def account_switcher(page: Page) -> None:
    page.goto("/a/nordlicht/")
    page.locator("button.k-account").click()
    expect(page.locator("#account-choices")).to_be_visible()


def own_menu(page: Page) -> None:
    page.goto("/a/nordlicht/")
    page.locator(".k-topbar-end .dropdown > button").last.click()
    expect(page.locator(".k-menu-head")).to_be_visible()


def page_sizes(page: Page) -> None:
    page.goto("/a/nordlicht/accounts/list/")
    page.locator(".k-paging .dropdown-toggle").click()
    expect(page.locator(".k-paging .dropdown-menu")).to_be_visible()


def recovery_codes(page: Page) -> None:
    page.goto("/a/nordlicht/security/second-factor")
    page.locator("[name=current]").fill(PASSWORD)
    secret = page.locator("#secret").inner_text().replace(" ", "")
    page.locator("[name=code]").fill(TOTP(secret).now())
    page.locator("[name=code]").press("Enter")
    expect(page.locator("#codes li")).to_have_count(10)


def menu(page: Page) -> None:
    page.goto("/a/nordlicht/")
    page.locator("[data-bs-toggle=offcanvas]").click()
    expect(page.locator("#sidebar")).to_have_class(re.compile(r"\bshow\b(?!ing)"))


def revealed_contacts(page: Page) -> None:
    """What a viewer sees of an account, once, and somebody else must sign in for it: the last of all."""
    page.context.clear_cookies()
    sign_in(page, VERA)
    page.goto(f"/a/nordlicht/accounts/show/{cast.account_id('fjordline')}")
    page.locator("form[action*='/reveal/'] button:visible").first.click()
    expect(page.locator("#flashes")).not_to_be_empty()


OPENED: list[tuple[Callable[[Page], None], bool, bool]] = [  # what, on a desk, on a phone
    (filters, True, True),
    (picked_filter, True, True),
    (add_dialog, True, True),
    (refused_dialog, True, True),
    (countries, True, False),
    (chosen_rows, True, True),
    (question, True, True),
    (all_chosen, True, True),
    (columns, True, True),
    (save_view, True, True),
    (view_menu, True, False),
    (sections, True, True),
    (shortcuts, True, False),
    (edit_table, True, True),
    (archived_properties, True, True),
    (property_types, True, True),
    (choices_form, True, True),
    (refused_property, True, True),
    (misfits, True, True),
    (invite_dialog, True, True),
    (account_switcher, True, True),
    (own_menu, True, False),
    (page_sizes, True, False),
    (menu, False, True),
    (recovery_codes, True, False),
    (revealed_contacts, True, False),
]


@in_both_languages
def test_so_is_everything_that_opens_on_them(app, new_browser, locale):
    furnish(app)
    page = new_browser()
    sign_in(page, ALICE)
    findings = []

    for open_it, on_a_desk, on_a_phone in OPENED:
        for where, size in [("on a desk", DESK if on_a_desk else None), ("on a phone", PHONE if on_a_phone else None)]:
            if size:
                page.set_viewport_size(size)
                open_it(page)
                new = size is DESK or not on_a_desk
                findings += look(page, f"{open_it.__name__} {where}", locale, light=new, dark=new)

    assert not findings, "\n".join(findings)


# --- looking ---------------------------------------------------------------------------------------------------


def look(page: Page, where: str, locale: str, *, light: bool = True, dark: bool = True) -> Iterator[str]:
    """What is wrong with the page as it stands; of its colours, where they have not been looked at already."""
    expect(page.locator(".htmx-request")).to_have_count(0)
    if locale == "en":
        yield from judge(page, where, {"runOnly": RULES, "rules": {CONTRAST: {"enabled": light}}})
        if dark:
            page.emulate_media(color_scheme="dark")
            expect(page.locator("html[data-bs-theme=dark]")).to_have_count(1)
            yield from judge(page, f"{where} in dark", {"runOnly": [CONTRAST]})
            page.emulate_media(color_scheme="light")
    if page.locator("html").get_attribute("lang") != locale:
        yield f"{where}: the page does not say that it is in {locale}"
    if not re.fullmatch(r"\S.* · Kontor", page.title()):
        yield f"{where}: its title is “{page.title()}”"
    if page.viewport_size == PHONE:
        for element in page.evaluate(TOO_WIDE):
            yield f"{where}: wider than the screen: {element}"


def judge(page: Page, where: str, by: dict) -> Iterator[str]:
    """What axe finds by these rules."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    for rule, meaning, nodes in page.evaluate(RUN_AXE, by):
        yield f"{where}: {rule}, {meaning}: {json.dumps(nodes, ensure_ascii=False)}"


def full(address: str, person: Person | None) -> str:
    return address if person is NOBODY or address.startswith(WITHOUT_ACCOUNT) else f"/a/{person.slug}{address}"


def enter_code(page: Page, person: Person) -> None:
    page.locator("[name=code]").fill(code_of(person))
    page.locator("[name=code]").press("Enter")
    page.wait_for_url("**/a/**")


def furnish(app) -> dict[str, str | int]:
    """People, a mail and a link to look at; answers what stands in the addresses."""
    cast.hire(VERA.email, "nordlicht", Role.VIEWER, "Vera Voss")
    cast.hire(EVE.email, "nordlicht", Role.MANAGER, "Eve Evers")
    cast.hire(GREGOR.email, "nordlicht", Role.SALES, "Gregor Gehrke")
    cast.hire(ALICE.email, "deichbau", Role.VIEWER)
    give_second_factor(EVE)
    _remove(GREGOR)
    with cast.acting_as(ALICE) as alice:
        holds.put_on_hold(cast.account_called("fjordline"), HoldKind.FINANCIAL, reason="Two are overdue", by=alice)
        holds.put_on_hold(cast.account_called("deichbau"), HoldKind.ADMINISTRATIVE, reason="No papers", by=alice)
    with unscoped("addresses to look at", writes=False) as session:
        entry = session.scalar(select(LogEntry.id).where(LogEntry.account_id == cast.account_id("nordlicht")).limit(1))
        member = session.scalar(select(Member.id).where(Member.user_id == user_of(VERA).id))
    Tab(app).post("/forgot/", email=BOB.email)
    message = messages_to(BOB)[-1]
    return _define_and_invite() | _offered_and_used() | _uploaded_deeds() | _ordered() | _hooked() | {
        "kuestenfunk": cast.account_id("kuestenfunk"),
        "fjordline": cast.account_id("fjordline"),
        "member": member,
        "entry": entry,
        "message": message.id,
        "reset": _secret_in(message),
        "upload": _uploaded(),
    }


def _hooked() -> dict[str, int]:
    """A webhook with a delivery that has been tried once."""
    number, _secret = receiving.hook("https://erp.nordlicht.example/kontor")
    with cast.acting_as(ALICE):
        delivery = webhooks.send_test(db.session.get(Webhook, number))
    with unscoped("a try of the webhook"):
        call = deliveries.claim(number)
        deliveries.settle(call.delivery_id, call.attempt, Answer(Outcome.REFUSED, 500, "Out of order", 143))
    return {"webhook": number, "delivery": delivery.id}


def _uploaded() -> int:
    """A file on its way in, with a row of each kind; and an export that waits beside one that is ready."""
    browser = cast.browse(ALICE)
    file = io.BytesIO("Name,E-mail\nKüstenfunk,new@kuestenfunk.example\nNeufunk,\nDeichbau,nobody\n".encode())
    answer = browser.post("/accounts/import/", data={"file": (file, "customers.csv")})
    browser.post("/exports/add?of=AccountsView")
    exporting.make_due()
    browser.post("/exports/add?of=MembersView")
    return int(answer.headers["Location"].rpartition("/")[2])


def _uploaded_deeds() -> dict[str, int]:
    """People to invite and articles to give: to be done, left alone, wrong."""
    people = f"E-mail,Role,Account\notto@new.example,Viewer,Fjordline\n{ALICE.email},Viewer,\nnobody,Viewer,\n"
    gifts = "Account,Article number,Quantity\nDeichbau,ART-1,3\nKüstenfunk,ART-9,1\n"
    found = {}
    for name, person, noun, text in (("people", ALICE, "invitations", people), ("gifts", DORA, "holdings", gifts)):
        file = (io.BytesIO(text.encode()), f"{name}.csv")
        answer = cast.browse(person).post(f"/{noun}/import/", data={"file": file})
        found[name] = int(answer.headers["Location"].rpartition("/")[2])
    return found


def _define_and_invite() -> dict[str, str | int]:
    """A property of each type, filled in; invitations for somebody new, somebody known, a colleague."""
    choices = [{"label_en": "Gold", "label_de": "Gold"}, {"label_en": "Silver", "label_de": "Silber"}]
    with cast.acting_as(ALICE) as alice:
        own = {}
        for type_ in PropertyType:
            facts = {"choices": choices} if type_.has_choices else {}
            facts |= {"help_en": "What the customer says.", "required": type_ is PropertyType.TEXT}
            facts |= {"as_column": type_ not in {PropertyType.LONG, PropertyType.PHONE}}
            own[type_.value] = properties.define(type_, by=alice, label_en=f"A {type_.value}", **facts)
        some = {"text": "Wind and sun", "integer": 7, "money": Decimal("1234.5"), "date": date(2026, 1, 31)}
        some |= {"flag": True, "choice": "gold", "choices": ["gold", "silver"], "url": "kontor.example"}
        values.write(cast.account_called("kuestenfunk"), {own[name]: value for name, value in some.items()})
        archived = properties.define(PropertyType.TEXT, by=alice, label_en="Out of the table")
        properties.archive(archived, by=alice)
        for email in ("nina@new.example", GREGOR.email):
            invitations.invite(email, role=Role.SALES, account=alice.account, by=alice)
        view = saved_views.save("A to Z", of_list="accounts", query="sort=name", shared=True, by=alice)
        mistyped = invitations.invite("nina@nwe.example", role=Role.SALES, account=alice.account, by=alice)
        invitations.withdraw(mistyped, by=alice)
        places: dict[str, str | int] = {name: definition.id for name, definition in own.items()}
        places["view"] = view.id
    with cast.acting_as(BOB) as bob:
        invitations.invite(VERA.email, role=Role.VIEWER, account=bob.account, by=bob)
    for name, email in [("somebody_new", "nina@new.example"), ("gregor", GREGOR.email), ("vera", VERA.email)]:
        places[f"for_{name}"] = _secret_in(messages_to(Person(email, ""))[-1])
    return places


def _offered_and_used() -> dict[str, int]:
    """An article, what it gave to Küstenfunk, and some of that in use."""
    type_ = stock.license_type(policy=Policy.OVERAGE, percent=10)
    article, plan = stock.article(grants={type_: 20}), stock.plan()
    stock.give(article, "kuestenfunk")
    with cast.acting_as(BOB) as bob:
        license = db.session.scalars(select(License)).one()
        for number in range(3):
            licenses.consume(license, 6, reference=f"Greenhouse {number}", by=bob)
    return {"type": type_, "article": article, "plan": plan, "license": license.id} | _subscribed()


def _subscribed() -> dict[str, int | str]:
    """A subscription of several parts, one in its free month, one with a link to activate it, one to call about."""
    amounts = {"base": Decimal("49.9"), "users": Decimal("3.33"), "upfront": Decimal(900), "infrastructure": Decimal(9)}
    plan = stock.plan("cloud", amounts=amounts, included_users=3, trial_months=1, limit_disk=20)
    number, other = stock.subscription(plan, users=5), stock.subscription(plan, title="Other")
    waiting = stock.subscription(plan, title="Waiting", pending=True)
    free = stock.subscription(plan, title="Free", postponed=True)
    with cast.acting_as(BOB) as bob:
        group = resource_groups.add(db.session.get(Subscription, number), "Pier 4")
        usage.report(db.session.get(Subscription, number), 7, by=bob)
        called = upfront.ask(db.session.get(Subscription, number), by=bob)
        paid = upfront.ask(db.session.get(Subscription, waiting), by=bob)
        places: dict[str, int | str] = {"subscription": number, "other": other, "free": free, "group": group.id}
        places |= {"request": called.id, "product": db.session.get(Plan, plan).product_id}
        wanted = paid.id
    with cast.acting_as(DORA) as dora:
        upfront.note_payment(db.session.get(UpfrontRequest, wanted), on=stock.today(), reference="", by=dora)
    with unscoped("reading a mail", writes=False) as session:
        token = session.get(Token, session.get(UpfrontRequest, wanted).token_id)
        return places | {"link": tokens.secret_of(token)}


def _ordered() -> dict[str, int | str]:
    """An order at every stop: a draft, placed, completed, with a task at work; and drafts of the other kinds."""
    plan, edge = buying.plan_of("cloud"), buying.plan_of("on-premise", period="yearly", renewal_window=366)
    buying.subscription(edge, starts_on=stock.today() - timedelta(days=1))
    done = buying.fulfilled(buying.placed(plan))
    order = buying.placed(plan, slug="kuestenfunk", domain="kuestenfunk.example", to_customer=False)
    failed = buying.placed(plan, slug="kuestenfunk", domain="failed.example", to_customer=False)
    (task,), (other,) = buying.tasks(order), buying.tasks(failed)
    for one in (task, other):
        buying.work("take", one)
    buying.work("fail", other, reason="No data center has room")
    buying.priced("USR-5")
    with unscoped("reading a mail", writes=False) as session:
        credential = session.scalars(select(Credential).order_by(Credential.id)).first()
        secret = tokens.secret_of(session.get(Token, credential.token_id))
    return {
        "done": done, "order": order, "task": task, "credentials": secret,
        "draft": buying.draft(plan, new=buying.NEUFUNK | {"name": "Draft"}, domain="draft.example"),
        "renewal": buying.begun(OrderKind.RENEW), "purchase": buying.begun(OrderKind.LICENSES),
    }  # fmt: skip


def _remove(person: Person) -> None:
    with cast.acting_as(ALICE) as alice:
        gone = db.session.scalar(select(Member).join(Member.user).where(User.email == person.email))
        members.remove(gone, by=alice)


def _secret_in(message: Message) -> str:
    with unscoped("reading a mail", writes=False) as session:
        return tokens.secret_of(session.get(Token, message.token_id))
