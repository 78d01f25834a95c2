"""Exports made by the worker: theirs who asked, whole, once, and gone after a day (X-3)."""

from __future__ import annotations

import io
from datetime import timedelta

import openpyxl
import pytest
from sqlalchemy import event, select

from app import clock, exporting, files, jobs
from app.extensions import db
from app.models import Account, Export, ExportStatus, LogEntry, Member, Message, Role
from app.services import exports, saved_views
from app.services.accounts import open_account
from app.tenancy import unscoped
from tests.cast import ALICE, acting_as, browse, hire


def ask(person=ALICE, query="", view="AccountsView"):
    """Ask for a list; the number of the export that waits for the worker."""
    answer = browse(person).post(f"/exports/add?of={view}{query}")
    assert answer.status_code == 302, answer.status_code
    with unscoped("looking for the test's export", writes=False) as session:
        return session.scalars(select(Export.id).order_by(Export.id.desc())).first()


def found(number):
    with unscoped("looking at the test's export", writes=False) as session:
        return session.get(Export, number)


def left_of(export):
    """What lies in the folder of an export."""
    return list(files.path_of(export.file).parent.glob(f"{export.file}*"))


def rows_of(data):
    return list(openpyxl.load_workbook(io.BytesIO(data)).worksheets[0].values)


def test_the_file_is_the_list_as_it_stood_on_the_screen(alice):
    number = ask(query="&_flt_0_name=e&sort=-name&archived=1")

    exporting.make(number)

    answer = browse(alice).get(f"/exports/file/{number}")
    assert [row[0] for row in rows_of(answer.data)] == ["Name", "Küstenfunk", "Fjordline", "Deichbau", "Bergen Sensor"]
    assert "attachment; filename=accounts-" in answer.headers["Content-Disposition"]
    assert (found(number).status, found(number).written) == (ExportStatus.DONE, 4)


def test_a_file_made_by_the_worker_says_of_which_view_it_is(alice):
    with acting_as(alice) as by:
        pk = saved_views.save("With an e", of_list="accounts", query="_flt_0_name=e&size=50", shared=False, by=by).id
    number = ask(query=f"&_flt_0_name=e&based={pk}")

    exporting.make(number)

    about = openpyxl.load_workbook(io.BytesIO(browse(alice).get(f"/exports/file/{number}").data)).worksheets[1]
    assert ("View", "With an e") in [row[:2] for row in about.values]


def test_a_csv_is_made_as_well(alice):
    number = ask(query="&format=csv")

    exporting.make(number)

    assert browse(alice).get(f"/exports/file/{number}").text.startswith("\ufeffName,Kind,")


def test_a_row_is_said_in_full_and_becomes_no_object(alice):
    loaded, listener = set(), (Account, "load", lambda row, _context: loaded.add(row.name))
    event.listen(*listener)
    try:
        header, *rows = rows_of(browse(alice).get("/accounts/export?_flt_0_name=Küsten").data)
    finally:
        event.remove(*listener)

    [said] = [dict(zip(header, row, strict=True)) for row in rows]
    assert (said["Name"], said["Kind"], said["Status"], said["Beneath"]) == (
        "Küstenfunk", "Customer", "Active", "Nordlicht",
    )  # fmt: skip
    assert "Küstenfunk" not in loaded


def test_it_leaves_a_line_of_history_and_a_mail(alice):
    exporting.make(ask(query="&_flt_0_name=e"))

    with acting_as(alice):
        [line] = db.session.scalars(select(LogEntry).where(LogEntry.action == "account.exported"))
        assert line.changes == {"filter": [None, {"en": "Name contains e", "de": "Name enthält e"}]}
        [message] = db.session.scalars(select(Message).where(Message.recipient == alice.email))
        assert "/a/nordlicht/exports/" in message.body_text


def test_it_is_for_its_person_in_its_account_alone(alice, frida, dora):
    colleague = hire("colleague@nordlicht.example", "nordlicht", Role.ADMINISTRATOR)
    number = ask()
    exporting.make(number)
    with unscoped("Alice works elsewhere, too") as session:
        user_id = session.scalar(select(Member.user_id).where(Member.user.has(email=alice.email)))
        elsewhere = session.scalar(select(Account).where(Account.slug == "alpenwerk"))
        session.add(Member(account=elsewhere, user_id=user_id, role=Role.ADMINISTRATOR, created_at=clock.now()))

    also_alice = type(alice)(alice.email, "alpenwerk")
    for stranger in (colleague, frida, dora, also_alice):
        page = browse(stranger).get("/exports/")
        assert page.status_code == 200 and "k-line-text" not in page.text
        for address in ("file", "show"):
            assert browse(stranger).get(f"/exports/{address}/{number}").status_code == 404
        assert browse(stranger).post(f"/exports/discard/{number}").status_code == 404
    assert browse(alice).get(f"/exports/file/{number}").status_code == 200


def test_it_shows_what_the_person_may_see_when_it_is_made(alice):
    number = ask()
    with unscoped("Deichbau goes to the archive meanwhile") as session:
        session.scalar(select(Account).where(Account.slug == "deichbau")).archived_at = clock.now()

    exporting.make(number)

    assert "Deichbau" not in [row[0] for row in rows_of(browse(alice).get(f"/exports/file/{number}").data)]


@pytest.mark.parametrize("deed", ["removed", "demoted"])
def test_who_may_no_longer_export_gets_no_file(alice, deed):
    mona = hire("mona@nordlicht.example", "nordlicht", Role.SALES)
    number = ask(mona)
    with unscoped("letting the test's person go") as session:
        member = session.scalar(select(Member).where(Member.user.has(email=mona.email)))
        if deed == "removed":
            session.delete(member)
        else:
            member.role = Role.VIEWER

    exporting.make(number)

    assert (found(number).status, found(number).size) == (ExportStatus.FAILED, 0)


def test_a_cancelled_export_is_not_made(alice):
    number = ask()
    asked = found(number)
    browse(alice).post(f"/exports/discard/{number}")

    exporting.make(number)

    assert found(number) is None
    assert not left_of(asked)


def test_cancelling_stops_it_while_it_is_made(alice, monkeypatch):
    number = ask()
    asked = found(number)
    monkeypatch.setattr(exporting, "SIGN_OF_LIFE", 0)
    monkeypatch.setattr(exporting, "written", cancelling(number))

    exporting.make(number)

    assert found(number) is None
    assert not left_of(asked)


def cancelling(number):
    """The writing of a file that is cancelled after its first chunk."""
    written = exporting.written

    def then_cancelled(*arguments):
        chunks, rows = written(*arguments)

        def told():
            for chunk in chunks:
                with unscoped("somebody cancels it just now") as session:
                    exports.discard(session.get(Export, number))
                yield chunk

        return told(), rows

    return then_cancelled


def test_a_worker_that_dies_leaves_it_to_the_next(alice):
    number = ask()
    with unscoped("a worker takes it, and is never heard of again"):
        exports.claim(number)

    exporting.make_due()
    assert found(number).status is ExportStatus.RUNNING

    with clock.back_then(clock.now() + exports.LEASE + timedelta(seconds=1)):
        exporting.make_due()
    assert (found(number).status, found(number).attempts) == (ExportStatus.DONE, 2)


def test_of_several_workers_one_gets_it(alice):
    number = ask()

    with unscoped("the first"):
        assert exports.claim(number) is not None
    with unscoped("the second"):
        assert exports.claim(number) is None


def test_a_worker_that_comes_back_too_late_has_nothing_to_say(alice):
    number = ask()
    with unscoped("the first takes it"):
        late = exports.claim(number)
    with clock.back_then(clock.now() + exports.LEASE + timedelta(seconds=1)), unscoped("the next has it"):
        exports.claim(number)

    with pytest.raises(exports.Stopped), unscoped("the first wakes up"):
        exports.finish(late, written=1, size=1)

    assert found(number).status is ExportStatus.RUNNING


def test_what_always_fails_is_given_up_and_says_so(alice, monkeypatch):
    number = ask()
    monkeypatch.setattr(exporting, "written", lambda *_: 1 / 0)

    for _try in range(exports.MOST_TRIES):
        with clock.back_then(clock.now() + _try * (exports.LEASE + timedelta(seconds=1))):
            exporting.make(number)

    assert found(number).status is ExportStatus.FAILED
    assert "Failed" in browse(alice).get("/exports/").text


def test_after_a_day_it_is_gone_with_its_file(alice):
    number = ask()
    exporting.make(number)
    made = found(number)
    assert left_of(made)

    with clock.back_then(clock.now() + exports.KEPT + timedelta(minutes=1)):
        assert browse(alice).get(f"/exports/file/{number}").status_code == 404
        jobs.clear_away()

    assert found(number) is None
    assert not left_of(made)


def test_a_person_has_a_few_at_a_time(alice):
    for _ in range(exports.MOST_UNDER_WAY):
        ask()

    browser = browse(alice)
    assert browser.post("/exports/add?of=AccountsView").status_code == 302
    assert "wait for one of them" in browser.get("/exports/").text
    with unscoped("counting", writes=False) as session:
        assert len(session.scalars(select(Export)).all()) == exports.MOST_UNDER_WAY


def test_a_long_list_is_left_to_the_worker(alice, monkeypatch):
    monkeypatch.setattr("app.ui.view.MOST_AT_ONCE", 2)
    browser = browse(alice)

    answer = browser.get("/accounts/export?_flt_0_name=e", headers={"HX-Request": "true"})

    assert answer.headers["HX-Redirect"] == "/a/nordlicht/exports/"
    exporting.make_due()
    assert len(rows_of(browser.get("/exports/file/1").data)) == 5


@pytest.mark.parametrize("format", ["xlsx", "csv"])
def test_a_download_tells_beforehand_about_how_large_it_will_be(alice, format):
    with unscoped("many rows") as session:
        nordlicht = session.scalar(select(Account).where(Account.slug == "nordlicht"))
        for number in range(400):
            open_account(f"Hafenbetrieb {number:05}", parent=nordlicht, by=None, city="Husum", email="a@b.example")

    answer = browse(alice).get(f"/accounts/export?format={format}")

    assert 0.5 < int(answer.headers["X-Size-About"]) / len(answer.data) < 2


@pytest.mark.parametrize("view", ["", "NoSuchView", "DashboardView", "ExportsView", "RolesView"])
def test_only_lists_can_be_asked_for(alice, view):
    assert browse(alice).post(f"/exports/add?of={view}").status_code == 404


def test_who_may_not_export_a_list_may_not_have_it_sent(alice):
    sales = hire("sales@nordlicht.example", "nordlicht", Role.SALES)

    assert browse(sales).post("/exports/add?of=HistoryView").status_code == 403
