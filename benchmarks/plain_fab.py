"""The same rows as Flask-AppBuilder shows them by itself: one view, properties in a JSON column, nothing of ours.

    .venv/bin/python benchmarks/plain_fab.py <url> "$(.venv/bin/python benchmarks/bench.py plainly <url>)"

A view of the database makes columns of the JSON, so that FAB can sort and filter by them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from flask import Flask  # noqa: E402
from flask_appbuilder import AppBuilder, Model, ModelView  # noqa: E402
from flask_appbuilder.models.sqla.base import SQLA  # noqa: E402
from flask_appbuilder.models.sqla.filters import FilterEqual  # noqa: E402
from flask_appbuilder.models.sqla.interface import SQLAInterface  # noqa: E402
from sqlalchemy import Column, DateTime, Float, Integer, String, create_engine, text  # noqa: E402

from benchmarks.asking import QUESTIONS, RUNS, timed  # noqa: E402

PASSWORD = "plain-fab-2026"
BUILT_IN = ["name", "contact", "email", "phone", "city", "country", "created_at"]
RUNS = min(RUNS, 9)


def plain_app(url: str, partner: int, own: list[int]) -> tuple[Flask, Any]:
    app, db = Flask(__name__), SQLA(model_class=Model)
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY="b" * 32, WTF_CSRF_ENABLED=False)
    db.init_app(app)
    kinds = [String, String, Integer, Float, String, String, String, String]
    columns = {f"p{number}": Column(kind) for number, kind in zip(own, kinds, strict=True)}

    class Plain(Model):
        __tablename__ = "plain"
        id = Column(Integer, primary_key=True)
        parent_id = Column(Integer)
        created_at = Column(DateTime)
        locals().update({name: Column(String) for name in BUILT_IN[:-1]}, **columns)

    class PlainView(ModelView):
        datamodel = SQLAInterface(Plain)
        base_filters = [["parent_id", FilterEqual, partner]]
        list_columns = [*BUILT_IN, *(f"p{number}" for number in own)]
        search_columns = order_columns = list_columns
        base_order = ("name", "asc")
        page_size = 25

    with app.app_context():
        builder = AppBuilder(app, db.session)
        builder.add_view(PlainView, "Accounts")
        if builder.sm.find_user("plain") is None:
            role = builder.sm.find_role("Admin")
            builder.sm.add_user("plain", "Plain", "Fab", "plain@fab.example", role, password=PASSWORD)
    return app, db


def main() -> None:
    url, (partner, own) = sys.argv[1], json.loads(sys.argv[2])
    app, db = plain_app(url, partner, own)
    found = {}
    names = [f"p{number}" for number in own]
    with app.app_context():
        client = app.test_client()
        person = {"username": "plain", "password": PASSWORD}
        sign_in = lambda _path: app.test_client().post("/login/", data=person)  # noqa: E731
        found["sign-in"] = timed(db.engine, lambda: sign_in, "", runs=5)
        client.post("/login/", data=person)
        for title, (_kontor, query) in QUESTIONS.items():
            if query or title == "list, first page":
                path = f"/plainview/list/?{query.format(*names)}"
                found[title] = timed(db.engine, lambda: client.get, path, runs=RUNS)
        assert b"of" in client.get("/plainview/list/").data
        db.session.remove()
        db.engine.dispose()
    with create_engine(url).begin() as connection:
        connection.execute(text("DROP VIEW plain"))
        connection.execute(text("DROP TABLE plain_row"))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
