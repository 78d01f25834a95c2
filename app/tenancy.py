"""The wall (decision 2): a session sees the acting account's subtree, or nothing at all.

By consent of a client elsewhere in the tree it sees of that one account what was agreed (decision 0016).

A session is given its scope once, before its first statement, and never another; so whatever its identity map
holds was loaded through the wall. Unscoped work has a session of its own and says why. The wall stands on six
feet: criteria on every ORM statement, a look at every row that arrives, a look at every row attached, a check of
every row and foreign key before a flush, a tripwire under SQL that came another way, and, on PostgreSQL, row-level
security (`migrations/`) driven by the settings made at the start of each transaction.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from flask import current_app
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User as FabUser
from sqlalchemy import (
    ColumnElement,
    Engine,
    SelectBase,
    Table,
    TextClause,
    event,
    false,
    inspect,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy import func as sql
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper, ORMExecuteState, with_loader_criteria
from sqlalchemy.orm import Session as AnySession
from sqlalchemy.sql.visitors import HasTraverseInternals

from . import clock
from .errors import NoScope, OutsideScope
from .extensions import Session, db, flushing, is_sqlite, set_for_now, writing
from .models import (
    Account,
    BetweenAccounts,
    ByConsent,
    Consent,
    InsideAccount,
    Kind,
    LogEntry,
    Member,
    OfCatalogue,
    OwnedByAccount,
    OwnedByUser,
    OwnInside,
    Relationship,
    Role,
    Sealed,
    User,
    new_path,
)

LOWEST, HIGHEST = "", "~"  # every path lies between: they are made of a–z, 2–7 and "/"


@dataclass(frozen=True)
class Scope:
    """For whom a session works: a person, acting in an account, with the role they have there now."""

    account_id: int
    path: str
    kind: Kind
    role: Role
    user_id: int
    member_id: int
    actor: str  # how history names the person
    account_name: str
    ip: str = ""
    held: bool = False  # the account is on administrative hold: its members read, and change nothing
    via: str = ""  # the API key with which a program acts for the person
    scopes: frozenset[str] | None = None  # the permissions it was given; none: a person, who has those of their role
    linked: Mapping[Consent, frozenset[int]] = field(default_factory=dict, hash=False)  # clients by what they agreed to

    @property
    def beyond(self) -> str:
        """The first path after the subtree."""
        return _beyond(self.path)

    def criteria(self, tables: frozenset[Table], *, to_write: bool = False) -> tuple[Any, ...]:
        """One condition for each class behind the wall with one of those tables; what is seen by consent is
        changed row by row alone."""
        narrowed = [cls for cls, table in _narrowed_classes() if table in tables]
        place = Place(self.account_id, self.path, self.user_id)
        return tuple(_criterion(cls, place, frozenset() if to_write else _clients_of(cls, self)) for cls in narrowed)

    def agreed(self, account_id: int) -> list[Consent]:
        """What a client elsewhere in the tree has agreed to; nothing where nothing was asked, or it stands beneath."""
        return [consent for consent, clients in self.linked.items() if account_id in clients]


@dataclass(frozen=True)
class Unscoped:
    """No wall: for sign-in, tokens and jobs, which know their rows by other means."""

    reason: str


# --- giving a session its scope --------------------------------------------------------------------------------


def enter(scope: Scope | Unscoped) -> None:
    """Put the current session behind the wall, for the rest of its life."""
    session = db.session()
    if "scope" in session.info:
        raise NoScope("this session has its scope already; other work needs a session of its own")
    session.info["scope"] = scope


def current_scope() -> Scope:
    """The scope of the work at hand.

    Raises `NoScope` where there is none or the work is unscoped.
    """
    scope = db.session().info.get("scope")
    if not isinstance(scope, Scope):
        raise NoScope("nobody is acting here")
    return scope


@contextmanager
def acting(scope: Scope | Unscoped, *, writes: bool = True) -> Iterator[AnySession]:
    """A unit of work of its own: its own session, committed at the end or rolled back on any error."""
    if writes and writing.get() and db.session().in_transaction():
        raise NoScope("a writing unit inside a writing unit would wait for itself")
    mode = writing.set(writes)
    try:
        with current_app.app_context():  # db.session inside is this unit's session, and is closed with it
            enter(scope)
            yield db.session()
            db.session.commit()
    finally:
        writing.reset(mode)


def unscoped(reason: str, *, writes: bool = True) -> Any:
    """A unit of work without the wall. The reason is for the reader; a test counts the places."""
    return acting(Unscoped(reason), writes=writes)


def scope_for(member: Member, *, ip: str = "", via: str = "", scopes: frozenset[str] | None = None) -> Scope:
    """The scope of a member acting in their account, or of a program acting for them."""
    return Scope(
        account_id=member.account_id,
        path=member.account.path,
        kind=member.account.kind,
        role=member.role,
        user_id=member.user_id,
        member_id=member.id,
        actor=f"{member.user.name} <{member.user.email}>",
        account_name=member.account.name,
        ip=ip,
        held=member.account.is_held,
        via=via,
        scopes=scopes,
        linked=_links_of(member.account),
    )


def _links_of(partner: Account) -> Mapping[Consent, frozenset[int]]:
    """The clients that let this partner in now, by what they agreed to; asked in each request (L-4)."""
    if not (partner.has_links and partner.kind.manages_accounts):
        return {}
    linked = defaultdict(set)
    with unscoped("clients by consent stand elsewhere in the tree", writes=False) as session:
        lasting = or_(Relationship.ends_at.is_(None), Relationship.ends_at > clock.now())
        agreed = select(Relationship.account_id, Relationship.scopes).join(Relationship.account)
        agreed = agreed.where(Relationship.partner_id == partner.id, Relationship.ended_at.is_(None), lasting)
        agreed = agreed.where(Account.archived_at.is_(None))
        for client_id, scopes in session.execute(agreed):
            for consent in scopes:
                linked[Consent(consent)].add(client_id)
    return {consent: frozenset(clients) for consent, clients in linked.items()}


# --- what a scope sees -----------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a scope stands, as far as the rows beneath depend on it."""

    account_id: int
    path: str
    user_id: int


@lru_cache(maxsize=4096)
def _criterion(cls: type, place: Place, clients: frozenset[int]) -> Any:
    """A plain expression, not a cached lambda; made once for all statements from there, whoever's turn it is.

    One more condition only where something is linked.
    """
    within = _within(cls, place)
    readable = or_(within, _key_of(cls).in_(sorted(clients))) if clients else within
    return with_loader_criteria(cls, readable, include_aliases=True)


def _clients_of(cls: type, scope: Scope) -> frozenset[int]:
    """The clients elsewhere in the tree that have agreed to show rows of that class."""
    consents = cls.opened_by if issubclass(cls, ByConsent) else ()
    return frozenset().union(*(scope.linked.get(consent, frozenset()) for consent in consents))


def _key_of(cls: Any) -> Any:
    """The column that says whose a row is."""
    return cls.id if issubclass(cls, Account) else cls.account_id


def _within(cls: type, scope: Place) -> ColumnElement[bool]:
    """The condition under which rows of that class are the own ones there, or stand beneath."""
    if cls is User:
        there = select(Member.id).where(Member.user_id == cls.id, in_subtree(Member.account_path, scope.path))
        return there.correlate_except(Member).exists()  # of each person met, not of all there are beneath
    if issubclass(cls, Account):
        return in_subtree(cls.path, scope.path)
    if issubclass(cls, LogEntry):
        return in_subtree(cls.account_path, scope.path) & (~cls.inside | (cls.account_id == scope.account_id))
    if issubclass(cls, OwnInside):
        return (cls.account_id == scope.account_id) & (cls.user_id == scope.user_id)
    if issubclass(cls, InsideAccount):
        return cls.account_id == scope.account_id
    if issubclass(cls, BetweenAccounts):
        return (cls.account_id == scope.account_id) | (cls.partner_id == scope.account_id)
    if issubclass(cls, OwnedByAccount):
        return in_subtree(cls.account_path, scope.path)
    if issubclass(cls, OwnedByUser):
        return cls.user_id == scope.user_id
    return false()  # Sealed


def in_subtree(path: Any, root: str) -> ColumnElement[bool]:
    """Whether a path is that one or beneath it: a range, which an index finds."""
    return (path >= root) & (path < _beyond(root))


def _beyond(path: str) -> str:
    return path[:-1] + "0"  # which follows "/"


def _sees(scope: Scope, row: Any) -> bool:
    """The same, asked of a row at hand. People are seen through their members, which the statement has checked."""
    return _is_within(scope, row) or is_agreed(scope, row)


def is_agreed(scope: Scope, row: Any) -> bool:
    """Whether a row is another account's, seen by its consent."""
    if not (scope.linked and isinstance(row, ByConsent)):
        return False
    return getattr(row, _key_of(type(row)).key) in _clients_of(type(row), scope)


def is_by_consent(row: Any) -> bool:
    """The same, for the work at hand."""
    scope = db.session().info.get("scope")
    return isinstance(scope, Scope) and is_agreed(scope, row)


def _is_within(scope: Scope, row: Any) -> bool:
    if isinstance(row, Account):
        return scope.path <= row.path < scope.beyond
    if isinstance(row, LogEntry) and row.inside:
        return row.account_id == scope.account_id
    if isinstance(row, OfCatalogue):
        return True
    if isinstance(row, OwnInside):
        return row.account_id == scope.account_id and row.user_id == scope.user_id
    if isinstance(row, InsideAccount):
        return row.account_id == scope.account_id
    if isinstance(row, BetweenAccounts):
        return scope.account_id in {row.account_id, row.partner_id}
    if isinstance(row, OwnedByAccount):
        return scope.path <= row.account_path < scope.beyond
    if isinstance(row, OwnedByUser):
        return row.user_id == scope.user_id
    return not isinstance(row, Sealed)


def _may_write(scope: Scope, row: Any) -> bool:
    """Whether a row that is seen may be written, as far as the wall goes: the catalogue by the operator alone."""
    if isinstance(row, OfCatalogue):
        return scope.kind is Kind.OPERATOR and row.account_id == scope.account_id
    return _is_within(scope, row) or (getattr(row, "consent_writes", False) and is_agreed(scope, row))


def may_change(row: Any) -> bool:
    """Whether a row that is seen may be changed here, as far as the wall goes; what is seen by consent mostly not."""
    return _may_write(current_scope(), row)


@lru_cache(maxsize=1)
def _walled_classes() -> tuple[type, ...]:
    mappers = [m.class_ for m in Model.registry.mappers]
    return tuple(c for c in mappers if issubclass(c, _WALLED))


@lru_cache(maxsize=1)
def _narrowed_classes() -> tuple[tuple[type, Table], ...]:
    """Those of which not everybody may read everything, with their tables."""
    return tuple((c, inspect(c).local_table) for c in _walled_classes() if not issubclass(c, OfCatalogue))


_WALLED = (Account, User, OwnedByAccount, OwnedByUser, Sealed)


# --- moving about in the tree ----------------------------------------------------------------------------------

THE_TREE = 0x4B6F6E746F72  # the number of PostgreSQL's advisory lock: whoever moves an account has it alone


def hold_the_tree(*accounts: Account | None, shared: bool = False) -> None:
    """Keep the tree's shape until this is done, and read those accounts as they are now.

    Whoever opens an account shares the lock, whoever moves one has it alone: no account is opened at a place that
    is just going away, and of two opposing moves the second sees what the first has done. SQLite lets in one writer
    anyway.
    """
    if not is_sqlite():
        lock = sql.pg_advisory_xact_lock_shared if shared else sql.pg_advisory_xact_lock
        db.session.execute(select(lock(THE_TREE)))
    db.session.flush()
    for account in filter(None, accounts):
        _refuse_foreign(db.session(), account)
        if inspect(account).persistent:
            try:
                db.session.refresh(account, ["path", "parent_id", "parent", "kind", "archived_at"])
            except InvalidRequestError as error:  # it has been moved out of sight
                raise OutsideScope("Account") from error


def carry(account: Account, to: Account) -> int:
    """Give an account and all beneath it their paths under another parent; the number of accounts carried.

    The database lets every copy of a path follow (`OwnedByAccount.account_path`). The tree must be held.
    """
    old, new = account.path, to.path + account.path.split("/")[-2] + "/"
    carried = db.session.execute(
        update(Account)
        .where(in_subtree(Account.path, old))
        .values(path=literal(new).concat(sql.substr(Account.path, len(old) + 1))),
        execution_options={"synchronize_session": False},
    )
    db.session.execute(
        update(Account).where(Account.id == account.id).values(parent_id=to.id),
        execution_options={"synchronize_session": False},
    )
    db.session.expire_all()
    return carried.rowcount


def give_to(row: Any, account: Account) -> None:
    """Give a row to another account in sight: what was written in one becomes the affair of the other."""
    _refuse_foreign(db.session(), account)
    row.account, row.account_id, row.account_path = account, account.id, account.path


# --- foot one: criteria on every statement ---------------------------------------------------------------------


@event.listens_for(Session, "do_orm_execute")
def _add_criteria(state: ORMExecuteState) -> None:
    scope = _scope_of(state.session)
    if isinstance(scope, Unscoped):
        return
    if any(mapper.class_ is FabUser for mapper in state.all_mappers):
        raise OutsideScope("people are asked for as our own class, which the criteria know")
    tables = _tables_in(state.statement) if state.is_orm_statement else None
    if tables is None:
        return  # criteria would not bite; if it names a table behind the wall, foot five refuses it
    state.update_execution_options(walled=frozenset(table.name for table in tables | _catalogue()))
    if state.is_insert:
        raise OutsideScope("rows are added through the session, where the wall can look at them")
    if state.is_update and isinstance(state.parameters, list):
        raise OutsideScope("a bulk update by primary key passes the criteria by")
    if (state.is_update or state.is_delete) and scope.kind is not Kind.OPERATOR:
        if issubclass(state.bind_mapper.class_, OfCatalogue):
            raise OutsideScope("the catalogue is written by the operator alone")
    changes = state.is_update or state.is_delete
    state.statement = state.statement.options(*scope.criteria(tables, to_write=changes))


_BY_CLASS = {"parentmapper", "entity_namespace"}  # how SQLAlchemy marks what came from a class, not from a table


def _tables_in(statement: Any) -> frozenset[Table] | None:
    """The tables a statement reaches by their classes; none where criteria pass some of it by.

    A class that is overlooked here is no hole: the tripwire (foot five) finds its table in the SQL.
    """
    reached: set[Any] = set()
    if _has_bare_part(statement, reached, set()):
        return None
    for option in getattr(statement, "_with_options", ()):
        for step in getattr(option, "context", ()):
            reached.update(part for part in step.path.path if isinstance(part, Mapper))
    tables = {mapper.local_table for mapper in reached}
    if inspect(User).local_table in tables:  # people are seen through their members
        tables.add(inspect(Member).local_table)
    return frozenset(tables)


def _has_bare_part(level: Any, reached: set[Any], seen: set[int]) -> bool:
    """Whether some of a statement is text, or a walled table without its class: criteria pass such parts by.

    A table is known by its class where the class stands beside it; each SELECT within is a level of its own. The
    mappers met on the way are put among those reached.
    """
    parts = list(HasTraverseInternals.get_children(level))
    known, named = set(), set()
    for part in parts:  # it grows on the way
        if isinstance(part, TextClause) or getattr(part, "is_literal", False) and _names_walled_table(part.name):
            return True
        table = part if isinstance(part, Table) else getattr(part, "table", None)
        if not _BY_CLASS.isdisjoint(part._annotations):
            known.add(table)
            reached.update(_mappers_of(part))
        elif isinstance(table, Table):
            named.add(table)
        elif id(part) not in seen:
            seen.add(id(part))
            if isinstance(part, SelectBase) and _has_bare_part(part, reached, seen):
                return True
            parts += [table] if table is not None else HasTraverseInternals.get_children(part)
    return not _walled_tables().isdisjoint(named - known)


def _mappers_of(part: Any) -> Iterator[Any]:
    """The mapper a part of a statement came from and, where it is a relationship, the one that leads to."""
    marks = part._annotations
    owner = marks.get("parentmapper") or marks["entity_namespace"].mapper
    yield owner
    relation = owner.relationships.get(marks.get("proxy_key"))
    if relation is not None:
        yield relation.mapper


def _scope_of(session: AnySession) -> Scope | Unscoped:
    scope = session.info.get("scope")
    if scope is None:
        raise NoScope("this session has no scope")
    return scope


# --- feet two and three: rows that arrive, rows that are attached ----------------------------------------------


@event.listens_for(Model, "load", propagate=True)
def _look_at_arrival(row: Any, context: Any) -> None:
    if context is not None:  # none: `merge` has made the row just now, and the flush will look at it
        _refuse_foreign(context.session, row)


@event.listens_for(Model, "refresh", propagate=True)
def _look_at_refresh(row: Any, context: Any, _attributes: Any) -> None:
    _refuse_foreign(context.session, row)


@event.listens_for(Session, "before_attach")
def _look_at_attachment(session: AnySession, row: Any) -> None:
    if inspect(row).has_identity:
        _refuse_foreign(session, row)


def _refuse_foreign(session: AnySession, row: Any) -> None:
    scope = session.info.get("scope")
    if isinstance(scope, Scope) and not _sees(scope, row):
        raise OutsideScope(type(row).__name__)


# --- foot four: rows and foreign keys before a flush -----------------------------------------------------------


@event.listens_for(Session, "before_flush")
def _check_writes(session: AnySession, _context: Any, made: list[Any] | None) -> None:
    """`made`: new rows that were never attached (`bulk.row_of`); what they refer to is looked at all the same."""
    scope, new = _scope_of(session), [*session.new, *(made or ())]
    with session.no_autoflush:
        for other in _referred_to(made or ()):
            _look_at_attachment(session, other)
        for row in new:
            _place(session, row)
        if isinstance(scope, Unscoped):
            return
        for row in new + [row for row in session.dirty if session.is_modified(row)]:
            _check_foreign_keys(session, scope, row)
            if not isinstance(row, Sealed | FabUser) and not (_may_write(scope, row) and _may_leave(scope, row)):
                raise OutsideScope(type(row).__name__)
        for row in session.deleted:
            if not _may_write(scope, row) or is_agreed(scope, row):
                raise OutsideScope(type(row).__name__)


def _referred_to(rows: Iterable[Any]) -> list[Any]:
    """The rows that those lead to, each once."""
    return [*{id(fact): fact for row in rows for fact in vars(row).values() if isinstance(fact, Model)}.values()]


def _may_leave(scope: Scope, row: Any) -> bool:
    """Whether a row that changes hands was the scope's to give: nothing is taken from a client by its consent."""
    before = inspect(row).committed_state
    if not scope.linked or before.keys().isdisjoint({"account", "account_id"}):
        return True
    return before.get("account_id", row.account_id) not in frozenset().union(*scope.linked.values())


def _place(session: AnySession, row: Any) -> None:
    """Derive where a new row stands from its account; never from what a form said."""
    if isinstance(row, Account):
        row.path = row.path or new_path(row.parent or _account(session, row.parent_id))
    elif isinstance(row, OwnedByAccount):
        account = row.account or _account(session, row.account_id)
        if account is None:
            raise OutsideScope("a row without an account")
        if not account.path:
            _place(session, account)
        row.account_path = account.path
        if account.id is not None:
            row.account_id = account.id
        if isinstance(row, BetweenAccounts):
            partner = _account(session, row.partner_id)
            row.partner_path = partner.path if partner else None
        if isinstance(row, OfCatalogue) and account.kind is not Kind.OPERATOR:
            raise OutsideScope("the catalogue is the operator's")


def _account(session: AnySession, account_id: int | None) -> Account | None:
    if account_id is None:
        return None
    account = session.get(Account, account_id)
    if account is None:
        raise OutsideScope("Account")
    return account


def _check_foreign_keys(session: AnySession, scope: Scope, row: Any) -> None:
    """Every reference that is new must lead to a row on this side of the wall."""
    state = inspect(row)
    for column, target in _references(type(row)):
        if state.persistent and column not in state.committed_state:
            continue
        value = state.dict.get(column)
        if value is None or (issubclass(target, FabUser) and value == scope.user_id):
            continue
        if issubclass(target, Sealed):
            continue  # a secret is referred to by who has just made it; it is read unscoped
        if session.get(target, value) is None:
            raise OutsideScope(target.__name__)


@lru_cache(maxsize=256)
def _references(cls: type) -> tuple[tuple[str, type], ...]:
    """The foreign keys of a class that lead to walled classes: (attribute, class referred to)."""
    mapper: Mapper[Any] = inspect(cls)
    found = []
    for column in mapper.columns:
        for key in column.foreign_keys:
            target = _class_of(key.column.table)
            if target is not None and key.column.primary_key:  # the copy of a path is the wall's own
                found.append((mapper.get_property_by_column(column).key, target))
    return tuple(found)


@lru_cache(maxsize=1)
def _walled_tables() -> frozenset[Table]:
    return frozenset(inspect(cls).local_table for cls in _walled_classes())


@lru_cache(maxsize=1)
def _catalogue() -> frozenset[Table]:
    return _walled_tables() - {table for _cls, table in _narrowed_classes()}


def _class_of(table: Table) -> type | None:
    return next((c for c in _walled_classes() if inspect(c).local_table is table), None)


# --- foot five: SQL that came another way ----------------------------------------------------------------------


@event.listens_for(Session, "after_begin")
def _say_for_whom(session: AnySession, _transaction: Any, connection: Any) -> None:
    """Tell the connection, and PostgreSQL's own wall, for whom this transaction works."""
    scope = _scope_of(session)
    connection.execution_options(wall="open" if isinstance(scope, Unscoped) else "closed")
    if connection.dialect.name != "postgresql":
        return
    if isinstance(scope, Unscoped):
        low, high, inside, user = LOWEST, HIGHEST, HIGHEST, "0"
    else:
        low, high, inside, user = scope.path, scope.beyond, scope.path, str(scope.user_id)
    settings = {"kontor.low": low, "kontor.high": high, "kontor.inside": inside, "kontor.user": user}
    if isinstance(scope, Scope):
        named = {consent: ",".join(map(str, sorted(clients))) for consent, clients in scope.linked.items()}
        settings |= {f"kontor.by.{consent.value}": clients for consent, clients in named.items()}
    set_for_now(connection, settings)


@event.listens_for(Engine, "before_cursor_execute")
def _trip(connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    options = context.execution_options if context else connection.get_execution_options()
    if options.get("wall") != "closed" or flushing.get():
        return
    covered = options.get("walled", frozenset())  # True: all of it, as the wall itself says
    if covered is not True and not _named_in(statement) <= covered:
        raise OutsideScope("SQL that passes the wall by")


def _names_walled_table(text: str) -> bool:
    return bool(_named_in(text))


@lru_cache(maxsize=1024)
def _named_in(statement: str) -> frozenset[str]:
    """The tables behind the wall that SQL names."""
    return frozenset(name.lower() for name in _table_names().findall(statement))


@lru_cache(maxsize=1)
def _table_names() -> re.Pattern[str]:
    names = "|".join(table.name for table in _walled_tables())
    return re.compile(rf"\b({names})\b", re.IGNORECASE)
