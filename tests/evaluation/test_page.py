"""The page says what the figures say, loads nothing, and what others wrote on it is text and nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from gemmalocal.evaluation.conclude import conclude
from gemmalocal.evaluation.measured import Measured, MeasuredRow
from gemmalocal.evaluation.metrics import metric
from gemmalocal.evaluation.page import html, markdown
from tests.evaluation.test_verdict import answered, questions, rows, texts

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    "\x1b[2J\x1b]0;owned\x07",
    "x" * 100_000,
    "\u202egnp.exe",
    "```\n# a heading\n```` [link](http://example.com)",
    "| a | b |",
    "&lt;b&gt; \" ' `",
    "\ud800 half",
    "\x00",
]
ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "b", "pre", "svg", "rect"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td"}


def figures(name: str = "exact", run: str = "quotes-1", effect: float = -0.4) -> dict[str, Any]:
    """A report on rows whose texts are hostile."""
    references = [HOSTILE[number % len(HOSTILE)] for number in range(40)]
    pairs = [(text, text + "!?x") for text in references]
    given = answered(rows(effect, count=40, swapped=0.4), pairs, references)
    leaky = [
        MeasuredRow(row.source, row.cluster, text, row.reference, row.tokens, row.loss, 3.0, row.answers, text[:99])
        for row, text in zip(given, references, strict=True)
    ]
    measured = Measured(leaky[:20] + given[20:], texts(0.3), questions(3, 1))
    settings = {"model": "gemma", "rows": ["a.jsonl", "<b>"], "rank": 8, "steps": 3}
    about = {"run": run, "at": "2024-01-01 10:00", "settings": settings, "hashes": {"result": "ab" * 32}}
    return {**conclude(measured, metric(name, references)), **about}


class Tags(HTMLParser):
    """Collects tags, and what could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = set[str](), list[tuple[str, str | None]](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", ["exact", "rouge"])
def test_html_is_inert_and_whole_in_itself(name: str) -> None:
    page = html.page(figures(name, run="<i>run</i>"), '<svg viewBox="0 0 1 1"><rect width="1"/></svg>')
    page.encode()
    tags = Tags()
    tags.feed(page)
    assert tags.tags <= ALLOWED
    assert "svg" in tags.tags
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in ("src", "href", "action")]
    assert "default-src 'none'" in page
    assert "@media print" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://example.com", "")
    assert "<script>alert(1)</script>" in tags.text  # as text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page)
    assert len(page) < 300_000
    assert "98,500 more characters" in page


def test_markdown_is_inert() -> None:
    page = markdown.page(figures())
    page.encode()
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", page)
    assert "<script>" not in outside.replace("\\<script", "")
    assert not re.search("(?m)^# a heading", outside)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page)
    for line in outside.splitlines():
        if line.startswith("|"):  # a cell cannot end a row
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 6)


def test_both_pages_say_what_was_found() -> None:
    of_exact = figures()
    for page in (html.page(of_exact), markdown.page(of_exact).replace("\\", "")):
        assert of_exact["sentence"].split(";")[0].replace(">", "&gt;" if page.startswith("<") else ">") in page
        for words in (
            "40 rows were answered", "broken", "McNemar", "general questions", "nearly copy one that was trained on",
            "Without them", "would be missed in one of five cases", "Rows that it takes", "2024-01-01 10:00",
        ):  # fmt: skip
            assert words in page


def test_a_page_of_little() -> None:
    little = {**conclude(Measured(rows(-0.4, count=2)), metric("rouge", [])), "run": "r", "at": "", "settings": {}}
    page = markdown.page({**little, "hashes": {}})
    assert "No row was answered" in page
    assert "No held-out row nearly copies" in page
    assert "intervals are rough" in page
    assert "forgot" not in page
