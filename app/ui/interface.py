"""Where Flask-AppBuilder is put in its place: its rights come from our table, its own screens stay off."""

from __future__ import annotations

from typing import Any

from flask_appbuilder import AppBuilder
from flask_appbuilder.menu import Menu
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.sqla.manager import SecurityManager
from flask_login import LoginManager

from ..extensions import db
from ..models import User
from .acting import identity, may


class Table(SQLAInterface):
    """The datamodel of a view, on the session of the request."""

    def __init__(self, model: type) -> None:
        super().__init__(model, db.session)


class Rights(SecurityManager):
    """Answers FAB's questions from `permissions.py`; needs no role, no permission and no query in the database."""

    user_model = User

    def has_access(self, permission_name: str, view_name: str) -> bool:
        return may(f"{view_name}.{permission_name.removeprefix('can_')}")

    def create_login_manager(self, app: Any) -> LoginManager:
        """Flask-Login knows the person our cookie names, and keeps nothing in the session itself."""
        manager = LoginManager(app)
        manager.request_loader(lambda _request: person.user if (person := identity()) else None)
        return manager

    def create_db(self) -> None:
        """The tables are Alembic's (migrations/)."""

    def register_views(self) -> None:
        """None of FAB's sign-in, user, role, registration and reset screens (decision 3)."""


class BackOffice(AppBuilder):
    """AppBuilder without its static files, its stock pages and its language switch."""

    def __init__(self) -> None:
        super().__init__(menu=Menu(), base_template="layout.html", security_manager_class=Rights, update_perms=False)

    def _add_global_static(self) -> None:
        """jQuery, Bootstrap 3 and their templates stay in the package."""

    def _add_admin_views(self) -> None:
        """Pages of ours stand in for the index, /back and /lang."""
