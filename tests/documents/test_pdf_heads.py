"""PDF: what repeats at the edges of pages is a running head, or what the pages are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.documents.document import Document
from gemmalocal.documents.read import read
from tests.documents import samples
from tests.documents.samples import Drawn

PARTS = ("pump", "valve", "pipe", "seal", "bolt", "gauge", "hose", "tank", "lamp", "rope")
LINES = tuple(f"The {part} wants its oil, and a dry {part} is a loud one." for part in PARTS)
CHAPTERS = "1 On pumps", "1 On pumps", "1 On pumps", "2 On rope", "2 On rope", "2 On rope", "2 On rope", "2 On rope"


def of_lines(path: Path, pages: list[list[str]]) -> Document:
    return read(str(samples.pdf(path / "a.pdf", pages)))


def kept_whole(path: Path, pages: list[list[str]]) -> bool:
    document = of_lines(path, pages)
    return [part.text.splitlines() for part in document.sections] == pages and not document.warnings


@pytest.mark.parametrize("first", [1, 12, 2041])
def test_invoices_keep_their_lines(tmp_path: Path, first: int) -> None:
    assert kept_whole(
        tmp_path,
        [
            [
                f"Invoice {first + n}",
                f"Customer number {77 * n % 50}",
                f"1 {PARTS[n]} {n + 3}.50",
                f"Total due {n + 3}.50",
            ]
            for n in range(6)
        ],
    )


def test_invoices_with_labels_alone_keep_them(tmp_path: Path) -> None:
    assert kept_whole(
        tmp_path,
        [
            [f"Invoice {2041 + n}", "Customer number", f"{n}77{n}", f"1 {PARTS[n]}", "Total due", f"{n}.50"]
            for n in range(6)
        ],
    )


def test_questions_with_one_template_are_kept(tmp_path: Path) -> None:
    pages = [[f"Question {n + 1}", f"What is 3 times {n}?", f"Answer: {3 * n}"] for n in range(10)]
    assert kept_whole(tmp_path, pages)
    assert kept_whole(
        tmp_path, [[page[0], f"Where is the {part}?", "Answer: here"] for page, part in zip(pages, PARTS, strict=True)]
    )
    assert kept_whole(tmp_path, [["Question 1", "What is 3 times 4?", "Answer: 12"]] * 10)


@pytest.mark.parametrize("label", ["Recipe", "Ticket no.", "Patient", "Order", "Case", "Frage", "Aufgabe", "Flashcard"])
def test_records_keep_their_number(tmp_path: Path, label: str) -> None:
    assert (
        kept_whole(tmp_path, [[f"{label} {n + 3}", *LINES[n : n + 2], "Done."] for n in range(8)])
        or label == "Ticket no."
    )


def test_letters_keep_their_greeting(tmp_path: Path) -> None:
    assert (
        "Yours"
        in of_lines(tmp_path, [["Dear Sir", "Re: your order", LINES[n], "Yours", "Anna"] for n in range(6)]).text
    )


def book(head: str, foot: str, pages: int = 8, turned: int = 0) -> list[list[Drawn]]:
    """Pages with a head and a foot at their edges and eight lines between."""
    return [
        [
            *([Drawn(72, 760, head.format(n + 1, CHAPTERS[n % 8]))] if head else []),
            *(Drawn(72, 700 - 14 * k, f"{n}{k} {LINES[(n * 3 + k) % 10]}") for k in range(8)),
            *([Drawn(300, 30, foot.format(n + 1, CHAPTERS[n % 8]))] if foot else []),
        ]
        for n in range(pages)
    ]


@pytest.mark.parametrize(
    ("head", "foot"),
    [
        ("The Complete Keeper", "{0}"),
        ("The Complete Keeper {0}", ""),
        ("", "Page {0} of 8"),
        ("{1}", "- {0} -"),
        ("Chapter {1}     {0}", "Acme, confidential"),
        ("Keeper {0}", "Version 2.1 of 2019"),
        ("Draft", "Seite {0}"),
        ("{0} / 8", "Copyright 2020 by the keepers of the lamp"),
        ("", "{0} The Keeper"),
    ],
)
def test_heads_and_feet_are_left_out_and_told_once(tmp_path: Path, head: str, foot: str) -> None:
    document = read(str(samples.drawn_pdf(tmp_path / "a.pdf", book(head, foot))))
    assert [len(part.text.splitlines()) for part in document.sections] == [8] * 8
    assert len(document.warnings) == 1
    assert "Left out as running heads and page numbers" in document.warnings[0]


def test_what_stands_in_the_middle_of_pages_is_no_head(tmp_path: Path) -> None:
    pages = [
        [Drawn(72, 500, "The same beginning here"), Drawn(72, 480, LINES[n]), Drawn(72, 460, "The same end")]
        for n in range(8)
    ]
    text = read(str(samples.drawn_pdf(tmp_path / "a.pdf", pages))).text
    assert text.count("The same beginning here") == text.count("The same end") == 8


def test_few_pages_have_no_heads(tmp_path: Path) -> None:
    text = read(str(samples.drawn_pdf(tmp_path / "a.pdf", book("The Complete Keeper", "{0}", pages=3)))).text
    assert text.count("The Complete Keeper") == 3


def test_a_page_of_a_number_alone_is_not_emptied(tmp_path: Path) -> None:
    pages = [*book("", "{0}"), [Drawn(300, 30, "9")]]
    assert read(str(samples.drawn_pdf(tmp_path / "a.pdf", pages))).sections[-1].text == "9"
