"""Runs the real `marquez-python` in a process of its own: a call a line in, what it said a line out.

A script: it imports nothing of ours, because its path holds the client's own folders `tests` and `examples`.
"""

from __future__ import annotations

import json
import sys
import warnings

# The client warns of its own methods, and of what newer Pythons think of it.
warnings.simplefilter("ignore")

from marquez_client import MarquezClient, models  # type: ignore[import-not-found]  # noqa: E402 -- of build/aside


def value_of(told: object) -> object:
    """An argument as the client wants it: enums and ids travel as objects with one key."""
    if isinstance(told, list):
        return [value_of(one) for one in told]
    if isinstance(told, dict) and len(told) == 1:
        [(kind, value)] = told.items()
        if kind in {"DatasetType", "JobType"}:
            return getattr(models, kind)[value]
        if kind == "DatasetId":
            return models.DatasetId(*value)
    return told


def answer(client: object, call: dict[str, object]) -> dict[str, object]:
    """What the client returns, or the status of the answer that it raises for."""
    arguments, keywords = call["args"], call["kwargs"]
    assert isinstance(arguments, list)
    assert isinstance(keywords, dict)
    method = getattr(client, str(call["method"]))
    try:
        return {"value": method(*map(value_of, arguments), **{key: value_of(one) for key, one in keywords.items()})}
    except Exception as error:  # noqa: BLE001 -- told to whoever asks
        response = getattr(error.__cause__, "response", None)
        return {"error": repr(error), "status": None if response is None else response.status_code}


def main() -> None:
    """Answers until there is nothing more to do."""
    client = MarquezClient(sys.argv[1])
    names = [name for name in dir(client) if not name.startswith("_")]
    print(json.dumps({"methods": names}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)


main()
