"""What a dataset's report says of its coverage, in lines: how much of the documents is in rows, and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.terminal_text import printable

FACTS = ("numbers", "names", "definitions")


def line(coverage: Mapping[str, Any]) -> str:
    """All of it in one line."""
    facts = (f"{coverage[fact]['in_rows']:,} of {coverage[fact]['in_documents']:,} {fact}" for fact in FACTS)
    passages = f"{coverage['with_row']:,} of {counted(coverage['passages'], 'passage')} with prose have a row"
    return f"{passages}; {', '.join(facts)}"


def lines(coverage: Mapping[str, Any]) -> Iterator[str]:
    """The same by document, and the passages without a row, each with the reason."""
    yield from (line(coverage), "")
    without = coverage["passages"] - coverage["with_row"]
    listed = coverage["not_covered"]
    yield "Passages without a row" if listed else "Each passage with prose has a row."
    for place in listed:
        yield f"  {_where(place)}"
        yield f"      {printable(place['begins'])}"
        if why := place.get("why"):
            yield f"      {printable(why)}"
    if without > len(listed):
        yield f"  and {without - len(listed):,} more"
    yield from ("", "By document")
    for document in coverage["by_document"]:
        facts = (f"{document[fact]['in_rows']:,}/{document[fact]['in_document']:,} {fact}" for fact in FACTS)
        rows = f"{document['with_row']:,}/{counted(document['passages'], 'passage')}"
        yield f"  {printable(Path(document['source']).name)}: {rows}, {', '.join(facts)}"


def _where(place: Mapping[str, Any]) -> str:
    parts = [Path(place["source"]).name, f"p. {place['page']}" if place.get("page") else "", place.get("heading", "")]
    return printable(" · ".join(part for part in parts if part))
