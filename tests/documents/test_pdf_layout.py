"""PDF: text in the order, and with the marks, in which a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gemmalocal.documents import hyphens, marks
from gemmalocal.documents.read import read
from tests.documents import samples
from tests.documents.samples import Drawn, in_a_row

SENTENCES = (
    "The keeper climbs the tower each evening",
    "and lights the lamp for the boats that",
    "come home late from the fishing grounds",
    "where the wind has been rising all day",
    "and the sea has been dark since noon.",
    "Nobody thanks him and nobody needs to.",
)


def text_of(path: Path, *pages: Sequence[Drawn], turned: int = 0) -> str:
    return read(str(samples.drawn_pdf(path / "a.pdf", pages, turned))).text


@pytest.mark.parametrize(
    ("parts", "read_as"),
    [
        ([("in 1702", 11, 0), ("1", 7, 4), (", and on", 11, 0)], "in 1702[1], and on"),
        ([("about 10", 11, 0), ("6", 7, 4), (" of them", 11, 0)], "about 10^6 of them"),
        ([("2", 11, 0), ("10", 7, 4), (" bytes", 11, 0)], "2^10 bytes"),
        ([("a word", 11, 0), ("12", 7, 4), (" and more", 11, 0)], "a word[12] and more"),
        ([("a word.", 11, 0), ("3", 7, 4)], "a word.[3]"),
        ([("by Smith", 11, 0), ("1,2", 7, 4), (" and Jones", 11, 0)], "by Smith[1,2] and Jones"),
        ([("5 m", 11, 0), ("2", 7, 4), (" of floor", 11, 0)], "5 m^2 of floor"),
        ([("x", 11, 0), ("2", 7, 4), (" is it", 11, 0)], "x^2 is it"),
        ([("10", 11, 0), ("-6", 7, 4), (" m", 11, 0)], "10^-6 m"),
        ([("H", 11, 0), ("2", 7, -3), ("O is wet", 11, 0)], "H2O is wet"),
        ([("x", 11, 0), ("1", 7, -3), (" and x", 11, 0), ("2", 7, -3)], "x_1 and x_2"),
        ([("1", 7, 4), ("See the appendix.", 11, 0)], "[1] See the appendix."),
        ([("on the 19", 11, 0), ("th", 7, 4), (" of May", 11, 0)], "on the 19th of May"),
        ([("The year 1702 and 106 men", 11, 0)], "The year 1702 and 106 men"),
        ([("Big", 18, 0), (" and 12 small", 9, 0)], "Big and 12 small"),
    ],
)
def test_superscripts_are_apart(tmp_path: Path, parts: list[tuple[str, float, float]], read_as: str) -> None:
    after = Drawn(72, 686, "The next line.")
    assert text_of(tmp_path, [*in_a_row(72, 700, *parts), after]) == f"{read_as}\nThe next line."


@pytest.mark.parametrize(("angle", "step", "y"), [(90, 14, 100), (270, -14, 700)])
@pytest.mark.parametrize("turned", [0, 90, 270])
def test_sideways_text_keeps_its_line_ends_and_order(
    tmp_path: Path, angle: float, step: float, y: float, turned: int
) -> None:
    lines = ["The first line is here", "and the second line", "the third"]
    page = [Drawn(300 + step * number, y, line, 11, angle) for number, line in enumerate(lines)]
    assert text_of(tmp_path, page, turned=turned).splitlines() == lines


def two_columns(gap: float, rows: Sequence[str] = SENTENCES, others: Sequence[str] = ()) -> list[Drawn]:
    """A title, and lines drawn across both columns, which a paragraph of full width follows."""
    page = [Drawn(72, 740, "The title of this page goes over both of the columns, as titles of pages do", 12)]
    for number, (left, right) in enumerate(zip(rows, others or rows[::-1], strict=True)):
        page += [Drawn(50, 700 - 13 * number, left, 11), Drawn(250 + gap, 700 - 13 * number, right, 11)]
    return [
        *page,
        Drawn(50, 600, "And below them stands a line that is as wide as the page, which parts what is above."),
    ]


@pytest.mark.parametrize("gap", [15, 40, 100])
def test_columns_drawn_line_by_line_are_read_one_after_the_other(tmp_path: Path, gap: float) -> None:
    lines = text_of(tmp_path, two_columns(gap)).splitlines()
    assert lines[1:-1] == [*SENTENCES, *SENTENCES[::-1]]
    assert lines[0].startswith("The title")
    assert lines[-1].startswith("And below")


def test_three_columns_and_uneven_ones(tmp_path: Path) -> None:
    names = ("first", "second", "third")
    columns = [[f"the {name} column has line {number}" for number in range(8)] for name in names]
    page = [Drawn(40 + 180 * c, 700 - 14 * n, columns[c][n], 9) for n in range(8) for c in range(3)]
    assert text_of(tmp_path, page).splitlines() == [line for column in columns for line in column]
    page = [piece for piece in page if piece.x == 40 or piece.y > 630]
    left = columns[0], columns[1][:5], columns[2][:5]
    assert text_of(tmp_path, page).splitlines() == [line for column in left for line in column]


def test_a_table_is_read_row_by_row(tmp_path: Path) -> None:
    cells = [f"Part number {n}" for n in range(6)]
    text = text_of(tmp_path, two_columns(60, cells, [f"{n}.50 each" for n in range(6)]))
    assert "Part number 3 3.50 each" in text


@pytest.mark.parametrize("step", [20, 22, 24, 40])
@pytest.mark.parametrize("figure", ["{0}{1}.5", "1{0}.{1}", "{0}7{1}0"])
def test_columns_of_figures_keep_their_spaces(tmp_path: Path, step: float, figure: str) -> None:
    rows = [[figure.format(row + 1, column + 2) for column in range(4)] for row in range(3)]
    page = [Drawn(72 + step * c, 700 - 14 * r, cell, 9.5) for r, row in enumerate(rows) for c, cell in enumerate(row)]
    assert text_of(tmp_path, page).splitlines() == [" ".join(row) for row in rows]


def test_numbers_drawn_in_pieces_stay_whole(tmp_path: Path) -> None:
    page = in_a_row(
        72, 700, ("In 20", 11, 0), ("19 it was 12", 11, 0), ("345", 11, 0), (".67 and 1.", 11, 0), ("250.000", 11, 0)
    )
    assert text_of(tmp_path, page) == "In 2019 it was 12345.67 and 1.250.000"


@pytest.mark.parametrize(
    ("lines", "read_as"),
    [
        (["a state-of-the-", "art engine"], "a state-of-the-art engine"),
        (["a self-", "contained part"], "a self-contained part"),
        (["the Mazda MX-", "5 is"], "the Mazda MX-5 is"),
        (["an exam-", "ple of it"], "an example of it"),
        (["self-con-", "tained and self-contained"], "self-contained and self-contained"),
        (["the Anglo-", "American way"], "the Anglo-American way"),
        (["an e-", "mail and an x-", "ray"], "an e-mail and an x-ray"),
        (["INFOR-", "MATION and COVID-", "19"], "INFORMATION and COVID-19"),
        (["a rule-", "based one, un-", "defined"], "a rule-based one, undefined"),
        (["it is well-", "known and self-", "ish"], "it is well-known and selfish"),
        (["high-", "er and higher, high-", "speed trains"], "higher and higher, high-speed trains"),
        (["a merry-go-", "round, a mother-in-", "law"], "a merry-go-round, a mother-in-law"),
        (["open-source open-", "source"], "open-source open-source"),
        (["the pre-", "and post-war years"], "the pre- and post-war years"),
    ],
)
def test_hyphens_that_belong_stay(tmp_path: Path, lines: list[str], read_as: str) -> None:
    text = read(str(samples.pdf(tmp_path / "a.pdf", [lines]))).text
    assert " ".join(text.split()) == read_as


def test_a_hyphen_before_nothing_stays() -> None:
    assert hyphens.join([["the self\ufffe", "pre\x02 and post"]]) == [["the self-", "pre- and post"]]


@pytest.mark.parametrize(
    ("before", "text", "read_as"),
    [
        ("E = mc", "2", "^2"),
        ("f(x)", "2", "^2"),
        ("(as he said)", "2", "[2]"),
        ("word", "[7]", "[7]"),
        ("word", "*", "*"),
        ("the 2", "nd", "nd"),
        ("e", "i\u03c0", "^i\u03c0"),
        ("in 1999", "4", "[4]"),
        ("2", "n+1", "^(n+1)"),
        ("Acme", "TM", "TM"),
        ("word", "a", "[a]"),
    ],
)
def test_what_a_superscript_is(before: str, text: str, read_as: str) -> None:
    assert marks.raised(before, text) == read_as
