"""The API, told to people: the OpenAPI document as a page, in their language, with the account's own properties."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from flask import render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access

from ..ui.acting import may
from ..ui.rest.openapi import document

METHODS = ("get", "post", "put", "delete")


class Line(NamedTuple):
    """A field that is sent or told."""

    name: str
    type: str
    needed: bool
    about: str


class Call(NamedTuple):
    """One address and method."""

    method: str
    path: str
    summary: str
    scope: str
    body: list[Line]
    codes: list[str]


class Group(NamedTuple):
    """A resource."""

    name: str
    about: str
    calls: list[Call]
    fields: list[Line]


class ApiReferenceView(BaseView):
    """For whoever writes programs against the account."""

    route_base = "/api-reference"
    class_permission_name = "api"
    default_view = "show"

    @expose("/")
    @has_access
    def show(self) -> Any:
        told = document()
        groups = [_group(told, tag["name"], tag["description"]) for tag in told["tags"]]
        problems = [(code, answer["description"]) for code, answer in told["components"]["responses"].items()]
        server = told["servers"][0]["url"]
        return render_template(
            "api_reference.html",
            groups=[_group(told, "me", ""), *groups],
            problems=problems,
            server=server,
            spec_url=server + "/api/v1/_openapi",
            keys_url=url_for("ApiKeysView.list") if may("api_key.list") else "",
        )


def _group(told: dict[str, Any], tag: str, about: str) -> Group:
    calls = [
        _call(method, path, at[method])
        for path, at in told["paths"].items()
        for method in METHODS
        if method in at and at[method]["tags"] == [tag]
    ]
    row = told["components"]["schemas"].get(tag.capitalize(), {})
    return Group(tag, about, calls, _lines(row))


def _call(method: str, path: str, operation: dict[str, Any]) -> Call:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    codes = list(operation["responses"])
    return Call(method.upper(), path, operation["summary"], operation.get("x-scope", ""), _lines(body), codes)


def _lines(shape: dict[str, Any], within: str = "") -> list[Line]:
    found = []
    for name, about in shape.get("properties", {}).items():
        inner = _lines(about, f"{within}{name}.")
        if inner:
            found += inner
        else:
            needed = name in shape.get("required", [])
            found.append(Line(within + name, _type(about), needed, about.get("description", "")))
    return found


def _type(shape: dict[str, Any]) -> str:
    """The type as people say it: its format, its choices if they are few, how long it may be."""
    types = shape.get("type", "any")
    said = " | ".join(types) if isinstance(types, list) else types
    if "format" in shape:
        said += f" ({shape['format']})"
    choices = [choice for choice in shape.get("enum", []) if choice]
    if choices and len(choices) <= 13:
        said += ": " + ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    elif "maxLength" in shape:
        said += f" ≤ {shape['maxLength']}"
    return said
