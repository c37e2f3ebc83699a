"""PDF: what was filled in, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.documents.read import read
from tests.documents import samples
from tests.documents.samples import Drawn, Field

PAGE = [Drawn(72, 700, "Name:"), Drawn(300, 700, "Born in:"), Drawn(92, 680, "I am a member."), Drawn(72, 600, "End")]
PASSWORD, COMBO = 1 << 13, 1 << 17


@pytest.mark.parametrize(
    ("fields", "read_as"),
    [
        ([Field("Tx", "Anna Berg", (110, 697, 280, 712))], "Name: Anna Berg Born in:\nI am a member.\nEnd"),
        (
            [Field("Tx", "Ulm", (350, 697, 400, 712)), Field("Tx", "Anna", (110, 697, 280, 712))],
            "Name: Anna Born in: Ulm\nI am a member.\nEnd",
        ),
        ([Field("Btn", "Yes", (72, 678, 84, 690))], "Name: Born in:\n[x] I am a member.\nEnd"),
        ([Field("Btn", "Off", (72, 678, 84, 690))], "Name: Born in:\n[ ] I am a member.\nEnd"),
        ([Field("Ch", "green", (350, 697, 400, 712), COMBO)], "Name: Born in: green\nI am a member.\nEnd"),
        (
            [Field("Ch", "green", (72, 620, 200, 660))],
            "Name: Born in:\nI am a member.\n[ ] red\n[x] green\n[ ] blue\nEnd",
        ),
        ([Field("Tx", "two\nlines", (72, 620, 200, 660))], "Name: Born in:\nI am a member.\ntwo\nlines\nEnd"),
        ([Field("FreeText", "A note.", (72, 640, 200, 655))], "Name: Born in:\nI am a member.\nA note.\nEnd"),
        ([Field("FreeText", "At the end.", (72, 40, 200, 55))], "Name: Born in:\nI am a member.\nEnd\nAt the end."),
        ([Field("Tx", "secret", (110, 697, 280, 712), PASSWORD)], "Name: Born in:\nI am a member.\nEnd"),
        ([Field("Tx", "", (110, 697, 280, 712))], "Name: Born in:\nI am a member.\nEnd"),
        ([Field("Tx", "Grüße, 漢字", (110, 697, 280, 712))], "Name: Grüße, 漢字 Born in:\nI am a member.\nEnd"),
    ],
)
@pytest.mark.parametrize("turned", [0, 90])
def test_values_stand_where_they_were_filled_in(tmp_path: Path, fields: list[Field], read_as: str, turned: int) -> None:
    file = samples.with_fields(samples.drawn_pdf(tmp_path / "a.pdf", [PAGE], turned), fields)
    assert read(str(file)).text == read_as


def test_values_of_fields_without_a_form(tmp_path: Path) -> None:
    file = samples.drawn_pdf(tmp_path / "a.pdf", [PAGE])
    samples.with_fields(file, [Field("Tx", "Anna", (110, 697, 280, 712))], in_form=False)
    assert "Name: Anna Born in:" in read(str(file)).text


def test_a_page_of_values_alone_is_not_empty(tmp_path: Path) -> None:
    file = samples.with_fields(
        samples.pdf(tmp_path / "a.pdf", [[]]), [Field("FreeText", "A note.", (72, 640, 200, 655))]
    )
    assert read(str(file)).text == "A note."
