"""The bytes of a request to a JSON object that is safe to look at."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from gemmalocal.serving.engine import Refused

LARGEST = 8 * 2**20  # bytes
DEEPEST = 64  # lists and objects in each other
FIELDS = 100


def read(body: bytes) -> dict[str, Any]:
    """The object; raises `Refused` for all else, numbers that are none and text that is no Unicode among them."""
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise Refused(f"The body is not UTF-8: byte {error.start} is wrong.") from None
    except RecursionError:
        raise Refused(f"The JSON is nested more than {DEEPEST} deep.") from None
    except ValueError as error:  # numbers of more than 4300 digits as well
        raise Refused(f"We could not parse the JSON body of your request: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise Refused("The body has to be a JSON object.")
    if len(value) > FIELDS:
        raise Refused(f"The body has more than {FIELDS} fields.")
    _check(value)
    return value


def _no_number(name: str) -> NoReturn:
    raise Refused(f"The body holds {name}, which is not JSON.")


def _check(document: Any) -> None:
    """Hold depth and text against what an engine bears, without recursion."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and not value.isascii():
                _encodable(value)
        level = inner
        if not level:
            return
    raise Refused(f"The JSON is nested more than {DEEPEST} deep.")


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("A text holds half of a surrogate pair, which is not valid Unicode.") from None
