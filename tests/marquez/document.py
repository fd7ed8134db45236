"""Marquez's own description of its API, where it is at hand, and answers held to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import jsonschema  # type: ignore[import-untyped]
import yaml  # type: ignore[import-untyped]

from datlake_sdk.wire.ids import quoted
from tests.marquez.asking import Answer, Marquez

DOCUMENT = Path(__file__).parents[3] / "shared" / "data" / "marquez" / "openapi.yml"
METHODS = ("get", "put", "post", "delete")
# It says 200 of taking an event, and its server answers 201.
OTHER_STATUS = {("POST", "/lineage"): 201}

Route = tuple[str, str]


class Document:
    """The addresses that are described, and what each of them answers."""

    def __init__(self) -> None:
        told = cast("Answer", yaml.safe_load(DOCUMENT.read_text(encoding="utf-8")))
        self._components = _mended(told["components"])
        self._answers: dict[Route, tuple[int, Answer | None]] = {}
        for path, item in told["paths"].items():
            for method in METHODS:
                if method in item:
                    route = (method.upper(), path)
                    [(status, answer)] = item[method]["responses"].items()
                    schema = answer.get("content", {}).get("application/json", {}).get("schema")
                    self._answers[route] = (OTHER_STATUS.get(route, int(status)), schema)

    @property
    def routes(self) -> set[Route]:
        """All addresses."""
        return set(self._answers)

    def hold(self, route: Route, status: int, answer: object) -> None:
        """Fails where the answer is not as described."""
        wanted, schema = self._answers[route]
        assert status == wanted, (route, status, answer)
        if schema is not None:
            self._hold(schema, answer)
            for node in cast("Answer", answer).get("graph", ()):
                if "field" not in node["data"]:
                    self._hold({"$ref": f"#/components/schemas/{node['type'].capitalize()}"}, node["data"])

    def _hold(self, schema: Answer, answer: object) -> None:
        jsonschema.validate(answer, {**schema, "components": self._components}, jsonschema.Draft4Validator)


class Held:
    """A server that is asked by the described addresses; each answer is held to what is described."""

    def __init__(self, marquez: Marquez, document: Document) -> None:
        self._marquez = marquez
        self._document = document
        self.asked: set[Route] = set()

    def ask(self, method: str, path: str, body: object = None, query: str = "", **names: str) -> Any:  # noqa: ANN401
        """The answer, which is as described."""
        filled = path.format(**{name: quoted(value) for name, value in names.items()})
        reply = self._marquez.ask(method, filled + query, body)
        answer = reply.json
        self._document.hold((method, path), reply.status, answer)
        self.asked.add((method, path))
        return answer

    def tell(self, event: Answer) -> Answer:
        """What is answered to an event."""
        return cast("Answer", self.ask("POST", "/lineage", event))


def _mended(components: Answer) -> Answer:
    """Without what contradicts its own examples and its server: nothing could satisfy it."""
    schemas = components["schemas"]
    del schemas["GraphNode"]["properties"]["data"]["oneOf"]  # whatever is one of them is the other, too
    schemas["FacetsResult"]["properties"]["facets"] = {"$ref": "#/components/schemas/RunFacets"}
    for name in ("InputDatasetVersion", "OutputDatasetVersion"):
        schemas[name]["properties"]["facets"] = {"$ref": "#/components/schemas/DatasetFacets"}
    schemas["DatasetVersion"]["properties"]["tags"] = schemas["Dataset"]["properties"]["tags"]
    for said in schemas["SearchResult"]["properties"].values():
        if said.get("type", "") is None:
            said["type"] = "string"
    return components
