"""The page at `/docs`: the OpenAPI document as plain HTML, for readers without a network. Pure; rendered once."""

from __future__ import annotations

from typing import TypeAlias, cast

import msgspec

from datlake_server.http.html import escaped, page, rows

Json: TypeAlias = dict[str, object]


def docs_page(described: Json) -> bytes:
    """The whole page for the OpenAPI document `described`."""
    info, paths = _of(described, "info"), _of(described, "paths")
    operations = [
        (method, path, cast("Json", operation), _list(cast("Json", item), "parameters"))
        for path, item in paths.items()
        for method, operation in cast("Json", item).items()
        if method != "parameters"
    ]
    groups = [cast("str", tag["name"]) for tag in _list(described, "tags")]
    contents = " · ".join(f'<a href="#{escaped(group)}">{escaped(group)}</a>' for group in groups)
    sections = [_section(group, operations) for group in groups]
    schemas = _of(_of(described, "components"), "schemas")
    shapes = "".join(_shape(name, cast("Json", one)) for name, one in schemas.items())
    about = "".join(f"<p>{escaped(line)}</p>" for line in str(info["description"]).split("\n\n"))
    body = (
        f"<h1>Datlake {escaped(info['version'])}: HTTP API</h1>{about}"
        f'<p><a href="/api/v1/openapi.json">openapi.json</a> · {contents} · <a href="#shapes">shapes</a></p>'
        f'{"".join(sections)}<h2 id="shapes">Shapes</h2>{shapes}'
    )
    return page("HTTP API", body)


def _section(group: str, operations: list[tuple[str, str, Json, list[Json]]]) -> str:
    shown = [_operation(*one) for one in operations if group in cast("list[object]", one[2].get("tags", []))]
    return f'<h2 id="{escaped(group)}">{escaped(group.capitalize())}</h2>{"".join(shown)}'


def _operation(method: str, path: str, operation: Json, shared: list[Json]) -> str:
    name = escaped(operation["operationId"])
    parameters = rows(
        ("Parameter", "In", "Value", ""), [_parameter(one) for one in [*shared, *_list(operation, "parameters")]]
    )
    return (
        f'<details id="{name}"><summary><span class="method">{method.upper()}</span><code>{escaped(path)}</code> '
        f'<span class="muted">{escaped(operation["summary"])}</span></summary>'
        f"<p>{escaped(operation.get('description', ''))}</p><p class=muted>operationId <code>{name}</code></p>"
        f"{parameters}{_body(operation)}{_answers(operation)}</details>"
    )


def _parameter(one: Json) -> tuple[str, ...]:
    name = f"<code>{escaped(one['name'])}</code>{' required' if one.get('required') else ''}"
    return name, escaped(one["in"]), _kind(_of(one, "schema")), escaped(one.get("description", ""))


def _body(operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    media, content = next(iter(_of(_of(operation, "requestBody"), "content").items()))
    return f"<h3>Body <code>{escaped(media)}</code></h3>{_properties(_of(cast('Json', content), 'schema'))}"


def _answers(operation: Json) -> str:
    lines: list[tuple[str, ...]] = []
    for status, answer in _of(operation, "responses").items():
        reference = cast("Json", answer).get("$ref")
        content = next(iter(_of(cast("Json", answer), "content").values()), Json())
        kind = '<a href="#Problem">Problem</a>' if reference else _kind(_of(cast("Json", content), "schema"))
        lines.append((f"<code>{escaped(status)}</code>", kind))
    return f"<h3>Answers</h3>{rows(('Status', 'Body'), lines)}"


def _shape(name: str, schema: Json) -> str:
    text = escaped(schema.get("description", ""))
    head = f'<details id="{escaped(name)}"><summary><code>{escaped(name)}</code></summary>'
    return f"{head}<p>{text}</p>{_properties(schema)}</details>"


def _properties(schema: Json) -> str:
    required = cast("list[object]", schema.get("required", []))
    lines: list[tuple[str, ...]] = [
        (f"<code>{escaped(name)}</code>{' required' if name in required else ''}", _kind(cast("Json", one)))
        for name, one in _of(schema, "properties").items()
    ]
    return rows(("Field", "Value"), lines) if lines else "<p class=muted>Any bytes.</p>"


def _kind(schema: Json) -> str:
    """What a value looks like, in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f'<a href="#{escaped(name)}">{escaped(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in _list(schema, "anyOf"))
    if "enum" in schema:
        return " | ".join(f"<code>{escaped(value)}</code>" for value in cast("list[object]", schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(_of(schema, 'items'))}"
    limits = {name: value for name, value in schema.items() if name in _LIMITS}
    told = f' <span class="muted">{escaped(msgspec.json.encode(limits).decode()[1:-1])}</span>' if limits else ""
    return escaped(schema.get("format", schema.get("type", "anything"))) + told


_LIMITS = frozenset({"default", "minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern"})


def _of(value: Json, name: str) -> Json:
    return cast("Json", value.get(name, {}))


def _list(value: Json, name: str) -> list[Json]:
    return cast("list[Json]", value.get(name, []))
