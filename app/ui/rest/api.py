"""A resource of the REST API is a declaration, and one line per verb; the dialect is that of FAB's `ModelRestApi`.

`BackOfficeApi` answers list, item, info, add and edit for one model. It keeps no state of a request on itself and uses
nothing of FAB's that does (shared filters, schemas that load any key): a request's question becomes a `Listing` of its
own, and what is written goes through the services, as from the screens.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from flask import Response, g, request, url_for
from flask_appbuilder import ModelRestApi, expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import JSON, inspect

from ... import idempotency
from ...extensions import db
from ...tenancy import may_change
from ..acting import may
from ..columns import Field, field_of
from ..listing import Listing
from ..masks import CONTACTS, hides
from ..view import LARGEST_KEY
from . import question, shapes
from .bodies import given, plain, told
from .problems import Problem

LABELS = {
    "id": _l("Number"),
    "account.id": _l("Account, by its number"),
    "account.name": _l("Account"),
    "parent.id": _l("Parent account, by its number"),
    "archived_at": _l("Archived"),
}  # where a resource does not say
ONCE = "X-Idempotency-Key"
LONGEST_KEY = 120


def offers(permission: str) -> Callable[[Any], Any]:
    """An endpoint for whoever has that permission on the resource's noun; others are told so (403)."""

    def mark(endpoint: Any) -> Any:
        @wraps(endpoint)
        def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not may(self.right_to(endpoint.__name__)):
                raise Problem(403)
            return endpoint(self, *args, **kwargs)

        guarded._permission_name = permission
        return guarded

    return mark


class Verb(NamedTuple):
    """What `@verb` and `@query` say of a method."""

    name: str
    summary: Any
    method: str
    sends: shapes.Shape | None
    tells: shapes.Shape | None  # besides a row


def verb(
    name: str,
    summary: Any,
    *,
    permission: str = "",
    sends: shapes.Shape | None = None,
    tells: shapes.Shape | None = None,
    once: bool = True,
) -> Callable[[Any], Any]:
    """Offer a method as `POST /<pk>/<name>`. It is handed the row, and what was sent if something is to be (`sends`).
    It is answered with the row as it is then, or with what it `tells`. Without `once` it minds repeated calls itself.
    """

    def mark(deed: Any) -> Any:
        @expose(f"/<int:pk>/{name}", methods=["POST"])
        @offers(permission or name)
        @wraps(deed)
        def endpoint(self: BackOfficeApi, pk: int) -> Response:
            if not once:
                return self.do(deed, self.row_to_change(pk), sends)
            return self.once(lambda: self.do(deed, self.row_to_change(pk), sends))

        endpoint._verb = Verb(name, summary, "POST", sends, tells)
        return endpoint

    return mark


def query(
    name: str, summary: Any, *, permission: str, sends: shapes.Shape, tells: shapes.Shape
) -> Callable[[Any], Any]:
    """Offer a method as `GET /<pk>/<name>?…`. It is handed the row and what the address says, whole numbers all."""

    def mark(answer: Any) -> Any:
        @expose(f"/<int:pk>/{name}", methods=["GET"])
        @offers(permission)
        @wraps(answer)
        def endpoint(self: BackOfficeApi, pk: int) -> Response:
            asked = {k: int(v) if v.isascii() and v.isdecimal() else v for k, v in request.args.items() if len(v) < 20}
            if wrong := shapes.faults(sends, asked):
                raise Problem(400, errors=wrong)
            return told(answer(self, self.row(pk), asked))

        endpoint._verb = Verb(name, summary, "GET", sends, tells)
        return endpoint

    return mark


class BackOfficeApi(ModelRestApi):
    """A resource for one model. Declare `datamodel`, `noun` and columns; the rest is here.

    A column is a mapped attribute or `relation.attribute`, told as an object within. `noun` is the first half of the
    permissions in `permissions.py`, as on the screen.
    """

    noun = ""
    order: tuple[str, ...] = ("id",)
    looking = "list"  # the permission to look at one row, where it is not that to see them all
    label_columns: dict[str, Any] = {}
    add_columns: list[str] = []
    edit_columns: list[str] = []
    include_route_methods = {"info", "get_list", "get"}
    description: Any = ""  # what the resource is, for the reference

    # --- Flask-AppBuilder's own set-up, replaced ---

    def __init__(self) -> None:
        self.class_permission_name = self.noun
        cls = type(self)
        marked = [name for name in dir(cls) if hasattr(getattr(cls, name), "_verb")]
        self.verbs: dict[str, Verb] = {name: getattr(cls, name)._verb for name in marked}
        self.include_route_methods = {*self.include_route_methods, *self.verbs}
        super().__init__()

    def _init_properties(self) -> None:
        """Columns are read off the model, see `fields`."""

    def _init_model_schemas(self) -> None:
        """What comes in and goes out has a shape, see `shapes`."""

    def _init_titles(self) -> None:
        """Titles are declared."""

    # --- what subclasses may say ---

    def conditions(self) -> tuple[Any, ...]:
        """What narrows the list besides the wall."""
        return ()

    def fields(self) -> dict[str, Field]:
        """The columns, by the names programs know them by."""
        model, labels = self.datamodel.obj, {**LABELS, **self.label_columns}
        return {name: _field(model, name, labels.get(name, name)) for name in self.list_columns}

    def usual(self, fields: dict[str, Field]) -> builtins.list[str]:
        """The columns told where none are asked for."""
        return [*fields]

    def may_edit(self, row: Any) -> bool:
        return True

    def shape_to_add(self) -> shapes.Shape:
        return self.body(self.add_columns, shapes.required(self.datamodel.obj, self.add_columns))

    def shape_to_edit(self) -> shapes.Shape:
        """Masked contacts cannot be changed: they are no part of it (X-11)."""
        contacts = CONTACTS.get(self.datamodel.obj, {})
        return self.body([name for name in self.edit_columns if not hides(contacts.get(name))], [])

    def create(self, sent: dict[str, Any]) -> Any:
        """Make the row that was sent; may raise `Refused`."""
        raise NotImplementedError

    def change(self, row: Any, sent: dict[str, Any]) -> None:
        """Put what was sent into the row; what was not stays. May raise `Refused`."""
        raise NotImplementedError

    def remove(self, row: Any) -> None:
        """May raise `Refused`."""
        raise NotImplementedError

    # --- asking ---

    @expose("/_info", methods=["GET"])
    @offers("list")
    def info(self) -> Response:
        """What one may do here, and what can be sent and asked."""
        keys = question.asked(question.OF_INFO).get("keys", [])
        return told(_of_keys(keys, self._known()))

    @expose("/", methods=["GET"])
    @offers("list")
    def get_list(self) -> Response:
        """The rows asked for, a page at a time."""
        asked = question.asked(question.OF_LIST)
        fields = self.fields()
        names = self._chosen(asked, fields)
        found = self.listing(asked, fields)
        count = found.count()
        rows = found.rows() if count else []
        answer = {"count": count, "ids": [self.key_of(row) for row in rows]}
        answer["result"] = [self.shown(row, names, fields) for row in rows]
        return told(answer | _of_keys(asked.get("keys", []), self._about_list(names, fields)))

    @expose("/<int:pk>", methods=["GET"])
    @offers("show")
    def get(self, pk: int) -> Response:
        """One row."""
        asked = question.asked(question.OF_ITEM)
        fields = self.fields()
        names = self._chosen(asked, fields)
        row = self.row(pk)
        about = {"label_columns": self._labels(names, fields), "show_columns": names}
        return told({"id": pk, "result": self.shown(row, names, fields)} | _of_keys(asked.get("keys", []), about))

    def listing(self, asked: dict[str, Any], fields: dict[str, Field]) -> Listing:
        model = self.datamodel.obj
        return question.listing(asked, fields, model=model, order=self.order, conditions=self.conditions())

    def row(self, pk: int) -> Any:
        """The row of that key on this side of the wall, or 404."""
        row = db.session.get(self.datamodel.obj, pk) if pk <= LARGEST_KEY else None
        if row is None or not self.is_shown(row):
            raise Problem(404)
        return row

    def row_to_change(self, pk: int) -> Any:
        """The same, to do something to it: what is seen by a client's consent is mostly to look at (403)."""
        row = self.row(pk)
        if not may_change(row):
            raise Problem(403)
        return row

    def is_shown(self, row: Any) -> bool:
        """Whether a row this side of the wall belongs to the resource at all."""
        return True

    def shown(self, row: Any, names: builtins.list[str], fields: dict[str, Field]) -> dict[str, Any]:
        """A row as JSON tells it; columns of a relation are an object within, or null."""
        said: dict[str, Any] = {}
        for name in names:
            relation, _dot, inner = name.rpartition(".")
            if not relation:
                said[name] = self.plain(fields[name], row)
            elif getattr(row, relation) is None:
                said[relation] = None
            else:
                said.setdefault(relation, {})[inner] = self.plain(fields[name], row)
        return said

    def plain(self, field: Field, row: Any) -> Any:
        return plain(field.value(row))

    def _chosen(self, asked: dict[str, Any], fields: dict[str, Field]) -> builtins.list[str]:
        """The columns wanted, by name or by the name of their relation; all of them where nothing is said."""
        wanted = asked.get("columns") or asked.get("select_columns") or []
        if unknown := [w for w in wanted if w not in fields and not any(name.startswith(f"{w}.") for name in fields)]:
            said = _("There is no column “%(name)s”.", name=unknown[0][:40])
            raise Problem(400, said, errors=[("q.columns", said)])
        if not wanted:
            return self.usual(fields)
        return [name for name in fields if name in wanted or name.rpartition(".")[0] in wanted]

    def right_to(self, method: str) -> str:
        """The permission an endpoint asks for."""
        permission = getattr(type(self), method)._permission_name
        return f"{self.noun}.{self.looking if permission == 'show' else permission}"

    def key_of(self, row: Any) -> int:
        return inspect(row).identity[0]

    # --- writing ---

    @expose("/", methods=["POST"])
    @offers("add")
    def post(self) -> Response:
        """Add a row."""
        return self.once(self._post)

    def _post(self) -> Response:
        row = self.create(given(self.shape_to_add()))
        db.session.flush()
        place = url_for(f"{self.endpoint}.get", pk=self.key_of(row))
        return told(self._item(row), 201, {"Location": place})

    @expose("/<int:pk>", methods=["PUT"])
    @offers("edit")
    def put(self, pk: int) -> Response:
        """Change a row: what is sent; the rest stays."""
        row = self.row_to_change(pk)
        if not self.may_edit(row):
            raise Problem(403)
        self.change(row, given(self.shape_to_edit()))
        db.session.flush()
        return told(self._item(row))

    @expose("/<int:pk>", methods=["DELETE"])
    @offers("remove")
    def delete(self, pk: int) -> Response:
        """Take a row away."""
        self.remove(self.row_to_change(pk))
        db.session.flush()
        return told({"message": "OK"})

    def do(self, deed: Any, row: Any, sends: shapes.Shape | None) -> Response:
        """A verb on a row."""
        said = deed(self, row, given(sends)) if sends else deed(self, row)
        db.session.flush()
        return told(self._item(row) if said is None else said)

    def _item(self, row: Any) -> dict[str, Any]:
        fields = self.fields()
        return {"id": self.key_of(row), "result": self.shown(row, self.usual(fields), fields)}

    def body(self, columns: builtins.list[str], needed: builtins.list[str]) -> shapes.Shape:
        model = self.datamodel.obj
        return shapes.of_object({name: shapes.of_input(model, name) for name in columns}, needed)

    def once(self, deed: Callable[[], Response]) -> Response:
        """Do it, or, if it was done under the same idempotency key before, say again what was said then."""
        key = idempotency_key()
        if not key:
            return deed()
        said = hashlib.sha256(request.get_data()).hexdigest()
        asked = idempotency.Question(g.caller, f"{request.method} {request.path}"[:200], key, said)
        try:
            before = idempotency.answered(asked)
        except idempotency.Mismatch as refusal:
            raise Problem(422, refusal.sentence) from refusal
        if before is not None:
            return _again(before)
        answer = deed()
        place = answer.headers.get("Location", "")
        idempotency.keep(asked, status=answer.status_code, location=place, body=answer.get_data(as_text=True))
        return answer

    # --- what is told about it ---

    def _known(self) -> dict[str, Any]:
        rights = {self.right_to(name) for name in self.include_route_methods}
        return {
            "permissions": sorted(f"can_{right.partition('.')[2]}" for right in rights if may(right)),
            "add_columns": self._about_input("post", self.shape_to_add),
            "edit_columns": self._about_input("put", self.shape_to_edit),
            "filters": {
                name: [{"name": opr, "operator": opr} for opr in question.oprs(field)]
                for name, field in self.fields().items()
                if question.oprs(field)
            },
        }

    def _about_input(self, method: str, shape: Callable[[], shapes.Shape]) -> builtins.list[dict[str, Any]]:
        if method not in self.include_route_methods:
            return []
        said = shape()
        return [
            {"name": name, "label": self._label(name), "required": name in said["required"], **about}
            for name, about in said["properties"].items()
        ]

    def _about_list(self, names: builtins.list[str], fields: dict[str, Field]) -> dict[str, Any]:
        return {
            "label_columns": self._labels(names, fields),
            "list_columns": names,
            "order_columns": [name for name, field in fields.items() if field.expression is not None],
        }

    def _labels(self, names: builtins.list[str], fields: dict[str, Field]) -> dict[str, str]:
        return {name: str(fields[name].label) for name in names}

    def _label(self, name: str) -> str:
        return str({**LABELS, **self.label_columns}.get(name, name))


def idempotency_key() -> str:
    """The key the request came with; none is empty. Raises `Problem` (400) for what is none."""
    key = request.headers.get(ONCE, "")
    if len(key) > LONGEST_KEY or not (key.isprintable() and key.isascii()):
        raise Problem(400, _("%(header)s is at most %(count)s characters long.", header=ONCE, count=LONGEST_KEY))
    return key


def _field(model: type, name: str, label: Any) -> Field:
    """A column; JSON is told as it is, and neither sorted nor filtered by."""
    field = field_of(model, name, label)
    column = inspect(model).columns.get(name)
    if column is not None and isinstance(column.type, JSON):
        return Field(name, label, "json", field.value)
    return field


def _of_keys(keys: list[str], about: dict[str, Any]) -> dict[str, Any]:
    """What is told besides the rows: all of it, or what `keys` name."""
    return {name: value for name, value in about.items() if name in keys} if keys else about


def _again(before: Any) -> Response:
    place = {"Location": before.location} if before.location else {}
    answer = told(None, before.status, {**place, "X-Idempotency-Replayed": "true"})
    answer.set_data(before.body)
    return answer
