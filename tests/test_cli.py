"""The commands of operations, run as an operator runs them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select

from app import create_app
from app.extensions import db
from app.models import Account, Member, User
from app.tenancy import unscoped
from tests.cast import apart
from tests.conftest import SETTINGS


@pytest.fixture
def empty(tmp_path):
    """An installation with nothing in it, not even tables."""
    app = create_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'kontor.db'}", DATA_DIR=tmp_path, KONTOR_ENV="production",
        **SETTINGS,
    )  # fmt: skip
    yield app
    with app.app_context():
        db.engine.dispose()


def run(app, *words: str):
    return apart(app.test_cli_runner().invoke, args=["kontor", *words])


def count(app, model) -> int:
    with app.app_context(), unscoped("counting", writes=False) as session:
        return session.scalar(select(func.count(model.id)))


def test_production_starts_empty_and_its_operator_is_made_by_hand(empty):
    assert run(empty, "prepare").exit_code == 0
    assert count(empty, Account) == 0

    made = run(empty, "init-operator", "--name", "Größe & Söhne", "--email", "Chef@Groesse.example", "--language", "de")

    assert made.exit_code == 0, made.output
    link = re.search(r"http://localhost(/reset/\S+)", made.output).group(1)
    page = apart(empty.test_client().get, link)
    assert page.status_code == 200 and "chef@groesse.example" in page.text
    assert count(empty, Account) == count(empty, Member) == count(empty, User) == 1


@pytest.mark.parametrize(("said", "names"), [("Erika  Maria Muster", ("Erika Maria", "Muster")), ("", ("", ""))])
def test_the_operators_first_administrator_can_be_given_a_name(empty, said, names):
    run(empty, "prepare")

    run(empty, "init-operator", "--name", "One", "--email", "one@one.example", "--person", said)

    with empty.app_context(), unscoped("looking", writes=False) as session:
        assert session.execute(select(User.first_name, User.last_name)).one() == names


def test_there_is_no_second_operator(empty):
    run(empty, "prepare")
    run(empty, "init-operator", "--name", "One", "--email", "one@one.example")

    again = run(empty, "init-operator", "--name", "Two", "--email", "two@two.example")

    assert again.exit_code == 1 and "operator already" in again.output
    assert count(empty, Account) == count(empty, User) == 1


def test_the_demo_is_built_once_and_preparing_again_keeps_everything(empty):
    empty.config["KONTOR_ENV"] = "demo"
    assert run(empty, "prepare").exit_code == 0
    accounts = count(empty, Account)
    assert accounts >= 55
    with empty.app_context(), unscoped("looking", writes=False) as session:
        assert set(session.scalars(select(User.locale))) == {None}  # everybody reads their browser's language

    assert run(empty, "prepare").exit_code == 0

    assert count(empty, Account) == accounts


def test_somebody_locked_out_is_let_in_with_the_password_alone(empty):
    run(empty, "prepare")
    run(empty, "init-operator", "--name", "One", "--email", "one@one.example")

    assert run(empty, "forget-second-factor", "ONE@one.example").exit_code == 0
    assert "nobody" in run(empty, "forget-second-factor", "two@two.example").output
