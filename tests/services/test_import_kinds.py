"""Files of people to invite and of articles to give: done by their services, as a whole or not at all (X-3)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import clock, importing, sheets
from app.errors import Refused
from app.extensions import db
from app.models import (
    AccountImport,
    Article,
    Holding,
    HoldKind,
    ImportKind,
    ImportStatus,
    Invitation,
    InvitationStatus,
    License,
    LogEntry,
    Member,
    Message,
    Role,
)
from app.services import accounts, catalog, holds, imports, invitations, licenses
from app.services.import_columns import guess, id_of
from app.services.import_kinds import RECIPES
from app.tenancy import unscoped
from app.ui.history import ACTIONS
from tests import stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, account_called, acting_as, hire
from tests.services.test_imports import found, said, sheet, states, undone

INVITE, GIVE = ImportKind.INVITATION, ImportKind.HOLDING
PEOPLE = ["E-mail", "Role"]
PLACES = ["E-mail", "Role", "Account"]
GIFTS = ["Account", "Article number", "Quantity"]


def looked(by, kind, file):
    recipe = RECIPES[kind]
    return recipe.look(file, guess(file.header, recipe.columns(by.account_id)), by=by)


def upload(file, kind=INVITE, *, person=ALICE, locale="en"):
    """Upload, look and start; the number of the import that waits for the worker."""
    with acting_as(person) as by:
        mapping = guess(file.header, RECIPES[kind].columns(by.account_id))
        assert not imports.problems_of(mapping, kind, by=by)
        import_ = imports.take(file, "file.xlsx", mapping, locale=locale, by=by, kind=kind)
        imports.keep(import_, looked(by, kind, file), mapping=mapping, clears=False)
        imports.start(import_, overwrites=False, by=by)
        return import_.id


def written(file, kind=INVITE, **options):
    number = upload(file, kind, **options)
    importing.run(number)
    return number


def count(model):
    with unscoped("counting rows", writes=False) as session:
        return session.scalar(select(func.count()).select_from(model))


def invited(person=ALICE):
    """Whom that person's account and those beneath it have asked, how that stands, and where."""
    with acting_as(person, writes=False):
        asked = db.session.scalars(select(Invitation).order_by(Invitation.email)).all()
        return [(one.email, one.role, one.account.slug, one.status) for one in asked]


# --- people: what would happen -----------------------------------------------------------------------------------


def test_each_row_says_who_is_invited_who_is_there_and_what_is_wrong(alice):
    maria = hire("maria@nordlicht.example", "nordlicht", Role.MANAGER)
    with acting_as(maria) as by:
        invitations.invite("gone@new.example", role=Role.VIEWER, account=by.account, by=by)
    with acting_as(maria) as by:
        file = sheet(
            PEOPLE,
            ["Nina@New.example", "Manager"], [ALICE.email, "Viewer"], ["gone@new.example", "Viewer"],
            ["boss@new.example", "Administrator"], ["nobody", "Viewer"], ["x@new.example", "Emperor"],
            ["nina@new.example", "Viewer"], [None, "Viewer"],
        )  # fmt: skip
        rows = looked(by, INVITE, file)

    assert states(rows) == ["created", "unchanged", "unchanged", "error", "error", "error", "error", "error"]
    assert (rows[0].name, rows[0].cells) == ("nina@new.example", {"role": [None, "manager"]})
    assert [row.remarks for row in rows[1:3]] == [
        [["Accounts!A3", "alice@nordlicht.example is a member already."]],
        [["Accounts!A4", "gone@new.example has been invited already; send that invitation again or withdraw it."]],
    ]
    assert [said(row) for row in rows[3:]] == [
        ["Accounts!B5: You can only give roles up to your own."],
        ["Accounts!A6: This is not an e-mail address."],
        ["Accounts!B7: “Emperor” is not known here."],
        ["Accounts!A8: The same stands in row 2 already."],
        ["Accounts!A9: Please fill this in."],
    ]


@pytest.mark.parametrize("word", ["Sales", "Vertrieb", "VERTRIEB", "sales"])
def test_roles_are_known_by_their_words_in_both_languages_and_by_their_code(alice, word):
    with acting_as(alice) as by:
        [row] = looked(by, INVITE, sheet(["Mail", "Rolle"], ["nina@new.example", word]))

    assert row.cells["role"] == [None, "sales"]


def test_people_are_invited_into_accounts_beneath_by_name_or_id(alice):
    with acting_as(alice) as by:
        kuestenfunk = id_of(account_called("kuestenfunk"), owner_id=by.account_id, at=clock.now())
        foreign = id_of(account_called("kuestenfunk"), owner_id=by.account_id + 1, at=clock.now())
        for parent in ("nordlicht", "fjordline"):
            accounts.open_account("Twin", parent=account_called(parent), by=by)
        accounts.archive(account_called("deichbau"), by=by)
        file = sheet(
            PLACES,
            ["a@new.example", "Viewer", "bergen  SENSOR"], ["b@new.example", "Viewer", kuestenfunk],
            ["c@new.example", "Viewer", None], ["d@new.example", "Viewer", "Gletscherbau"],
            ["e@new.example", "Viewer", foreign], ["f@new.example", "Viewer", "Twin"],
            ["g@new.example", "Viewer", "Deichbau"], [ALICE.email, "Viewer", "Fjordline"],
        )  # fmt: skip
        rows = looked(by, INVITE, file)

    assert states(rows) == ["created"] * 3 + ["error"] * 5
    assert [row.cells.get("account", [None, ""])[1] for row in rows[:3]] == ["Bergen Sensor", "Küstenfunk", ""]
    assert said(rows[3]) == ["Accounts!C5: There is no account “Gletscherbau” here."]
    assert said(rows[4])[0].startswith("Accounts!C6: There is no account")
    assert said(rows[5]) == [
        "Accounts!C7: There are several accounts named “Twin”; use the Kontor ID of an export."
    ]
    assert "Deichbau is archived" in said(rows[6])[0]
    assert "belongs to your own account" in said(rows[7])[0]


def test_a_customer_invites_into_their_own_account_alone(bob):
    with acting_as(bob) as by:
        assert set(RECIPES[INVITE].columns(by.account_id)) == {"email", "role"}


def test_a_column_that_is_needed_is_asked_for(alice):
    with acting_as(alice) as by:
        assert imports.problems_of(["email"], INVITE, by=by) .startswith("Still missing: Role.")
        assert imports.problems_of(["quantity"], GIVE, by=by).startswith("Still missing: Account, Article number.")


@pytest.mark.parametrize("kind", [INVITE, GIVE])
def test_more_rows_than_are_written_one_by_one_are_refused(alice, kind):
    file = "E-mail\n" + "nina@new.example\n" * 2001

    with acting_as(alice), pytest.raises(Refused, match="more than 500 rows"):
        imports.read(file.encode(), kind)
    assert imports.read(file.encode(), ImportKind.ACCOUNT).count == 2001


# --- people: done ------------------------------------------------------------------------------------------------


def test_all_are_invited_with_mail_and_history(alice):
    number = written(
        sheet(PLACES, ["nina@new.example", "Sales", None], ["otto@new.example", "Viewer", "Küstenfunk"],
              [ALICE.email, "Viewer", None])
    )  # fmt: skip

    assert invited() == [
        ("nina@new.example", Role.SALES, "nordlicht", InvitationStatus.PENDING),
        ("otto@new.example", Role.VIEWER, "kuestenfunk", InvitationStatus.PENDING),
    ]
    assert found(number).status is ImportStatus.DONE
    with unscoped("looking at what was written", writes=False) as session:
        assert set(session.scalars(select(Message.recipient))) == {"nina@new.example", "otto@new.example"}
        line = session.scalars(select(LogEntry).where(LogEntry.action == "invitation.imported")).one()
        assert line.changes["created"] == [None, 2]
        invitings = select(LogEntry).where(LogEntry.action == "member.invited")
        assert {entry.actor for entry in session.scalars(invitings)} == {"Alice Ahrens <alice@nordlicht.example>"}


def test_somebody_who_has_become_a_member_meanwhile_stops_all_of_it(alice):
    number = upload(sheet(PEOPLE, ["nina@new.example", "Viewer"], ["otto@new.example", "Viewer"]))
    hire("otto@new.example", "nordlicht", Role.VIEWER)

    importing.run(number)

    assert found(number).status is ImportStatus.CHECKED
    assert found(number).error == "Row 3, otto@new.example: otto@new.example is a member already."
    assert (invited(), count(Message)) == ([], 0)


def test_who_has_lost_rights_meanwhile_invites_nobody_above_them(alice):
    maria = hire("maria@nordlicht.example", "nordlicht", Role.ADMINISTRATOR)
    number = upload(sheet(PEOPLE, ["nina@new.example", "Administrator"]), person=maria)
    demote("maria@nordlicht.example", Role.MANAGER)

    importing.run(number)

    assert found(number).error == "Row 2, nina@new.example: You can only give roles up to your own."
    assert invited() == []


def demote(email, role):
    with unscoped("demoting the test's person") as session:
        session.scalar(select(Member).join(Member.user).where(Member.user.has(email=email))).role = role


def test_who_may_invite_nobody_any_more_has_nothing_written(alice):
    maria = hire("maria@nordlicht.example", "nordlicht", Role.MANAGER)
    number = upload(sheet(PEOPLE, ["nina@new.example", "Viewer"]), person=maria)
    demote("maria@nordlicht.example", Role.SALES)

    importing.run(number)

    assert found(number).error == "You may no longer invite members from a file."
    assert invited() == []


def test_an_account_on_hold_invites_nobody(bob, alice):
    number = upload(sheet(PEOPLE, ["nina@new.example", "Viewer"]), person=BOB)
    with acting_as(alice) as by:
        holds.put_on_hold(account_called("kuestenfunk"), HoldKind.ADMINISTRATIVE, reason="No papers", by=by)

    importing.run(number)

    assert found(number).error == "You may no longer invite members from a file."


def test_a_plan_made_by_hand_reaches_no_stranger(alice):
    number = upload(sheet(PLACES, ["nina@new.example", "Viewer", "Küstenfunk"]))
    with unscoped("tampering with a plan") as session:
        import_ = session.get(AccountImport, number)
        rows = imports.rows_of(import_)
        rows[0].parent_id = account_called("gletscherbau").id
        import_.plan = sheets.packed([vars(row) for row in rows])

    importing.run(number)

    assert found(number).status is ImportStatus.CHECKED
    assert count(Invitation) == 0


def test_undoing_withdraws_what_is_pending_and_leaves_who_has_come(alice):
    number = written(sheet(PEOPLE, ["nina@new.example", "Viewer"], ["charlie@alpenwerk.example", "Viewer"]))
    accept(CHARLIE)

    assert undone(number).status is ImportStatus.UNDONE

    assert {email: status for email, _role, _slug, status in invited()} == {
        "charlie@alpenwerk.example": InvitationStatus.ACCEPTED,
        "nina@new.example": InvitationStatus.WITHDRAWN,
    }


def accept(person):
    from tests.services.test_invitations import accept, secret_of

    with unscoped("looking for the test's invitation", writes=False) as session:
        invitation = session.scalars(select(Invitation).where(Invitation.email == person.email)).one()
    accept(secret_of(invitation), person)


def test_invitations_of_a_file_are_undone_within_the_hour(alice):
    number = written(sheet(PEOPLE, ["nina@new.example", "Viewer"]))

    with clock.back_then(clock.now() + timedelta(minutes=61)), pytest.raises(Refused, match="within an hour"):
        undone(number)


# --- articles ----------------------------------------------------------------------------------------------------


def shop():
    """An article on offer that grants five of something."""
    return stock.article("ART-1", grants={stock.license_type(): 5})


def test_what_accounts_would_be_given_is_said_first(dora):
    shop()
    withdrawn = stock.article("OLD-1")
    with acting_as(dora) as by:
        catalog.archive(db.session.get(Article, withdrawn), by=by)
    with acting_as(dora) as by:
        file = sheet(
            GIFTS,
            ["Küstenfunk", "ART-1", 3.0], ["Deichbau", "ART-1", "12"], ["Küstenfunk", "ART-1", 1.0],
            ["Küstenfunk", "ART-9", 1.0], ["Küstenfunk", "OLD-1", 1.0], ["Nowhere", "ART-1", 1.0],
            ["Fjordline", "ART-1", 1.5], ["Fjordline", "ART-1", "1.000"], ["Fjordline", "ART-1", 0.0],
            ["Fjordline", "ART-1", 1e9], ["Fjordline", "ART-1", float("inf")], [None, "ART-1", 1.0],
        )  # fmt: skip
        rows = looked(by, GIVE, file)

    assert states(rows) == ["created"] * 2 + ["error"] * 10
    assert rows[0].cells == {"article_id": [None, ["ART-1", "Starter pack"]], "quantity": [None, 3]}
    whole = "A quantity is a whole number from 1 to 1,000,000,000."
    assert [said(row)[0] for row in rows[2:]] == [
        "Accounts!B4: The same stands in row 2 already.",
        "Accounts!B5: There is no article with the number “ART-9”.",
        "Accounts!B6: Starter pack is archived and offered no longer.",
        "Accounts!A7: There is no account “Nowhere” here.",
        *[f"Accounts!C{row}: {whole}" for row in range(8, 13)],
        "Accounts!A13: Please fill this in.",
    ]


def test_nobody_but_the_operator_gives_articles(alice):
    shop()
    with acting_as(alice) as by:
        [row] = looked(by, GIVE, sheet(GIFTS, ["Küstenfunk", "ART-1", 1.0]))

    assert said(row) == ["Row 2: Only the operator gives articles and licenses."]


def test_articles_are_given_and_become_licenses(dora):
    shop()
    number = written(sheet(GIFTS, ["Küstenfunk", "ART-1", 3.0], ["Deichbau", "ART-1", 1.0]), GIVE, person=DORA)

    with unscoped("looking at what was given", writes=False) as session:
        given = select(License).order_by(License.id)
        assert [(one.account.slug, one.quantity) for one in session.scalars(given)] == [
            ("kuestenfunk", 15), ("deichbau", 5)
        ]  # fmt: skip
        assert {one.acquired_on for one in session.scalars(select(Holding))} == {stock.today()}
        line = session.scalars(select(LogEntry).where(LogEntry.action == "holding.imported")).one()
        assert line.changes["created"] == [None, 2]
    assert found(number).counts == {"created": 2}


def test_an_article_archived_meanwhile_stops_all_of_it(dora):
    shop()
    other = stock.article("ART-2")
    number = upload(sheet(GIFTS, ["Küstenfunk", "ART-1", 3.0], ["Deichbau", "ART-2", 1.0]), GIVE, person=DORA)
    with acting_as(dora) as by:
        catalog.archive(db.session.get(Article, other), by=by)

    importing.run(number)

    assert found(number).error == "Row 3, Deichbau: Starter pack is archived and offered no longer."
    assert count(Holding) == 0


def test_an_untouched_gift_is_taken_back_whole(dora):
    shop()
    number = written(sheet(GIFTS, ["Küstenfunk", "ART-1", 3.0], ["Deichbau", "ART-1", 1.0]), GIVE, person=DORA)

    assert undone(number, DORA).status is ImportStatus.UNDONE

    assert (count(Holding), count(License)) == (0, 0)
    with unscoped("looking at history", writes=False) as session:
        taken = session.scalars(select(LogEntry).where(LogEntry.action == "holding.taken_back")).all()
        assert {entry.account.slug for entry in taken} == {"kuestenfunk", "deichbau"}


def use(by):
    licenses.consume(license_of_deichbau(), 1, reference="x", by=by)


def use_and_release(by):
    use(by)
    licenses.release(license_of_deichbau(), 1, reference="x", by=by)


def suspend(by):
    licenses.suspend(license_of_deichbau(), reason="Overdue", by=by)


def revoke(by):
    licenses.revoke(license_of_deichbau(), reason="Gone", by=by)


def license_of_deichbau():
    return db.session.scalars(select(License).where(License.account_id == account_called("deichbau").id)).one()


@pytest.mark.parametrize(
    ("deed", "what"), [(use, "used"), (use_and_release, "used"), (suspend, "changed"), (revoke, "changed")]
)
def test_a_gift_that_something_has_come_of_keeps_all_of_it(dora, deed, what):
    shop()
    number = written(sheet(GIFTS, ["Küstenfunk", "ART-1", 3.0], ["Deichbau", "ART-1", 1.0]), GIVE, person=DORA)
    with acting_as(dora) as by:
        deed(by)

    after = undone(number, DORA)

    assert after.status is ImportStatus.DONE
    assert after.error.startswith("Row 3, Deichbau: LIC-") and after.error.endswith(f"has been {what} since.")
    assert (count(Holding), count(License)) == (2, 2)


def test_only_the_operator_takes_articles_back(dora, alice):
    shop()
    written(sheet(GIFTS, ["Küstenfunk", "ART-1", 3.0]), GIVE, person=DORA)

    with acting_as(alice) as by, pytest.raises(Refused, match="Only the operator"):
        licenses.take_back(db.session.scalars(select(Holding)).one(), by=by)


# --- both --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ImportKind))
def test_history_has_words_for_every_kind(kind):
    assert {f"{kind}.imported", f"{kind}.import_undone"} <= set(ACTIONS)


def test_a_refusal_is_said_in_the_language_of_whoever_uploaded(alice):
    number = upload(sheet(PEOPLE, ["nina@new.example", "Betrachter"]), locale="de")
    hire("nina@new.example", "nordlicht", Role.VIEWER)

    importing.run(number)

    assert found(number).error.startswith("Zeile 2, nina@new.example: ")
