"""The OpenAPI document against the API itself: schemathesis sends what it allows, and what it does not."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cache, partial
from itertools import product

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import stock
from tests.cast import DORA, apart, program
from tests.walls.matrix import blank_app

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    allow_header_conformance,
    ignored_auth,
]
EXAMPLES = int(os.environ.get("API_EXAMPLES", "6"))  # of each operation, right and wrong: enough for a minute


@cache
def document() -> dict:
    return blank_app().test_client().get("/api/v1/_openapi").json


def operations(resource: str = "") -> list[tuple[str, str]]:
    paths = {path: at for path, at in document()["paths"].items() if path.split("/")[3] == resource or not resource}
    return [(path, method) for path, at in paths.items() for method in at if method != "parameters"]


RESOURCES = sorted({path.split("/")[3] for path, _method in operations()})


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_the_document_says_holds(app, resource, monkeypatch):
    monkeypatch.setitem(app.config, "LIMITS", {"api-ip": 100_000})  # it guesses keys without end
    stock.give(stock.article(grants={stock.license_type(): 5}), "kuestenfunk")
    headers = {"Authorization": f"Bearer {program(DORA).secret}"}
    schema = schemathesis.openapi.from_wsgi("/api/v1/_openapi", partial(apart, app))

    for (path, method), mode in product(operations(resource), GenerationMode):

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=schema[path][method.upper()].as_strategy(generation_mode=mode))
        def send(case):
            case.call_and_validate(headers=headers, checks=CHECKS)

        with suppress(Unsatisfiable):  # there is nothing wrong to say to an address that takes nothing
            send()


def test_the_document_is_whole():
    """Every route of the API is in it, and nothing else."""
    routes = {
        (re.sub(r"<(\w+:)?(\w+)>", r"{\2}", rule.rule), method.lower())
        for rule in blank_app().url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/") and rule.endpoint != "OpenApi.spec"
    }

    assert routes == set(operations())


def test_every_operation_says_what_it_asks_for_and_how_it_ends():
    for path, method in operations():
        operation = document()["paths"][path][method]
        assert operation["summary"] and {"200", "201"} & set(operation["responses"]), path
        assert {"401", "429", "500"} <= set(operation["responses"]), path
        assert path == "/api/v1/me/" or operation["x-scope"], path


def test_the_document_knows_nobody():
    assert "properties" in document()["components"]["schemas"]["Account"]["properties"]
    assert blank_app().test_client().get("/a/nordlicht/api/v1/_openapi").status_code == 404
