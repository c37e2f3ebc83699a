"""Passages never pass the limit, keep their heading and page, and lose nothing; near copies are found, others kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from gemmalocal.documents.document import Document, Section
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.documents.passages import cut_passages

LONG = "the quote of an author, and the mode of the other. " * 40


@pytest.fixture
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny / "tokenizer.json"))


@pytest.mark.parametrize("most", [8, 40, 500])
def test_no_passage_is_longer_and_nothing_is_lost(tokenizer: Tokenizer, most: int) -> None:
    text = f"{LONG}\n\n{'x' * 300}\n\ncaf\u00e9 \u4f60\u597d\u4e16\u754c.\n\nthe end"
    passages = list(cut_passages(Document("a", "", (Section(text, "H"),)), tokenizer, most))
    assert [passage.number for passage in passages] == list(range(len(passages)))
    for passage in passages:
        assert 0 < passage.tokens <= most
        assert passage.tokens == len(tokenizer.encode(passage.text, add_special_tokens=False).ids)
    assert "".join("".join(passage.text for passage in passages).split()) == "".join(text.split())


def test_sections_of_a_heading_are_joined_and_know_their_page(tokenizer: Tokenizer) -> None:
    pages = (Section("the one.", "A", 1), Section("the two.", "A", 2), Section(LONG, "A", 3), Section("the b.", "B", 3))
    passages = list(cut_passages(Document("a", "", pages), tokenizer, 200))
    assert passages[0].text.startswith("the one.\n\nthe two.")
    assert (passages[0].heading, passages[0].page) == ("A", 1)
    assert (passages[-2].heading, passages[-2].page) == ("A", 3)
    assert (passages[-1].text, passages[-1].heading) == ("the b.", "B")


PUMP = (
    "A pump moves water by turning a wheel inside a closed case. The wheel throws the water outward, where it leaves "
    "through a pipe, and the empty place in the middle draws new water in from the well below. "
)
OTHER = (
    "Bread rises because yeast eats the sugar in flour and gives off a gas. The dough holds the bubbles as they grow, "
    "and the heat of the oven sets its walls, so that the loaf stays light after it has cooled on the table. "
)
CHINESE = (
    "\u6c34\u6cf5\u901a\u8fc7\u8f6c\u52a8\u5c01\u95ed\u58f3\u4f53\u5185\u7684\u53f6\u8f6e\u6765\u79fb\u52a8\u6c34\u3002"
)


def test_near_copies_are_found_and_others_kept() -> None:
    near = NearDuplicates()
    assert near.original("pump", PUMP) is None
    assert near.original("bread", OTHER) is None
    assert near.original("same", PUMP) == "pump"
    assert near.original("shouted", PUMP.upper().replace(",", "")) == "pump"
    assert near.original("revised", PUMP.replace("moves water", "shifts water").replace("wheel", "rotor")) == "pump"
    assert near.original("longer", f"{OTHER} Eat it the same day.") == "bread"
    assert near.original("on pumps", "The wheel of a pump wears out. Grease it twice a year and listen to it.") is None
    assert near.original("short", "Water.") is None
    assert near.original("chinese", CHINESE) is None
    assert near.original("chinese copy", f"{CHINESE}\u597d") == "chinese"


def test_what_was_cut_out_of_a_longer_text_is_found_and_a_section_of_its_contents_is_not() -> None:
    sentences = f"{PUMP}{OTHER}".split(". ")
    near = NearDuplicates()
    assert near.original("both", PUMP + OTHER) is None
    assert near.original("half", f"As a book says: {sentences[0]}. {sentences[2]}. And that is that.") == "both"
    assert near.original("more", f"{sentences[0]}. {NEW}") is None
    contents = [f"{number} How a {part} is kept, and by whom . . . {number * 7}" for number, part in enumerate(PARTS)]
    assert near.original("contents", "\n".join(contents)) is None
    assert (
        near.original("section", "3 How a pipe is kept, and by whom\nNobody keeps it: the frost of March does.") is None
    )


NEW = (
    "Every spring the keeper walks along the pipe with a lantern, looks for cracks left by the frost, and writes down "
    "what he finds in a green book. His report goes to the town hall, whose clerk orders mortar, lead and two masons."
)
PARTS = ("wheel", "case", "well", "pipe", "valve", "lever", "rod", "bolt", "gasket", "flange", "spring", "handle")


def test_records_of_one_form_are_no_copies() -> None:
    records = [
        f"name: pump {part}\ncategory: household goods\nmaterial: brass\nprice: {len(part)}.50" for part in PARTS
    ]
    near = NearDuplicates()
    assert [near.original(record, record, records=True) for record in records] == [None] * len(records)
    assert near.original("again", records[0].upper(), records=True) == records[0]


def test_a_threshold_of_one_finds_only_the_same() -> None:
    near = NearDuplicates(1.0)
    assert near.original("a", PUMP) is None
    assert near.original("b", f"{PUMP} {OTHER}") is None
    assert near.original("c", PUMP) == "a"
