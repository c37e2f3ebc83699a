"""A loss keeps two digits that say something, however small it is."""

from __future__ import annotations

import pytest

from gemmalocal.jobs.loss_words import loss_in_a_list, loss_text


@pytest.mark.parametrize(
    ("loss", "digits", "words"),
    [
        (0, 3, "0.000"),
        (0.0051, 2, "0.0051"),
        (0.0051, 3, "0.0051"),
        (0.05, 3, "0.050"),
        (0.05, 2, "0.05"),
        (2.31, 2, "2.31"),
        (2.31, 3, "2.310"),
        (123.456, 2, "123.46"),
    ],
)
def test_a_small_loss_is_not_shown_as_none(loss: float, digits: int, words: str) -> None:
    assert loss_text(loss, digits) == words


@pytest.mark.parametrize(
    ("loss", "words"), [(0, "0.00"), (2.3149, "2.31"), (0.05, "0.05"), (0.0051, "0.005"), (0.000051, "5e-05")]
)
def test_a_list_has_five_cells_for_it(loss: float, words: str) -> None:
    assert loss_in_a_list(loss) == words
    assert len(words) <= 5
