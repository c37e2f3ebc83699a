"""Templates that are known by their hash: what is said of them holds, and the rest are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.data.chat_template import TURNS, TURNS_4
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.tool_calls.grammars import digest
from gemmalocal.tool_calls.known_templates import KNOWN, known, remark
from tests.data.test_examples import with_template
from tests.tool_calls.templates import PUBLISHED


@pytest.mark.parametrize("source", [TURNS, TURNS_4], ids=["turns", "turns 4"])
def test_a_known_template_can_do_what_is_said_of_it(tiny: Path, tmp_path: Path, source: str) -> None:
    found = known(source)
    assert found is not None
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "model", source))
    assert found.tools == tokenizer.knows_tools
    assert found.system != tokenizer.folds_system
    assert f"(known: {found.name}" in remark(source)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_template_that_is_not_known_is_said_to_be_asked(name: str) -> None:
    assert known(PUBLISHED[name]) is None
    assert remark(PUBLISHED[name]).endswith("(not known to this version: asked what it can do)")


def test_a_copy_with_other_line_ends_is_the_same_version() -> None:
    source = "{{ bos_token }}\n{% for message in messages %}{% endfor %}"
    assert digest(source) == digest(source.replace("\n", "\r\n") + "\r\n")
    assert digest(source) != digest(source.replace("bos_token", "eos_token"))


def test_what_a_template_can_do_is_a_sentence() -> None:
    assert str(KNOWN["ecd6ae513fe1"]) == "Gemma 1 and 2, of 2025-01-30; writes questions and answers alone"
    assert str(KNOWN["1d35a24a2a63"]).endswith("; writes tools, a system text and thoughts")
    assert all(len(version) == 12 and int(version, 16) for version in KNOWN)
