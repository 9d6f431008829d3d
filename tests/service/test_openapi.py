"""The description of the API is pinned: it changes on purpose, by `make pin`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from api.app import create_app
from api.reference import render_reference
from api.services import Services
from collector.formats import Form

PINNED = Path(__file__).parents[2] / "docs/openapi.json"
PAGE = PINNED.with_name("http-api.md")


def test_the_openapi_description_is_the_committed_one(services: Services) -> None:
    served = create_app(services).test_client().get("/api/openapi.json").get_json()
    text = json.dumps(served, indent=2, sort_keys=True) + "\n"
    if os.environ.get("METERLINE_PIN"):
        PINNED.write_text(text)
    assert PINNED.read_text() == text


def references(place: object) -> Iterator[str]:
    if isinstance(place, dict):
        if isinstance(place.get("$ref"), str):
            yield place["$ref"]
        for one in place.values():
            yield from references(one)
    elif isinstance(place, list):
        for one in place:
            yield from references(one)


def test_every_reference_of_the_description_leads_to_a_schema(services: Services) -> None:
    document = create_app(services).api_doc
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set() == set(references(document)) - known


def test_the_page_of_the_api_is_the_committed_one(services: Services) -> None:
    text = render_reference(create_app(services).test_client().get("/api/openapi.json").get_json())
    if os.environ.get("METERLINE_PIN"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text


def test_every_documented_answer_of_the_intake_route_is_a_problem_or_its_results(
    services: Services,
) -> None:
    document = create_app(services).api_doc
    responses = document["paths"]["/api/v1/events"]["post"]["responses"]
    types = {status: list(answer["content"]) for status, answer in responses.items()}
    problems = ("400", "401", "403", "413", "415", "503")
    expected = {"200": ["application/json"], **{s: ["application/problem+json"] for s in problems}}
    assert expected == types


def test_the_forms_of_a_body_are_described(services: Services) -> None:
    document = create_app(services).api_doc
    body = document["paths"]["/api/v1/events"]["post"]["requestBody"]
    assert sorted(form.value for form in Form) == sorted(body["content"])
