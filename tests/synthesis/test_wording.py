"""A person's own prompts: what is wrong with one is said with file and line, and none goes on for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.errors import RecipeError
from gemmalocal.records import Message
from gemmalocal.synthesis.asking import Prompt
from gemmalocal.synthesis.wording import Wording

PROMPT = Prompt((Message("user", "Why?"),))
WRONG = {
    "\n{{ nosuch }}": r"again\.j2, line 2: 'nosuch' is undefined",
    "{% if %}": r"again\.j2, line 1: Expected an expression",
    "{% include 'gone.j2' %}": r"again\.j2, line 1: it wants the template gone\.j2",
    "\n\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": r"line 3: it does not end",
    "{{ problem * 10 ** 10 }}": r"again\.j2, line 1: it makes too much text",
    "{{ raise_exception('Not so.') }}": r"Not so\.",
}


@pytest.mark.parametrize(("text", "why"), WRONG.items())
def test_a_prompt_that_cannot_be_filled_is_a_sentence(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "again.j2").write_text(text)
    with pytest.raises(RecipeError, match=why) as caught:
        Wording(tmp_path).with_correction(PROMPT, "So.", "it is short")
    assert caught.value.hint == "It may use problem."


def test_a_prompt_of_ones_own_replaces_ours(tmp_path: Path) -> None:
    (tmp_path / "again.j2").write_text("Mend: {{ problem | upper }}\n")
    assert Wording(tmp_path).with_correction(PROMPT, "So.", "it is short").messages[-1].content == "Mend: IT IS SHORT"
