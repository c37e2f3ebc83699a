"""How lists count: 1, a, A, i, I."""

from __future__ import annotations

from collections.abc import Iterator

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def numeral(count: int, kind: str) -> str:
    """A number as a list of the kind "1", "a", "A", "i" or "I" shows it."""
    if kind in ("a", "A") and 1 <= count <= 26 * 30:
        text = ALPHABET[(count - 1) % 26] * ((count - 1) // 26 + 1)
    elif kind in ("i", "I") and 1 <= count < 4000:
        text = "".join(_roman(count))
    else:
        return str(count)
    return text.upper() if kind.isupper() else text


def _roman(count: int) -> Iterator[str]:
    for value, letters in ROMAN:
        while count >= value:
            yield letters
            count -= value
