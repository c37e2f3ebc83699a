"""PDF: pages and headings, running heads, broken words, and why one cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.documents import pdf
from gemmalocal.documents.read import read
from gemmalocal.errors import DocumentError
from tests.documents import samples

PROSE = "The quick brown fox jumps over the lazy dog."
WORDS = ("Apple", "Bread", "Chalk", "Drum", "Egg", "Fern", "Glass", "Hill", "Ink")
HEBREW = {"A": "\u05e9", "B": "\u05dc", "C": "\u05d5", "D": "\u05dd"}  # "ABCD" is shalom, D its final form


def test_sections_have_their_page_and_the_outlines_heading(tmp_path: Path) -> None:
    file = samples.pdf(
        tmp_path / "a.pdf", [["1 Setting Up", PROSE, "1.1 On", "Linux", "More."], ["Still more."], ["2 Use", "End."]]
    )
    samples.with_outline(file, [("Setting Up", 0, 0), ("On Linux", 1, 0), ("Use", 0, 2)], title="A Manual")
    document = read(str(file))
    assert document.title == "A Manual"
    assert [(section.heading, section.page) for section in document.sections] == [
        ("Setting Up", 1),
        ("Setting Up > On Linux", 1),
        ("Setting Up > On Linux", 2),
        ("Use", 3),
    ]
    assert document.sections[0].text == f"1 Setting Up\n{PROSE}"
    assert document.sections[1].text == "1.1 On\nLinux\nMore."


def test_a_heading_that_stands_nowhere_begins_its_page(tmp_path: Path) -> None:
    file = samples.with_outline(samples.pdf(tmp_path / "a.pdf", [[PROSE], [PROSE]]), [("Elsewhere", 0, 1)])
    assert [section.heading for section in read(str(file)).sections] == ["", "Elsewhere"]


def test_running_heads_and_page_numbers_are_left_out(tmp_path: Path) -> None:
    pages = [
        [f"Chapter {1 + n // 3}: Foxes and dogs {n}", f"{WORDS[n]} begins.", PROSE * (n % 3 + 1), f"- {n} -"]
        for n in range(9)
    ]
    text = read(str(samples.pdf(tmp_path / "a.pdf", pages))).text
    assert "Foxes and dogs" not in text
    assert "- 4 -" not in text
    assert all(f"{word} begins." in text for word in WORDS)


def test_what_few_pages_repeat_is_kept(tmp_path: Path) -> None:
    text = read(str(samples.pdf(tmp_path / "a.pdf", [["Dear Sir", "Yes."], ["Dear Sir", "No."]]))).text
    assert text.count("Dear Sir") == 2


def test_words_broken_at_the_end_of_a_line_are_whole(tmp_path: Path) -> None:
    pages = [["An exam-", "ple of a file-", "name, and a co-", "author."], ["A file-name, and again a file-name."]]
    text = read(str(samples.pdf(tmp_path / "a.pdf", pages))).text
    assert "An example of a file-name, and a coauthor." in " ".join(text.split())


def test_images_without_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"scan.pdf holds only images of text") as caught:
        read(str(samples.pdf(tmp_path / "scan.pdf", [None, None])))
    assert "ocrmypdf" in caught.value.hint
    document = read(str(samples.pdf(tmp_path / "half.pdf", [[PROSE], None, [PROSE], None])))
    assert "pages 2, 4" in document.warnings[0]
    with pytest.raises(DocumentError, match="is empty"):
        read(str(samples.pdf(tmp_path / "blank.pdf", [[]])))


def test_an_encrypted_one_asks_for_its_password(tmp_path: Path) -> None:
    file = str(samples.with_outline(samples.pdf(tmp_path / "a.pdf", [[PROSE]]), [], password="open sesame"))
    with pytest.raises(DocumentError, match=r"a.pdf is encrypted\.") as caught:
        read(file)
    assert "--password" in caught.value.hint
    with pytest.raises(DocumentError, match="is encrypted with another password"):
        read(file, "guess")
    assert read(file, "open sesame").text == PROSE


def test_right_to_left_words_are_in_the_order_they_are_read(tmp_path: Path) -> None:
    file = samples.pdf(tmp_path / "a.pdf", [["DCBA DCBA DCBA DCBA DCBA"]], HEBREW)  # drawn from the left
    right = " ".join(["\u05e9\u05dc\u05d5\u05dd"] * 5)
    assert read(str(file)).text == right
    assert [text.strip() for text in pdf._better([right[::-1]], file, None)] == [right]


def test_lost_spaces_are_taken_from_the_other_library(tmp_path: Path) -> None:
    file = samples.pdf(tmp_path / "a.pdf", [[PROSE]])
    assert pdf._better([PROSE.replace(" ", "")], file, None)[0].strip() == PROSE


@pytest.mark.parametrize("damage", [lambda data: data[:200], lambda data: b"%PDF-1.7\n" + bytes(500)])
def test_a_damaged_one_is_refused(tmp_path: Path, damage: object) -> None:
    file = samples.pdf(tmp_path / "a.pdf", [[PROSE]])
    assert callable(damage)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DocumentError, match=r"a.pdf is (damaged|empty)"):
        read(str(file))
