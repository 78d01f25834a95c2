"""The document that tells programs, and with the same words people, all of the API: OpenAPI 3.1 at `/api/v1/_openapi`.

It is made from the declarations that answer (`api.py`) and the shapes that check (`shapes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, current_app
from flask_appbuilder import expose
from flask_appbuilder.api import BaseApi
from flask_babel import gettext as _

from . import question
from .api import LONGEST_KEY, ONCE, BackOfficeApi, Verb
from .bodies import told
from .problems import MIME, title
from .shapes import LARGEST, Shape, of_output

PROBLEMS = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500)
ANYBODY_READING = (400, 401, 403, 404, 429, 500)


class OpenApi(BaseApi):
    """The document itself, for everybody: there is nothing of anybody in it."""

    route_base = "/api/v1"

    @expose("/_openapi", methods=["GET"])
    def spec(self) -> Response:
        return told(document())


def document() -> dict[str, Any]:
    """The whole of it, in the language at hand."""
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{current_app.config.get('BRAND', 'Kontor')} API", "version": "1", "description": _about()},
        "servers": [{"url": current_app.config["PUBLIC_URL"]}],
        "security": [{"key": []}],
        "tags": [{"name": api.resource_name, "description": str(api.description)} for api in resources()],
        "paths": {path: operations for api in resources() for path, operations in _paths(api)} | _me(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": _("An API key: kontor_…")}},
            "schemas": {"Problem": _problem()} | {_name(api): _row(api) for api in resources()},
            "parameters": _parameters(),
            "responses": {str(code): _problem_response(code) for code in PROBLEMS},
        },
    }


def resources() -> list[BackOfficeApi]:
    """The resources, in the order they are declared."""
    return [view for view in current_app.appbuilder.baseviews if isinstance(view, BackOfficeApi)]  # type: ignore


def _about() -> str:
    return _(
        "Lists are asked in Flask-AppBuilder's dialect: ?q=(filters:!((col:name,opr:ct,value:nord)),page:0,"
        "page_size:100) in rison, or the same as JSON. Moments are ISO 8601 with their zone, days ISO, decimal numbers "
        "and amounts of money exact as text. Errors are problem details (RFC 9457) in the language of Accept-Language."
    )


def _name(api: BackOfficeApi) -> str:
    return str(api.resource_name).capitalize()


# --- what is at each address ---------------------------------------------------------------------------------------


def _paths(api: BackOfficeApi) -> Iterator[tuple[str, dict[str, Any]]]:
    base, has, name = f"/api/v1/{api.resource_name}", api.include_route_methods, _name(api)
    many, one = {}, {"parameters": [_ref("parameters", "pk")]}
    many["get"] = _operation(api, "get_list", _("List"), {"200": _answer(_list_of(name))}, [_ref("parameters", "q")])
    if "post" in has:
        many["post"] = _written(api, "post", _("Add"), {"201": _created(name)}, api.shape_to_add())
    yield f"{base}/", many
    yield f"{base}/_info", {"get": _info(api)}
    found = {"200": _answer(_item_of(name))}
    one["get"] = _operation(api, "get", _("Look at one"), found, [_ref("parameters", "q_item")])
    if "put" in has:
        one["put"] = _written(api, "put", _("Change"), found, api.shape_to_edit())
    if "delete" in has:
        said = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
        one["delete"] = _operation(api, "delete", _("Remove"), {"200": _answer(said)}, problems=(*ANYBODY_READING, 409))
    yield f"{base}/{{pk}}", one
    on_one: dict[str, dict[str, Any]] = {}  # asked and done at one address
    for method, verb in sorted(api.verbs.items()):
        on_one.setdefault(verb.name, {"parameters": [_ref("parameters", "pk")]}).update(_verb(api, method, verb))
    yield from ((f"{base}/{{pk}}/{name}", operations) for name, operations in on_one.items())


def _verb(api: BackOfficeApi, method: str, verb: Verb) -> dict[str, Any]:
    done = {"200": _answer(verb.tells or _item_of(_name(api)))}
    if verb.method == "POST":
        return {"post": _written(api, method, str(verb.summary), done, verb.sends)}
    asked = (verb.sends or {}).get("properties", {}).items()
    parameters = [{"name": name, "in": "query", "required": False, "schema": shape} for name, shape in asked]
    problems = (*ANYBODY_READING, 422) if parameters else ANYBODY_READING  # what is asked may be impossible
    return {"get": _operation(api, method, str(verb.summary), done, parameters, problems)}


def _operation(
    api: BackOfficeApi,
    method: str,
    summary: str,
    responses: dict[str, Any],
    parameters: list[Any] | None = None,
    problems: tuple[int, ...] = ANYBODY_READING,
) -> dict[str, Any]:
    return {
        "tags": [api.resource_name],
        "operationId": f"{api.resource_name}_{method}",
        "summary": summary,
        "x-scope": api.right_to(method),
        "parameters": parameters or [],
        "responses": responses | {str(code): _ref("responses", str(code)) for code in problems},
    }


def _written(
    api: BackOfficeApi, method: str, summary: str, responses: dict[str, Any], shape: Shape | None
) -> dict[str, Any]:
    once = [] if method == "put" else [_ref("parameters", "once")]
    operation = _operation(api, method, summary, responses, once, PROBLEMS)
    if shape is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": shape}}}
    return operation


def _info(api: BackOfficeApi) -> dict[str, Any]:
    columns = {"type": "array", "items": {"type": "object"}}
    shape = _object(
        {
            "permissions": {"type": "array", "items": {"type": "string"}},
            "add_columns": columns,
            "edit_columns": columns,
            "filters": {"type": "object"},
        }
    )
    summary, parameters = _("What can be sent and asked"), [_ref("parameters", "q_info")]
    return _operation(api, "info", summary, {"200": _answer(shape)}, parameters)


def _me() -> dict[str, Any]:
    name = {"type": "string"}
    shape = _object(
        {
            "account": _object({"id": {"type": "integer"}, "name": name, "slug": name}),
            "user": _object({"name": name, "email": name}),
            "role": name,
            "key": {"type": ["string", "null"]},
            "permissions": {"type": "array", "items": name},
        }
    )
    responses = {str(code): _ref("responses", str(code)) for code in (401, 404, 429, 500)}
    operation = {"tags": ["me"], "operationId": "me_get", "summary": _("For whom the key acts, and what it may do")}
    return {"/api/v1/me/": {"get": operation | {"responses": {"200": _answer(shape)} | responses}}}


# --- parts --------------------------------------------------------------------------------------------------------


def _object(properties: dict[str, Any], required: list[str] | None = None) -> Shape:
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _answer(schema: Any, **more: Any) -> dict[str, Any]:
    return {"description": _("Done."), "content": {"application/json": {"schema": schema}}, **more}


def _created(name: str) -> dict[str, Any]:
    return _answer(_item_of(name), headers={"Location": {"schema": {"type": "string"}}})


def _item_of(name: str) -> Shape:
    return _object({"id": {"type": "integer"}, "result": _ref("schemas", name)}, ["id", "result"])


def _list_of(name: str) -> Shape:
    many = {"type": "array", "items": _ref("schemas", name)}
    keys = {"type": "array", "items": {"type": "integer"}}
    return _object({"count": {"type": "integer"}, "ids": keys, "result": many}, ["count", "ids", "result"])


def _row(api: BackOfficeApi) -> Shape:
    """A row as it is told; columns of a relation are an object within."""
    shape = _object({})
    fields = api.fields()
    for name in api.usual(fields):
        relation, _dot, inner = name.rpartition(".")
        if not relation:
            shape["properties"][name] = _of_field(fields[name])
            continue
        within = shape["properties"].setdefault(relation, {"type": ["object", "null"], "properties": {}})
        within["properties"][inner] = _of_field(fields[name])
    return shape


def _of_field(field: Any) -> Shape:
    return {**of_output(field), "description": str(field.label)}


def _problem() -> Shape:
    text = {"type": "string"}
    error = _object({"field": text, "message": text}, ["field", "message"])
    facts = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text}
    return _object({**facts, "errors": {"type": "array", "items": error}}, [*facts])


def _problem_response(code: int) -> dict[str, Any]:
    headers = {401: ("WWW-Authenticate", "string"), 429: ("Retry-After", "integer")}
    said = {"description": title(code), "content": {MIME: {"schema": _ref("schemas", "Problem")}}}
    if code in headers:
        name, type_ = headers[code]
        said["headers"] = {name: {"schema": {"type": type_}}}
    return said


def _parameters() -> dict[str, Any]:
    pk = {"name": "pk", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST}}
    once = {"name": ONCE, "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}}
    once["schema"]["pattern"] = "^[A-Za-z0-9_.:-]+$"
    once["description"] = _("A word of your own: sent again within 24 hours, the request is done once, answered twice.")
    return {
        "pk": pk,
        "once": once,
        "q": _question(question.OF_LIST, _("Filters, order, page and columns, in rison or JSON.")),
        "q_item": _question(question.OF_ITEM, _("Columns, in rison or JSON.")),
        "q_info": _question(question.OF_INFO, _("What is wanted of it, in rison or JSON.")),
    }


def _question(shape: Shape, about: str) -> dict[str, Any]:
    return {"name": "q", "in": "query", "description": about, "content": {"application/json": {"schema": shape}}}
