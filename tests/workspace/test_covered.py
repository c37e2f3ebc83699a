"""What is said of a dataset's coverage."""

from __future__ import annotations

from typing import Any

from gemmalocal.workspace import covered

FACTS = {"numbers": (4, 1), "names": (2, 2), "definitions": (0, 0)}


def coverage(**keys: Any) -> dict[str, Any]:
    whole = {fact: {"in_documents": documents, "in_rows": rows} for fact, (documents, rows) in FACTS.items()}
    own = {fact: {"in_document": documents, "in_rows": rows} for fact, (documents, rows) in FACTS.items()}
    document = {"source": "/home/ann/eels.pdf", "passages": 5, "with_row": 2, "share": 0.4, **own}
    place = {
        "source": "/home/ann/eels.pdf",
        "page": 3,
        "heading": "Nets",
        "begins": "A \x1b[31mfyke",
        "why": "it refuses",
    }
    counts = {"passages": 5, "with_row": 2, "share": 0.4}
    return {**counts, **whole, "by_document": [document], "not_covered": [place], **keys}


def test_what_is_not_covered_is_listed_with_its_place_and_reason() -> None:
    lines = list(covered.lines(coverage()))
    assert lines[0] == "2 of 5 passages with prose have a row; 1 of 4 numbers, 2 of 2 names, 0 of 0 definitions"
    assert lines[2:7] == [
        "Passages without a row",
        "  eels.pdf · p. 3 · Nets",
        "      A \\x1b[31mfyke",
        "      it refuses",
        "  and 2 more",
    ]
    assert lines[-1] == "  eels.pdf: 2/5 passages, 1/4 numbers, 2/2 names, 0/0 definitions"
    assert "Each passage with prose has a row." in list(covered.lines(coverage(not_covered=[], with_row=5)))
