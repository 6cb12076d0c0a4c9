"""Content libraries are asked for as the provider asks."""

import json

import httpx
import pytest

from stack.library import Library


def library(answers: dict[str, httpx.Response], seen: list[httpx.Request]) -> Library:
    """A session at an interface that gives these answers, by method and path."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers[f"{request.method} {request.url.path}"]

    return Library(httpx.Client(base_url="https://vcenter/rest", transport=httpx.MockTransport(answer)))


def found(*ids: str) -> httpx.Response:
    return httpx.Response(200, json={"value": list(ids)})


def test_a_library_is_found_by_its_name() -> None:
    seen: list[httpx.Request] = []
    asked = library({"POST /rest/com/vmware/content/library": found("one", "two")}, seen)
    assert asked.libraries("perenne") == ["one", "two"]
    assert seen[0].url.params["~action"] == "find"
    assert json.loads(seen[0].content) == {"spec": {"name": "perenne"}}


def test_an_item_is_found_in_its_library() -> None:
    seen: list[httpx.Request] = []
    asked = library({"POST /rest/com/vmware/content/library/item": found("item")}, seen)
    assert asked.items("library", "debian-12") == ["item"]
    assert json.loads(seen[0].content) == {"spec": {"library_id": "library", "name": "debian-12"}}


def test_in_a_library_that_is_gone_nothing_is_found() -> None:
    assert library({"POST /rest/com/vmware/content/library/item": httpx.Response(404)}, []).items("gone", "any") == []


def test_an_item_is_deleted_by_its_id() -> None:
    seen: list[httpx.Request] = []
    library({"DELETE /rest/com/vmware/content/library/item/id:one": httpx.Response(200)}, seen).remove_item("one")
    assert len(seen) == 1


def test_a_refusal_is_none_of_these() -> None:
    asked = library({"POST /rest/com/vmware/content/library": httpx.Response(403)}, [])
    with pytest.raises(httpx.HTTPStatusError):
        asked.libraries("perenne")
