"""The title and the headings of plain text, and words that are broken at the ends of its lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gemmalocal.documents.document import Content
from gemmalocal.documents.plain_text import plain
from gemmalocal.documents.read import read

BODY = (
    "    The keeper walks up the stairs each evening, and lights the lamp before the boats come\n"
    "    home. On Sundays he cleans the glass with vinegar, and writes down what he has seen\n"
    "    from the gallery: ships, birds, and the weather that is about to come over the sea.\n"
)

GUIDE = f"""
                    The Lighthouse Guide


----------------------------------------------------------------
                          Version 3.0
----------------------------------------------------------------

Copyright 2001 The Keepers

Table of Contents

1. The tower
    1.1. Why are there so many stairs in the tower, and who has
    counted them?
    1.2. Doors
        1.2.1. The iron door
2. the lamp
A. Tides

Chapter 1. The tower

1.2. Doors

{BODY}
1.1. Why are there so many stairs in the tower, and who has
counted them?

{BODY}
    1. The first step is worn.

    2. The second is not

1.2. Doors

{BODY}
1.2.1. The iron door

{BODY}
Chapter 2.  the lamp

{BODY}
Appendix A. Tides

{BODY}
A.1. Spring tides

{BODY}
"""


def paths(content: Content) -> list[str]:
    return [section.heading for section in content.sections]


def letters(text: str) -> str:
    return re.sub(r"\W", "", text)


def test_a_guide_by_its_title_and_headings() -> None:
    content = plain(GUIDE)
    tower, stairs = "Chapter 1. The tower", "1.1. Why are there so many stairs in the tower, and who has counted them?"
    assert content.title == "The Lighthouse Guide"
    assert paths(content) == [
        "",
        "Table of Contents",
        tower,
        f"{tower} > {stairs}",
        f"{tower} > 1.2. Doors",
        f"{tower} > 1.2. Doors > 1.2.1. The iron door",
        "Chapter 2. the lamp",
        "Appendix A. Tides",
        "Appendix A. Tides > A.1. Spring tides",
    ]
    assert "1.2.1. The iron door" in content.sections[1].text
    assert "2. The second is not" in content.sections[3].text
    assert letters("".join(section.text for section in content.sections)) == letters(GUIDE)


def test_a_file_has_its_title_and_not_its_first_heading(tmp_path: Path) -> None:
    untitled = "".join(f"{number}. Watch {number}\n\n{BODY}\n".replace("Watch", "The watch") for number in (1, 2, 3))
    for name, text, title in (
        ("guide.txt", GUIDE, "The Lighthouse Guide"),
        ("guide", GUIDE, "The Lighthouse Guide"),
        ("watches.text", untitled, "watches"),
        ("guide.log", GUIDE, "guide"),
        ("guide.py", GUIDE, "guide"),
    ):
        (tmp_path / name).write_text(text)
        assert read(str(tmp_path / name)).title == title
    assert len(read(str(tmp_path / "watches.text")).sections) == 3
    assert len(read(str(tmp_path / "guide.log")).sections) == 1


def test_chapters_of_a_book_in_parts() -> None:
    text = "".join(
        f"{' ' * (20 - len(chapter))}{chapter}\n\n{BODY}\n"
        for chapter in ("PART I", "CHAPTER I.\nThe Storm", "CHAPTER II.\nCalm", "PART II", "CHAPTER I.\nFog")
    )
    assert paths(plain(text)) == [
        "PART I",
        "PART I > CHAPTER I. The Storm",
        "PART I > CHAPTER II. Calm",
        "PART II",
        "PART II > CHAPTER I. Fog",
    ]


@pytest.mark.parametrize(
    ("first", "title"),
    [
        ("THE KEEPER'S LOG", "THE KEEPER'S LOG"),
        (
            "          A Walk Along the Coast\n         (for those who walk)",
            "A Walk Along the Coast (for those who walk)",
        ),
        ("Wie man Lampen putzt\n====================", "Wie man Lampen putzt"),
        ("灯台守の仕事", "灯台守の仕事"),
        ("The lamp is lit every evening.", ""),
        ("the lamp", ""),
        ("Dear Anna,", ""),
        ("Dear Anna", ""),
        ("By Anna Bell", ""),
        ("12 March 2020", ""),
        ("Monday, March 12th, 2020", ""),
        ("Copyright 2020 Anna Bell", ""),
        ("© 2020 Anna Bell", ""),
        ("anna@example.org", ""),
        ("Subject: the lamp", ""),
        ("# The lamp", ""),
        ("// The lamp", ""),
        ("lamp = on", ""),
        ("1. The lamp", ""),
        ("Chapter 1", ""),
        ("- oil", ""),
        ("Keepers' Office         Harbour Street 3", ""),
        ("Anna Bell\nHarbour Street 3\nOldtown", ""),
        ("The lamp and\nthe tower", ""),
        ("12345", ""),
        ("The keeper of the lamp is a man of few words who has lived here alone for forty years", ""),
    ],
)
def test_a_first_line_is_a_title_or_not(first: str, title: str) -> None:
    assert plain(f"{first}\n\n{BODY}").title == title


def test_the_first_of_many_headings_is_no_title() -> None:
    assert plain(f"Lamps\n=====\n\n{BODY}\nOil\n===\n\n{BODY}").title == ""
    assert plain(f"Lamps\n=====\n\n{BODY}\nOil\n---\n\n{BODY}").title == "Lamps"


LISTS = {
    "an agenda without text": "1. Oil\n\n1.1. Its price\n\n1.2. Smell\n\n2. Wicks\n\n2.1. Size\n\nAll meet.\n",
    "a diary by dates": "".join(f"{day}. March\n\n{BODY}\n" for day in (1, 2, 3, 4)),
    "a list in lines": f"{BODY}\n1. Oil\n2. Wicks\n3. Glass\n\n{BODY}",
    "a poem in numbered stanzas": "".join(
        f"{number}.\n\nThe lamp, the sea,\nthe gull above,\nand none but me\nto tell of love.\n\n"
        for number in (1, 2, 3)
    ),
    "a recipe in steps": f"Fish Soup\n\n1. Clean the fish\n\n2. Boil the bones\n\n3. Add salt\n\n{BODY}",
    "a recipe with notes": "".join(
        f"{number}. Stir the pot\n\n   Until it is brown, and smells of the sea.\n\n" for number in (1, 2, 3, 4)
    ),
    "amounts": "".join(f"{number} eggs\n\n{BODY}\n" for number in (1, 2, 3)),
    "lists that begin again": "".join(f"{number}. The watch\n\n{BODY}\n" for number in (1, 2, 3, 1, 2, 1, 2)),
    "numbers that do not ascend": "".join(f"{number}. The watch {number}\n\n{BODY}\n" for number in (7, 3, 9, 1, 4)),
    "one line": "The lamp is lit.",
    "references to chapters": f"Chapter 1 tells of lamps.\n\n{BODY}\nChapter 2 tells of oil.\n\n{BODY}",
    "sentences with numbers": "".join(f"{number}. The lamp is lit.\n\n{BODY}\n" for number in (1, 2, 3)),
    "versions": "".join(f"1.{number}.0 Lamps are lit sooner\n\n{BODY}\n" for number in (3, 2, 1)),
    "years": "".join(f"{year} The storms\n\n{BODY}\n" for year in (1901, 1902, 1903)),
}


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_what_has_numbers_and_no_outline_is_one_section(kind: str) -> None:
    content = plain(LISTS[kind])
    assert paths(content) == [""]
    assert content.sections[0].text == LISTS[kind]


def test_a_log_is_left_as_it_is() -> None:
    text = "".join(
        f"{number}. Started: unit={number}\n\n[info] lamp: the lamp-\nlight is on.\n\n" for number in range(1, 9)
    )
    assert plain(text) == Content("", plain(text).sections)
    assert plain(text).sections[0].text == text


def test_an_entry_of_contents_with_its_page_is_no_heading() -> None:
    entries = "".join(f"{number}. The watch {number} ........ {number * 7}\n\n" for number in (1, 2, 3))
    text = entries + "".join(f"{number}. The watch {number}\n\n{BODY}\n" for number in (1, 2, 3))
    assert paths(plain(text)) == ["", "1. The watch 1", "2. The watch 2", "3. The watch 3"]


def test_a_heading_that_was_not_seen_leaves_the_others() -> None:
    numbers = ("1. Lamps", "1.1. Oil", "1.2. Wicks, glass etc.", "1.3. Light", "2. Ships")
    assert paths(plain("".join(f"{heading}\n\n{BODY}\n" for heading in numbers))) == [
        "1. Lamps",
        "1. Lamps > 1.1. Oil",
        "1. Lamps > 1.3. Light",
        "2. Ships",
    ]


def paged(head: str, foot: str) -> str:
    return "".join(
        f"{head.format(page)}\n\n\n    lamp {page} wants oil.\n\n{BODY}    The next\n\n\n{foot.format(page)}\n\n\f\n"
        for page in range(1, 8)
    )


@pytest.mark.parametrize(
    ("head", "foot"),
    [
        ("Keepers' Guide               1 March 2001", "Anna Bell                    [Page {}]"),
        ("Keepers' Guide               {}", "Anna Bell                    Oldtown"),
        ("{}               Keepers' Guide", "Anna Bell                    Oldtown"),
    ],
)
def test_running_heads_are_left_out(head: str, foot: str) -> None:
    content = plain(paged(head, foot))
    text = content.sections[0].text
    assert "Keepers' Guide" not in text
    assert "Anna Bell" not in text
    assert text.count("lamp") == paged(head, foot).count("lamp")
    assert "    The next\n    lamp 2 wants oil.\n" in text
    assert content.warnings[0].startswith("Left out as running heads and page numbers: 14 lines")


@pytest.mark.parametrize(
    ("head", "foot"),
    [
        ("Question {}", "Answer below"),
        ("Question {}                    (5 points)", "Answer below"),
        ("Psalm {}                    Of the sea", "Of the light"),
        ("Oil                         4", "Wicks                     9"),
        ("Keepers' Guide              1{}7", "Anna Bell                   Oldtown"),
        ("* * *", "*           *           *"),
    ],
)
def test_lines_that_return_and_count_no_pages_stay(head: str, foot: str) -> None:
    assert plain(paged(head, foot)).sections[0].text == paged(head, foot)


def test_words_broken_at_the_ends_of_lines() -> None:
    text = (
        "     In the  morning  the  keeper sleeps.  He gets up late in the morn-\n"
        "     ing, and cleans the two-\n"
        "     handed crane; a two-handed crane wants oil in pre-\n"
        "     and late season, as the well-\n"
        "     known John Smith-\n"
        "     Jones says.  See https://example.org/the-\n"
        "     lamp for the morn-\n"
        "     ing.\n"
        "\n"
        "     - a bullet -\n"
        "     another\n"
    )
    assert plain(text).sections[0].text.splitlines() == [
        "     In the  morning  the  keeper sleeps.  He gets up late in the morning,",
        "     and cleans the two-handed",
        "     crane; a two-handed crane wants oil in pre- and",
        "     late season, as the well-known",
        "     John Smith-",
        "     Jones says.  See https://example.org/the-",
        "     lamp for the morning.",
        "",
        "     - a bullet -",
        "     another",
    ]


def test_lines_that_end_at_a_words_own_hyphen_stay() -> None:
    text = "The harbour has a decision-\nmaking board, and the lamp is run by apt-\nget alone, without a keeper.\n"
    assert plain(text).sections[0].text == text


@pytest.mark.parametrize(
    "text", ["a" * 300_000, "1." * 200_000, "a-\n" * 50_000, " " * 300_000 + "x", "1" * 300_000 + "x."]
)
def test_odd_texts_are_read_at_once(text: str) -> None:
    assert letters("".join(section.text for section in plain(text).sections)) == letters(text)
