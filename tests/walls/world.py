"""The world of the matrix: the cast's accounts, every row of every table told apart by a canary, and who knocks.

A canary is a word `canary-<whose>-<table>-<column>` in every text column of a row; `whose` is the account's slug, or
the actor's name where a row is a person's own. Where such a word turns up tells what leaked, from whom, out of which
table. Who may see it is said here once more, in other words than the wall's, so that the two check each other.
"""

from __future__ import annotations

import io
import re
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from html import unescape
from typing import Any
from urllib.parse import unquote

from flask import Flask
from flask.testing import FlaskClient
from flask_appbuilder import Model
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Column, Connection, Enum, String, Table, UniqueConstraint, select, update
from sqlalchemy.orm import Session, joinedload

from app import clock, files, sheets, tokens
from app.extensions import db
from app.models import (
    Account,
    AccountImport,
    ApiAnswer,
    ApiKey,
    Article,
    ArticlePrice,
    Calculation,
    Consent,
    Credential,
    DeliveryStatus,
    EndedBy,
    EventKind,
    Export,
    ExportStatus,
    Fulfilment,
    Grant,
    Hold,
    Holding,
    HoldKind,
    ImportKind,
    ImportStatus,
    Invitation,
    Kind,
    License,
    LicenseMovement,
    LicenseStatus,
    LicenseType,
    LinkRequest,
    LogEntry,
    Login,
    Member,
    Message,
    MessageStatus,
    MovementKind,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
    PaymentMode,
    Plan,
    PlanPrice,
    Policy,
    Product,
    ProductType,
    Property,
    PropertyType,
    Purpose,
    RecoveryCode,
    Relationship,
    ResourceGroup,
    Role,
    SavedView,
    Subscription,
    SubscriptionStatus,
    Throttle,
    Token,
    UpfrontRequest,
    UpfrontStatus,
    UsageReport,
    UsageSource,
    User,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)
from app.permissions import BY_PROGRAMS, allows
from app.services import accounts
from app.tenancy import Scope, scope_for, unscoped
from tests import cast

Rows = dict[tuple[str, int], dict[str, Any]]

CANARY = re.compile(r"canary-([a-z]+)-([a-z_]+)-([a-z_]+)")
CSRF = "00112233445566778899aabbccddeeff"
LOADS = (joinedload(Member.user), joinedload(Member.account))
ARCHIVED = "gestern"
OF_ACCOUNTS = {Purpose.INVITATION, Purpose.CONSENT, Purpose.ACTIVATION, Purpose.CREDENTIALS}  # tokens their deeds issue
PARENT = {
    "nordlicht": "kontor", "kuestenfunk": "nordlicht", "deichbau": "nordlicht", "fjordline": "nordlicht",
    "gestern": "nordlicht", "bergen": "fjordline", "alpenwerk": "kontor", "gletscherbau": "alpenwerk",
}  # fmt: skip

SLUGS = ("kontor", *PARENT)

# Texts that keep their meaning: addresses, codes of a fixed form, what is compared with something.
PLAIN = {
    "slug", "country", "language", "time_zone", "currency", "locale", "path", "account_path", "partner_path", "action",
    "view", "noun", "query", "format", "file", "of_list", "id",
}  # fmt: skip

# Nobody is ever shown columns that begin like this, not even of their own rows.
NEVER_SHOWN = {
    "account": ("name_key", "name_sort", "words"),
    "ab_user": ("password", "totp"),
    "login": ("key_hash",),
    "message": ("message_id",),
    "property": ("label_en_key", "label_de_key"),
    "api_key": ("secret_hash",),
    "saved_view": ("name_key", "query"),
    "credential": ("password_hash",),
    "purchase": ("form_key", "claimed_domain"),
    "webhook": ("nonce", "former_nonce"),
}

# What only the account itself sees, nobody above.
INSIDE = {
    "log_inside", "message", "api_key", "api_answer", "export", "account_import", "saved_view", "webhook",
    "webhook_delivery",
}  # fmt: skip

# The table a canary names, and the permission without which its rows are not shown; other tables never are.
NEEDS = {
    "account": "account.list",
    "hold": "account.list",
    "member": "member.list",
    "invitation": "invitation.list",
    "property": "account.list",  # a column of the list; where it is defined needs more
    "ab_user": "member.list",
    "log_entry": "history.list",
    "log_inside": "history.list",
    "message": "message.list",
    "export": "export.list",
    "account_import": "invitation.import",  # whoever may import anything; of which kind, the address asks
    "holding": "holding.list",
    "license": "license.list",
    "license_movement": "license_movement.list",
    "article": "holding.list",  # whoever sees what was acquired reads its name
    "license_type": "license.list",
    "product": "subscription.list",  # whoever sees what was agreed on reads what it is about
    "subscription": "subscription.list",
    "resource_group": "resource_group.list",
    "upfront_request": "upfront_request.list",
    "usage_report": "usage_report.list",
    "plan": "subscription.list",
    "api_key": "api_key.list",
    "saved_view": "saved_view.list",
    "relationship": "manager.list",
    "purchase": "order.list",
    "order_line": "order.list",
    "webhook": "webhook.list",
    "webhook_delivery": "webhook.list",
    "fulfilment": "order.list",  # how a line stands is part of its order
}

# Who lets whom in, to what: Gletscherbau, a customer of Alpenwerk, lets Fjordline see its licenses, and see and change
# its subscriptions and orders. All the others once let somebody see everything; that is over.
LET_IN = {("gletscherbau", "fjordline"): ("view", "subscriptions", "orders", "licenses")}
CHANGED_BY_CONSENT = {
    "subscription": ("subscriptions",), "resource_group": ("subscriptions",), "upfront_request": ("subscriptions",),
    "usage_report": ("subscriptions",),
    "purchase": ("orders",), "order_line": ("orders",), "fulfilment": ("orders",),
    "calculation": ("subscriptions", "orders"),
}  # fmt: skip
BY_CONSENT = CHANGED_BY_CONSENT | {
    "account": ("view",), "searched_text": ("view",),
    "license": ("licenses",), "holding": ("licenses",), "license_movement": ("licenses",),
}  # fmt: skip

# What is masked for those who may not see contacts.
CONTACTS = {
    ("account", "contact"), ("account", "email"), ("account", "phone"), ("account", "street"), ("ab_user", "email"),
    ("invitation", "email"), ("message", "recipient"), ("log_entry", "changes"), ("log_inside", "changes"),
}  # fmt: skip


def partner_of(slug: str) -> str:
    return {"fjordline": "alpenwerk", "bergen": "nordlicht", "gestern": "kontor"}.get(slug, "fjordline")


# Of the account above, what its customers' portal tells.
OFFICE = {"name", "contact", "email", "phone", "website"}

# What everybody reads who is anybody, and the operator alone writes; it stands in the operator's account.
CATALOGUE = {"article", "license_type", "plan", "article_grant", "product", "plan_price", "article_price"}

# Can be changed no more, so their rows are born with canaries.
ADDED_TO = {"log_entry", "license_movement", "calculation", "usage_report"}


@dataclass(frozen=True)
class Actor:
    """Somebody who knocks at `/a/<slug>/`."""

    name: str
    slug: str
    role: Role | None = None  # there; none: they are no member
    known: bool = True  # whether their cookie opens anything at all
    member_of: str = ""  # where they are a member instead
    stands_as: str = ""  # whose standing they share at most endpoints

    @property
    def is_below(self) -> bool:
        """A lesser role in the account that the Administrator is of."""
        return self.role not in {None, Role.ADMINISTRATOR}

    @property
    def key(self) -> str:
        return f"the-cookie-of-{self.name}"

    @property
    def secret(self) -> str:
        """Of the API key they made while they could."""
        return f"kontor_the-key-of-{self.name}"

    @property
    def has_key(self) -> bool:
        """Everybody who was a member once; who has merely signed out lets the program go on."""
        return self.name not in {"anonymous", "gone", "neighbour"}

    @property
    def email(self) -> str:
        return f"{self.name}@canary-{self.home}-ab_user-email.example"

    @property
    def home(self) -> str:
        return self.member_of or self.slug

    @property
    def chronicle(self) -> str:
        """The account whose history tells of their sign-ins; the operator's where no other is left."""
        return self.home if self.role or self.member_of else "kontor"

    def __str__(self) -> str:
        return self.name


ADMIN = Role.ADMINISTRATOR
ACTORS = [
    Actor("anonymous", "nordlicht", known=False),
    *(Actor(role.value, "nordlicht", role) for role in reversed(Role)),
    Actor("parent", "kontor", ADMIN),
    Actor("partner", "fjordline", ADMIN, stands_as="sibling"),  # a child that manages accounts of its own
    Actor("child", "kuestenfunk", ADMIN, stands_as="sibling"),
    Actor("sibling", "alpenwerk", ADMIN),
    Actor("stranger", "gletscherbau", ADMIN, stands_as="child"),
    Actor("neighbour", "nordlicht", member_of="alpenwerk", stands_as="removed"),  # knocks at somebody else's door
    Actor("removed", "nordlicht"),  # was its Administrator until now; the cookie lives
    Actor("leaver", "gestern", stands_as="removed"),  # Administrator of an archived account
    Actor("gone", "nordlicht", known=False, stands_as="anonymous"),  # signed out, and kept the cookie
    Actor("suspended", "nordlicht", known=False, stands_as="anonymous"),
]
NEWCOMERS = [actor for actor in ACTORS if actor.name != "anonymous"]  # all who ever had a cookie


# --- building it -----------------------------------------------------------------------------------------------


def build() -> None:
    """The cast's world, with rows of every table in every account; then every text becomes a canary."""
    cast.build()
    with unscoped("building the matrix's world"):
        nordlicht = cast.account_called("nordlicht")
        accounts.open_account("Gestern", parent=nordlicht, by=None, slug=ARCHIVED)
        db.session.flush()
        for actor in NEWCOMERS:
            cast.add_member(f"{actor.name}@x.example", actor.name, cast.account_called(actor.home), actor.role or ADMIN)
        _fill_catalogue(cast.account_called("kontor"))
        for account in db.session.scalars(select(Account)).all():
            _fill(account)
        for account in db.session.scalars(select(Account)).all():
            _tell_of(account)
    with unscoped("putting some of them out") as session:
        _let_go(session)
    with unscoped("letting the canaries in") as session:
        _let_canaries_in(session)


def _fill_catalogue(kontor: Account) -> None:
    """One offer of each kind, in the operator's account."""
    names = {"name_en": "", "name_de": ""}
    type_ = LicenseType(account=kontor, **names, key="x", policy=Policy.OVERAGE, overage_percent=20)
    article = Article(account=kontor, **names, number="x", created_at=clock.now())
    article.grants.append(Grant(account=kontor, type=type_, quantity=7))
    day = clock.today()
    article.prices.append(ArticlePrice(account=kontor, currency="EUR", valid_from=day, unit_minor=100))
    product = Product(account=kontor, **names, key="x", type=ProductType.SAAS, created_at=clock.now())
    plan = Plan(account=kontor, product=product, **names, key="x", trial_months=1)
    amounts = {"base_minor": 100, "upfront_minor": 900, "infrastructure_minor": 30}
    plan.prices.append(PlanPrice(account=kontor, currency="EUR", valid_from=day, **amounts))
    db.session.add_all([type_, article, product, plan])
    db.session.flush()


def _fill_licenses(account: Account) -> None:
    """An article acquired, what it gave, and some of that in use."""
    now, article = clock.now(), db.session.scalars(select(Article)).one()
    day = now.date()
    holding = Holding(account=account, article=article, quantity=1, acquired_on=day, created_at=now)
    license = License(
        account=account, holding=holding, article=article, type=article.grants[0].type, public_id=account.slug,
        quantity=7, ceiling=8, in_use=1, valid_from=day, created_at=now, reason="x",
        status=LicenseStatus.SUSPENDED, suspended_by_id=account.id,
    )  # fmt: skip
    movement = LicenseMovement(account=account, license=license, at=now, kind=MovementKind.CONSUMED, quantity=1)
    movement.in_use = 1
    _let_canary_in(movement, account.slug, "license_movement")
    account.plan = db.session.scalars(select(Plan)).one()
    db.session.add_all([holding, license, movement])


def _fill_subscriptions(account: Account) -> None:
    """A subscription with a part, the wish to pay it upfront, and some usage reported."""
    now, plan = clock.now(), db.session.scalars(select(Plan)).one()
    day = now.date()
    tax = {"what": "tax", "rate": "0", "case": "domestic", "amount": "0"}
    calculation = Calculation(account=account, currency="EUR", lines=[tax], net_minor=7, tax_minor=0, gross_minor=7)
    calculation.created_at = now
    subscription = Subscription(
        account=account, public_id=account.slug, title="x", plan=plan, currency="EUR", created_at=now,
        payment_mode=PaymentMode.PREPAID, status=SubscriptionStatus.ACTIVE, anchored_on=day, starts_on=day,
        billed_from=day, ends_on=day + timedelta(days=30), calculation=calculation,
    )  # fmt: skip
    db.session.add_all([calculation, subscription])
    db.session.flush()
    group = ResourceGroup(account=account, subscription_id=subscription.id, name="x", created_at=now)
    request = UpfrontRequest(
        account=account, subscription_id=subscription.id, status=UpfrontStatus.REQUESTED, currency="EUR",
        amount_minor=900, calculation=calculation, requested_at=now, requested_by="",
    )  # fmt: skip
    report = UsageReport(account=account, subscription_id=subscription.id, at=now, users=7, source=UsageSource.API)
    _let_canary_in(report, account.slug, "usage_report")
    db.session.add_all([group, request, report])


def _fill_orders(account: Account) -> None:
    """A draft; and an order placed, with its line, its task, and credentials on their way."""
    now, plan = clock.now(), db.session.scalars(select(Plan)).one()
    author = db.session.scalars(select(Member).where(Member.account_id == account.id)).first()
    draft, order = (
        Order(
            account=account, public_id=f"{account.slug}-{status}", form_key=status.value, kind=OrderKind.SUBSCRIBE,
            plan=plan, product_type=ProductType.SAAS, answers={}, customer="x", author_id=author.user_id, author="x",
            author_account_id=account.id, ordered_by="x", currency="EUR", created_at=now, domain="x", status=status,
            administrator="x", reference="x", remark="x", reason="x",
        )
        for status in (OrderStatus.DRAFT, OrderStatus.PLACED)
    )  # fmt: skip
    order.claimed_domain, order.placed_at, order.net_minor, order.gross_minor = account.slug, now, 100, 119
    order.subscription = db.session.scalars(select(Subscription).where(Subscription.account_id == account.id)).first()
    db.session.add(draft)
    db.session.flush()
    token = Token(purpose=Purpose.CREDENTIALS, nonce="", secret_hash=f"{account.slug}-3", account_id=account.id)
    token.created_at, token.expires_at = now, now
    db.session.add_all([order, token])
    db.session.flush()
    line = OrderLine(
        account=account, order_id=order.id, position=1, plan_id=plan.id, name_en="x", name_de="x", quantity=1,
        currency="EUR", unit_minor=100, net_minor=100,
    )  # fmt: skip
    db.session.add(line)
    db.session.flush()
    task = Fulfilment(account=account, order_id=order.id, line_id=line.id, created_at=now, reason="x", address="x")
    credential = Credential(account=account, order_id=order.id, email="x", token_id=token.id, sent_at=now)
    credential.password_hash = "x"  # noqa: S105 a canary takes its place
    db.session.add_all([task, credential])
    _tell_webhooks(account, order)


def _tell_webhooks(account: Account, order: Order) -> None:
    """A webhook that was told of that order, and something that is still to be told."""
    now = clock.now()
    webhook = Webhook(account=account, name="x", url="x", events=["order.placed"], nonce="x", former_nonce="x")
    webhook.created_by, webhook.created_at = "x", now
    db.session.add(webhook)
    db.session.flush()
    event = WebhookEvent(id=account.slug, account_id=account.id, order_id=order.id, kind=EventKind.PLACED, at=now)
    event.body = "x"
    told = WebhookDelivery(
        account=account, webhook_id=webhook.id, message_id=account.slug, event=EventKind.PLACED, order_id=order.id,
        order_number="x", body="x", created_at=now, answer="x", status=DeliveryStatus.FAILED,
    )  # fmt: skip
    canary = f"canary-{account.slug}-webhook_delivery-tries"
    told.tries = [{"at": now.isoformat(), "outcome": "refused", "code": 500, "duration": 1, "answer": canary}]
    db.session.add_all([event, told])


def _let_canary_in(row: Any, whose: str, name: str) -> None:
    """Put a canary into every text of a row that can be changed no more once it is there."""
    for column in type(row).__table__.columns:
        if isinstance(column.type, String) and not isinstance(column.type, Enum) and column.name not in PLAIN:
            setattr(row, column.name, f"canary-{whose}-{name}-{column.name}"[: column.type.length])


def _fill(account: Account) -> None:
    """A row of each kind in that account; history as it will stay, since nobody can change it afterwards."""
    now = clock.now()
    member = db.session.scalars(select(Member).where(Member.account_id == account.id)).first()
    member = member or cast.add_member(f"{account.slug}@x.example", "Some Body", account, Role.VIEWER)
    token = Token(purpose=Purpose.RESET, nonce="", secret_hash=account.slug, account_id=account.id)
    token.user_id, token.created_at, token.expires_at = member.user_id, now, now
    db.session.add_all([token, Throttle(bucket=account.slug, window=1, tries=1)])
    db.session.flush()
    for inside in (False, True):
        entry = LogEntry(at=now, action="account.updated", account=account, inside=inside, actor_id=member.user_id)
        name = "log_inside" if inside else "log_entry"
        _let_canary_in(entry, account.slug, name)
        entry.changes = {"contact": ["", f"canary-{account.slug}-{name}-changes"]}
        db.session.add(entry)
    hold = Hold(account=account, kind=HoldKind.FINANCIAL, reason="", set_at=now, set_by="")
    hold.set_by_account_id, account.financial_hold_at = account.parent_id or account.id, now
    db.session.add(hold)
    texts = dict.fromkeys(("recipient", "subject", "body_text", "body_html"), "")
    message = Message(account=account, message_id=account.slug, token_id=token.id, locale="de", **texts)
    message.status, message.created_at, message.next_try_at = MessageStatus.FAILED, now, now
    db.session.add(message)
    _invite_and_define(account, member)
    _fill_licenses(account)
    _let_in(account, member)
    _fill_subscriptions(account)
    _fill_orders(account)
    for person in db.session.scalars(select(Member).where(Member.account_id == account.id)).all():
        key = tokens.hash_of(f"the-cookie-of-{person.user.email.split('@')[0]}")
        if not db.session.scalar(select(Login.id).where(Login.key_hash == key)):
            db.session.add(Login(user_id=person.user_id, key_hash=key, created_at=now, seen_at=now))
        db.session.add(RecoveryCode(user_id=person.user_id, code_hash=""))
        db.session.add_all([_export(person), _key_of(person, now), _view_of(account, person.user_id, now)])
    db.session.add_all([*(_import(member, kind) for kind in ImportKind), _view_of(account, None, now)])
    answer = ApiAnswer(account=account, caller="", route="", key=account.slug, request_hash="", status=200, body="")
    answer.at = now
    db.session.add(answer)


def _export(person: Member) -> Export:
    """A file that waits for one person."""
    now, name = clock.now(), f"{person.account.slug}-{person.user_id}"
    noun = "account" if person.account.kind.manages_accounts else "member"  # what whoever fetches it may export
    made = Export(account=person.account, user_id=person.user_id, view="MembersView", noun=noun, title="")
    made.file, made.format, made.locale, made.status, made.lease_until = name, "csv", "de", ExportStatus.DONE, now
    made.created_at, made.expires_at = now, now + timedelta(days=1)
    return made


def _import(person: Member, kind: ImportKind) -> AccountImport:
    """A file that somebody has looked at."""
    now, canary = clock.now(), f"canary-{person.account.slug}-account_import-content"
    column = {ImportKind.ACCOUNT: "name", ImportKind.INVITATION: "email", ImportKind.HOLDING: "account"}[kind]
    sheet = sheets.Sheet("", ["Name"], [(2, [canary])])
    taken = AccountImport(account=person.account, user_id=person.user_id, by="", file_name="", mapping=[column])
    taken.kind = kind
    taken.content, taken.plan = sheets.pack(sheet), sheets.packed([])
    taken.locale, taken.status, taken.lease_until = "de", ImportStatus.CHECKED, now
    taken.created_at = taken.checked_at = now
    return taken


def _view_of(account: Account, owner_id: int | None, now: Any) -> SavedView:
    """A saved view of the list that every role sees: somebody's own, or shared."""
    view = SavedView(account=account, of_list="members", name="", owner_id=owner_id, query="")
    view.created_at = now
    return view


def _let_in(account: Account, by: Member) -> None:
    """What the account has agreed on with a partner, and what it asks of somebody itself."""
    now, partner = clock.now(), cast.account_called(partner_of(account.slug))
    lasting = LET_IN.get((account.slug, partner.slug))
    agreed = Relationship(account=account, partner_id=partner.id, client="", partner="", email="", linked_by="")
    agreed.scopes, agreed.created_at = list(lasting or Consent), now - timedelta(days=9)
    if not lasting:
        agreed.ended_at, agreed.ended_by, agreed.told_at = now - timedelta(days=1), EndedBy.CLIENT, now
    partner.has_links = True
    token = Token(purpose=Purpose.CONSENT, nonce="", secret_hash=f"{account.slug}-consent", account_id=account.id)
    token.created_at, token.expires_at = now, now + timedelta(minutes=10)
    db.session.add_all([agreed, token])
    db.session.flush()
    asked = LinkRequest(account_id=account.id, email="", client_id=partner.id, scopes=["view"], token_id=token.id)
    asked.asked_by_id, asked.created_at = by.user_id, now
    db.session.add(asked)


def _key_of(person: Member, now: Any) -> ApiKey:
    """An API key of a person that can do whatever they can."""
    name = person.user.email.partition("@")[0]
    every = [f"{noun}.{verb}" for noun, verbs in BY_PROGRAMS.items() for verb in verbs]
    key = ApiKey(account=person.account, name=name, prefix="", created_by="", scopes=every, created_at=now)
    key.created_by_id, key.expires_at = person.user_id, now + timedelta(days=90)
    key.secret_hash = tokens.hash_of(f"kontor_the-key-of-{name}")
    return key


def _invite_and_define(account: Account, by: Member) -> None:
    """An invitation that can still be accepted, and a property of each kind of word: typed, and somebody's name."""
    now, later = clock.now(), clock.now() + timedelta(days=7)
    token = Token(purpose=Purpose.INVITATION, nonce="", secret_hash=f"{account.slug}-2", account_id=account.id)
    token.created_at, token.expires_at = now, later
    db.session.add(token)
    db.session.flush()
    invitation = Invitation(account=account, email="", role=Role.VIEWER, locale="de", token_id=token.id, inviter="")
    invitation.inviter_id, invitation.inviter_account_id = by.user_id, account.id
    invitation.created_at, invitation.expires_at = now, later
    db.session.add(invitation)
    for type_ in (PropertyType.TEXT, PropertyType.MEMBER):
        labels = dict.fromkeys(("label_en", "label_de"), type_.value)
        db.session.add(Property(account=account, type=type_, key=type_.value, **labels))


def _tell_of(account: Account) -> None:
    """What everybody above, and the account itself, says about it in their properties."""
    kept: dict[str, Any] = {}
    for definition in db.session.scalars(select(Property)):
        home = definition.account
        if account.path.startswith(home.path):
            somebody = db.session.scalar(select(Member.id).where(Member.account_id == home.id).limit(1))
            word = f"canary-{home.slug}-property-kept"
            kept[str(definition.id)] = word if definition.type is PropertyType.TEXT else somebody
    account.properties = kept


def _let_go(session: Session) -> None:
    """The one removed, the one signed out, the one suspended, and those whose account is archived."""
    person = {user.email.partition("@")[0]: user.id for user in session.scalars(select(User))}
    session.delete(session.scalars(select(Member).where(Member.user_id == person["removed"])).one())
    session.scalars(select(Login).where(Login.user_id == person["gone"])).one().ended_at = clock.now()
    session.get(User, person["suspended"]).active = False
    cast.account_called(ARCHIVED).archived_at = clock.now()


def _let_canaries_in(session: Session) -> None:
    """Put the canary of its owner, table and column into every text."""
    connection = session.connection()
    slugs = dict(session.execute(select(Account.id, Account.slug)).all())
    names = {user.id: user.email.partition("@")[0] for user in session.scalars(select(User))}
    homes = {names[member.user_id]: slugs[member.account_id] for member in session.scalars(select(Member))}
    for table in tables():
        for row in connection.execute(select(table)).mappings().all():
            whose = slugs.get(row["id"] if table.name == "account" else row.get("account_id"), row.get("bucket"))
            if "user_id" in row and "account_id" not in row:
                whose = names[row["user_id"]]
            elif row.get("owner_id"):
                whose = names[row["owner_id"]]  # one's own within the account
            elif table.name == "ab_user":
                whose = homes.get(names[row["id"]], "nordlicht")
            words = {c.name: _word(whose, table, c, row) for c in table.columns if _takes_canary(c, row)}
            if words and table.name not in ADDED_TO:
                connection.execute(update(table).where(table.c.id == row["id"]).values(words))


def _takes_canary(column: Column[Any], row: Any) -> bool:
    is_text = isinstance(column.type, String) and not isinstance(column.type, Enum)
    return is_text and column.name not in PLAIN and (row[column.name] is not None or column.name == "totp_nonce")


def _word(whose: str, table: Table, column: Column[Any], row: Any) -> str:
    word = f"canary-{whose}-{table.name}-{column.name}"
    if (table.name, column.name) in {("login", "key_hash"), ("api_key", "secret_hash")}:
        return row[column.name]  # cookies and keys must go on working
    if column.name in {"email", "username"}:
        return f"{(row[column.name] or 'info').partition('@')[0]}@{word}.example"
    if _is_unique(table, column):
        word += f".{row['id']}"
    return word[: column.type.length]


def _is_unique(table: Table, column: Column[Any]) -> bool:
    keys = [key.columns for key in table.constraints if isinstance(key, UniqueConstraint)]
    return column.unique or any(column.name in key for key in keys)


def tables() -> list[Table]:
    """Every table with rows of ours; Flask-AppBuilder's own stay empty (test_schema)."""
    return [t for t in Model.metadata.sorted_tables if not t.name.startswith("ab_") or t.name == "ab_user"]


COUNTED = [table.name for table in tables() if table.name != "throttle"]  # that one counts whoever knocks

# How many rows of each table there are, and the transactions that wrote them: another once anything was written.
_XMIN = "(SELECT count(*) || ':' || coalesce(sum(CAST(CAST(xmin AS text) AS bigint)), 0) FROM {})"
XMINS = "SELECT " + ", ".join(map(_XMIN.format, COUNTED))


# --- who may see what, said once more ----------------------------------------------------------------------------


def is_within(slug: str, other: str) -> bool:
    """Whether an account is that other one or beneath it."""
    return slug == other or (slug in PARENT and is_within(PARENT[slug], other))


def relation(slug: str, other: str) -> str:
    """Where another account is, seen from one; an archived one is a place of its own."""
    if other == ARCHIVED or slug == other:
        return "archived" if other == ARCHIVED else "here"
    return "above" if is_within(slug, other) else "beneath" if is_within(other, slug) else "beside"


def kind_of(slug: str) -> Kind:
    return Kind.OPERATOR if slug == "kontor" else Kind.PARTNER if slug in set(PARENT.values()) else Kind.CUSTOMER


def may(actor: Actor, permission: str) -> bool:
    return actor.role is not None and allows(kind_of(actor.slug), actor.role, permission)


def is_let_in(actor: Actor, whose: str, table: str) -> bool:
    """Whether an account elsewhere in the tree has agreed that the actor sees its rows of that table."""
    agreed = LET_IN.get((whose, actor.slug), ()) if actor.role is not None else ()
    return any(consent in agreed for consent in BY_CONSENT.get(table, ()))


def may_be_shown(actor: Actor, whose: str, table: str, column: str) -> bool:
    """Whether the actor may be shown the text a canary stands in."""
    if column.startswith(NEVER_SHOWN.get(table, ())):
        return False
    if table == "login":
        return actor.known and whose == actor.name
    if (table, column) == ("api_key", "name") and whose == actor.slug:
        return True  # a program is told by which of the account's keys it got in
    if table in {"account", "ab_user"} and actor.known and whose == actor.home:
        return True  # one's own name and account stand in the frame of every page
    if table == "account" and column in OFFICE and whose == PARENT.get(actor.slug) and may(actor, "portal.show"):
        return True  # a customer is told how to reach whoever looks after them
    if (table, column) in CONTACTS and not may(actor, "contact.see"):
        return False
    if table == "property" and whose == actor.slug and actor.role:
        return True  # one's own definitions: in one's history, and in the reference of the API
    if table in CATALOGUE:
        return table in NEEDS and may(actor, NEEDS[table])
    if table == "saved_view" and whose not in SLUGS:
        return whose == actor.name  # nobody else sees one's own
    reach = whose == actor.slug if table in INSIDE else is_within(whose, actor.slug)
    if table == "relationship":
        reach = actor.slug in {whose, partner_of(whose)}
    reach = reach or is_let_in(actor, whose, table)
    return reach and table in NEEDS and may(actor, NEEDS[table])


# --- the world as a test meets it --------------------------------------------------------------------------------


class World:
    """An application over a copy of the world, put right again whenever something was changed in it."""

    def __init__(self, app: Flask, renew: Callable[[], None]) -> None:
        self.app, self._renew = app, renew
        self.pristine: Rows = {}
        self._marks: dict[str, Any] = {}
        self._tables: dict[str, Rows] = {}
        self._pristine_tables: dict[str, Rows] = {}
        self._as_made: dict[str, list[tuple[Any, ...]]] = {}
        self._ids: dict[str, list[int]] = {}
        self._aside: sqlite3.Connection | None = None
        self.renew()

    def renew(self) -> None:
        """Put everything back as it was made; what is known of the rows stays true of the copy."""
        db.session.remove()
        db.engine.dispose()
        if self._aside:
            self._aside.close()
        self._renew()
        self._aside = sqlite3.connect(db.engine.url.database) if self.on_sqlite else None
        if self.pristine:
            self._tables = dict(self._pristine_tables)
            with unscoped("the matrix looks at everything", writes=False) as session:
                self._marks = self._marks_of(session.connection())
        else:
            self.pristine = self.rows()
            self._pristine_tables = dict(self._tables)
        for (table, _pk), row in self.pristine.items():
            if table == "export" and not files.path_of(row["file"]).exists():
                files.path_of(row["file"]).write_text(f"canary-{row['file'].partition('-')[0]}-export-content")

    def rows(self) -> Rows:
        """Every row there is, past the wall; read again are the tables into which somebody wrote."""
        with unscoped("the matrix looks at everything", writes=False) as session:
            marks = self._marks_of(session.connection())
            for table in [table for table, mark in marks.items() if mark != self._marks.get(table)]:
                self._tables[table] = self._rows_of(session.connection(), table)
            self._marks = marks
        if self.pristine and all(rows is self._pristine_tables[table] for table, rows in self._tables.items()):
            return self.pristine
        return {key: row for rows in self._tables.values() for key, row in rows.items()}

    def _marks_of(self, connection: Connection) -> dict[str, Any]:
        """What is another whenever a table was written: SQLite counts what others do; rows tell by whom they are."""
        if self.on_sqlite:
            return dict.fromkeys(COUNTED, self._aside.execute("PRAGMA data_version").fetchone())
        return dict(zip(COUNTED, connection.exec_driver_sql(XMINS).one(), strict=True))

    def _rows_of(self, connection: Connection, table: str) -> Rows:
        """The rows of a table, the same object while they are as they were made."""
        result = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id")
        names, found = list(result.keys()), [tuple(row) for row in result]
        if self._as_made.setdefault(table, found) == found and table in self._pristine_tables:
            return self._pristine_tables[table]
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return {(table, row["id"]): row for row in rows}

    @property
    def on_sqlite(self) -> bool:
        return db.engine.dialect.name == "sqlite"

    @cached_property
    def slugs(self) -> dict[int, str]:
        return {pk: row["slug"] for (table, pk), row in self.pristine.items() if table == "account"}

    @cached_property
    def paths(self) -> dict[str, str]:
        return {row["slug"]: row["path"] for (table, _pk), row in self.pristine.items() if table == "account"}

    @cached_property
    def people(self) -> dict[str, int]:
        return {row["email"]: pk for (table, pk), row in self.pristine.items() if table == "ab_user"}

    def user_id(self, actor: Actor) -> int:
        return self.people.get(actor.email, 0)

    def owner(self, table: str, row: dict[str, Any]) -> str:
        """The slug of the account a row belongs to."""
        return self.slugs.get(row["id"] if table == "account" else row["account_id"], "a new one")

    def may_touch(self, actor: Actor, table: str, row: dict[str, Any]) -> bool:
        """Whether a row is on the actor's side of the wall, and theirs to change as far as the wall goes."""
        if table == "link_request":
            return actor.role is not None and row["account_id"] == self._account_id(actor.slug)
        if table == "token" and row["purpose"] == Purpose.CALENDAR:
            return row["user_id"] == self.user_id(actor)
        if table == "webhook_event":
            return actor.role is not None and self._path_of(row["account_id"]).startswith(self.paths[actor.slug])
        if table == "throttle" or table == "token" and row["purpose"] not in OF_ACCOUNTS:
            return False
        if table == "relationship":
            sides = {row["account_id"], row["partner_id"]}
            return actor.role is not None and self._account_id(actor.slug) in sides
        if table == "token":
            return actor.role is not None and self._path_of(row["account_id"]).startswith(self.paths[actor.slug])
        if table == "property_value" and not self._path_of(self._definer(row)).startswith(self.paths[actor.slug]):
            return False
        if table == "ab_user" or "user_id" in row and "account_path" not in row:
            return row.get("user_id", row["id"]) == self.user_id(actor)
        if row.get("actor_id") == self.user_id(actor) and self.owner(table, row) == actor.chronicle:
            return True  # what one did about one's own sign-in
        if actor.role is None:
            return False
        if table in CATALOGUE:
            return actor.slug == "kontor"
        if table == "export" and row["user_id"] != self.user_id(actor):
            return False
        if table in INSIDE or row.get("inside"):
            return row["account_id"] == self._account_id(actor.slug)
        if table in CHANGED_BY_CONSENT and is_let_in(actor, self.owner(table, row), table):
            return True
        if table == "log_entry" and (self.owner(table, row), actor.slug) in LET_IN:
            return row["actor_id"] == self.user_id(actor)  # what one does by consent, the client reads, too
        return row.get("account_path", row.get("path")).startswith(self.paths[actor.slug])

    def may_see(self, actor: Actor, table: str, row: dict[str, Any]) -> bool:
        """Whether a row is given away by the actor's session: people through members of accounts in sight."""
        if table == "ab_user":
            return any(self.may_touch(actor, "member", member) for member in self.members.get(row["id"], ()))
        if table in {"token", "link_request", "webhook_event"}:
            return False
        if is_let_in(actor, self.owner(table, row) if table in BY_CONSENT else "", table):
            return True
        if table == "property_value":
            return self.may_touch(actor, "account", {"path": row["account_path"], "id": row["account_id"]})
        if table in CATALOGUE:
            return actor.role is not None
        return self.may_touch(actor, table, row)

    def _path_of(self, account_id: int) -> str:
        return self.paths[self.slugs[account_id]]

    def _definer(self, value: dict[str, Any]) -> int:
        """Whose property a value is of; not the account it is about."""
        return self.pristine["property", value["definition_id"]]["account_id"]

    @cached_property
    def members(self) -> dict[int, list[dict[str, Any]]]:
        """The memberships of each person."""
        found: dict[int, list[dict[str, Any]]] = {}
        for (table, _pk), row in self.pristine.items():
            if table == "member":
                found.setdefault(row["user_id"], []).append(row)
        return found

    @cached_property
    def _account_ids(self) -> dict[str, int]:
        return {slug: pk for pk, slug in self.slugs.items()}

    def _account_id(self, slug: str) -> int:
        return self._account_ids[slug]

    def ids(self, table: str) -> list[int]:
        """A row of each account, of history two, one of them inside; where a person owns them, a row of each actor;
        of imports one of each kind, of orders the draft and the one that is placed.
        """
        if table not in self._ids:
            self._ids[table] = self._ids_of(table)
        return self._ids[table]

    def _ids_of(self, table: str) -> list[int]:
        found: dict[Any, int] = {}
        for (name, pk), row in self.pristine.items():
            if name == table and (table != "log_entry" or "canary" in row["subject"]):
                whose = pk if table == "account" else row.get("account_id") or row["user_id"]
                whose = (whose, row["user_id"]) if table == "export" else whose
                whose = (whose, row["kind"]) if table == "account_import" else whose
                whose = (whose, row["status"]) if table == "purchase" else whose
                found.setdefault((whose, row.get("inside"), row.get("owner_id")), pk)
        return sorted(found.values())

    def row(self, table: str, pk: int) -> dict[str, Any]:
        return self.pristine[table, pk]

    # --- knocking ---

    def browser(self, actor: Actor) -> FlaskClient:
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["csrf_token"] = CSRF
            if actor.name != "anonymous":
                session["login"] = actor.key
        return client

    def open(self, client: FlaskClient, method: str, path: str, *, csrf: bool = True, **request: Any) -> Any:
        token = URLSafeTimedSerializer(self.app.secret_key, salt="wtf-csrf-token").dumps(CSRF)
        headers = {**({"X-CSRFToken": token} if csrf else {}), **request.pop("headers", {})}
        return cast.apart(client.open, path, method=method, headers=headers, buffered=True, **request)

    def scope(self, actor: Actor) -> Scope:
        with unscoped("finding the test's person", writes=False) as session:
            where = (Member.user_id == self.user_id(actor), Member.account_id == self._account_id(actor.slug))
            member = session.scalars(select(Member).options(*LOADS).where(*where)).one()
            return scope_for(member)

    def leaks(self, actor: Actor, answer: Any, asked: str = "") -> set[str]:
        """What is in an answer and should not be: in its headers, its body, in each part of the file it is.

        What the request itself said may be said again.
        """
        text = self.text_of(answer)
        found = {m.group() for m in CANARY.finditer(text) if not may_be_shown(actor, *m.groups())}
        if asked.startswith(f"/a/{actor.slug}/managers/"):  # who stands directly above has no secret of its name there
            found.discard(f"canary-{PARENT.get(actor.slug)}-account-name")
        found |= {path for path in self._labels if path in text}
        return {word for word in found if word not in asked.lower()}

    @cached_property
    def _labels(self) -> list[str]:
        """The last label of each account's path, random letters that no page shows."""
        return [path.split("/")[-2] for path in self.paths.values()]

    @staticmethod
    def text_of(answer: Any) -> str:
        parts = [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.data[:2] == b"PK":
            book = zipfile.ZipFile(io.BytesIO(answer.data))
            parts += [book.read(name).decode("utf-8", "replace") for name in book.namelist()]
        else:
            parts.append(answer.get_data(as_text=True))
        return unescape(unquote("\n".join(parts))).lower()
