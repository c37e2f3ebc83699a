"""Formulas on one line: MathML of web pages, and Office's own (OMML)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
DEEPEST = 60  # levels; what is nested deeper is given as its letters
INVISIBLE = re.compile("[\u2061-\u2064]")  # applied to, times, and the like
SIMPLE = re.compile(r"-?[\w.,\u2032]+|[({\[|].*[)}\]|]|√\([^()]*\)")
NAME = re.compile(r"[^\W\d_]{2,}")


def of_mathml(node: Any, depth: int = 0) -> str:
    """A <math> element, or one within, as a line: "E=mc^2", "(a+b)/2", "√(x)"."""
    kind = _name(node)
    if kind in ("annotation", "annotation-xml", "mphantom"):
        return ""
    if depth > DEEPEST or len(node) == 0:
        return INVISIBLE.sub("", " ".join("".join(node.itertext()).split()))
    parts = [of_mathml(child, depth + 1) for child in node if isinstance(child.tag, str)]
    if kind == "semantics":
        return parts[0] if parts else ""
    if kind == "mfenced":
        return f"{node.get('open', '(')}{', '.join(parts)}{node.get('close', ')')}"
    return MATHML.get(kind, _row)(parts)


def of_omml(node: Any, depth: int = 0) -> str:
    """An <m:oMath> of Office, or one within, as a line."""
    kind = _name(node)
    if kind.endswith("Pr") or kind in ("delText", "instrText", "del", "moveFrom"):
        return ""
    if depth > DEEPEST or kind == "t":
        return INVISIBLE.sub("", "".join(node.itertext()))
    if kind == "r":
        return "".join(node.itertext(f"{M}t"))

    def part(name: str) -> str:
        child = node.find(f"{M}{name}")
        return "" if child is None else of_omml(child, depth + 1)

    def each(name: str) -> list[str]:
        return [of_omml(child, depth + 1) for child in node.iterfind(f"{M}{name}")]

    if kind == "d":
        return (
            _property(node, "begChr", "(")
            + _property(node, "sepChr", "|").join(each("e"))
            + _property(node, "endChr", ")")
        )
    if kind == "nary":
        return _row([_script(_property(node, "chr", "∫"), part("sub"), part("sup")), " ", part("e")])
    if kind == "acc":
        return part("e") + _property(node, "chr", "\u0302")
    if kind == "m":
        return f"[{'; '.join(', '.join(of_omml(cell, depth + 2) for cell in row) for row in node.iterfind(f'{M}mr'))}]"
    if kind == "eqArr":
        return "; ".join(each("e"))
    if kind in OMML:
        names, write = OMML[kind]
        return write([part(name) for name in names])
    return _row([of_omml(child, depth + 1) for child in node if isinstance(child.tag, str)])


def _name(node: Any) -> str:
    return str(node.tag).rpartition("}")[2].rpartition(":")[2]


def _property(node: Any, name: str, default: str) -> str:
    """What a formula's properties say of it; empty if they say that it is not there."""
    property_node = next(node.iter(f"{M}{name}"), None)
    return default if property_node is None else str(property_node.get(f"{M}val", ""))


def _row(parts: Sequence[str]) -> str:
    """Parts side by side; names of functions are words of their own."""
    line = ""
    for part in filter(None, parts):
        words = NAME.search(line[-2:]) or NAME.match(part)
        line += " " + part if words and line[-1:].isalnum() and part[0].isalnum() else part
    return line


def _whole(text: str) -> str:
    """A part as one: in parentheses, if it is more than a name or a number."""
    return text if SIMPLE.fullmatch(text) else f"({text})"


def _script(base: str, below: str, above: str) -> str:
    return base + (f"_{_whole(below)}" if below else "") + (f"^{_whole(above)}" if above else "")


def _over(parts: Sequence[str]) -> str:
    return "/".join(map(_whole, parts[:2]))


def _root(parts: Sequence[str]) -> str:
    return f"{parts[1] if len(parts) > 1 else ''}√({parts[0] if parts else ''})"


def _above(parts: Sequence[str]) -> str:
    """A base with something over it: an accent is a part of it."""
    base, above = _filled(parts, 2)
    return base + above if len(above) == 1 and not above.isalnum() else _script(base, "", above)


def _filled(parts: Sequence[str], count: int) -> list[str]:
    return [*parts, *[""] * count][:count]


MATHML: dict[str, Callable[[Sequence[str]], str]] = {
    "msup": lambda parts: _script(parts[0], "", "".join(parts[1:])),
    "msub": lambda parts: _script(parts[0], "".join(parts[1:]), ""),
    "munder": lambda parts: _script(parts[0], "".join(parts[1:]), ""),
    "mover": _above,
    "msubsup": lambda parts: _script(*_filled(parts, 3)),
    "munderover": lambda parts: _script(*_filled(parts, 3)),
    "mfrac": _over,
    "msqrt": lambda parts: f"√({_row(parts)})",
    "mroot": _root,
    "mtr": ", ".join,
    "mlabeledtr": ", ".join,
    "mtable": lambda parts: f"[{'; '.join(parts)}]",
}
OMML: dict[str, tuple[tuple[str, ...], Callable[[Sequence[str]], str]]] = {
    "f": (("num", "den"), _over),
    "sSup": (("e", "sup"), lambda parts: _script(parts[0], "", parts[1])),
    "sSub": (("e", "sub"), lambda parts: _script(parts[0], parts[1], "")),
    "sSubSup": (("e", "sub", "sup"), lambda parts: _script(*_filled(parts, 3))),
    "sPre": (("sub", "sup", "e"), lambda parts: _script("", parts[0], parts[1]) + parts[2]),
    "rad": (("e", "deg"), _root),
    "func": (("fName", "e"), lambda parts: _row([parts[0], " " if parts[1][:1].isalnum() else "", parts[1]])),
    "limLow": (("e", "lim"), lambda parts: _script(parts[0], parts[1], "")),
    "limUpp": (("e", "lim"), lambda parts: _script(parts[0], "", parts[1])),
}
