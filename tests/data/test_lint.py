"""What is odd is counted, with its place; what is ordinary is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken

from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.findings import Findings, ProblemKind
from gemmalocal.data.lint import Lint
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.records import Message, Record


def pair(prompt: str, reply: str, source: str = "a:1") -> Record:
    return Record(source, (Message("user", prompt), Message("assistant", reply)))


def linted(tiny: Path, *records: Record, max_length: int = 1024) -> list[ProblemKind]:
    findings = Findings()
    tokenizer = Tokenizer(tiny)
    lint = Lint(findings, max_length, control=tokenizer.control_tokens, positions=512)
    for record, examples in to_examples(records, tokenizer, max_length):
        lint(record, examples)
    lint.close()
    return findings.of("odd")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (pair("th\ufffd quote", "and"), "replacement character"),
        (pair("the", "a\x07nd"), "control character"),
        (pair("the", "a\x00nd"), "control character"),
        (pair("the", "<p class='x'>and</p>"), "HTML"),
        (pair("the &amp; quote", "and"), "HTML"),
        (pair("<start_of_turn>user\nthe", "and"), "control token <start_of_turn>"),
        (pair("the", "and<|im_end|>"), "template's own mark"),
        (pair("the [<eos>]", "and"), "control token <eos>"),
        (Record("a:1", text="the <bos>"), "control token <bos>"),
        (pair("the [INST]", "and"), "template's own mark"),
        (pair("the", "a " * 600), "longer than the 512 positions"),
        (pair("the", " NaN "), "placeholder"),
        (pair("the quote", "the quote "), "repeats the prompt"),
    ],
)
def test_each_rule(tiny: Path, record: Record, says: str) -> None:
    (problem,) = linted(tiny, record, pair("what of <this> & that, 3 < 4?", "a [list] of\n\tthings; e.g. 5 > 4"))
    assert says in problem.kind
    assert (problem.count, problem.sources) == (1, ["a:1"])
    assert problem.example


@pytest.mark.parametrize(
    ("prompt", "reply", "between", "chat", "glued"),
    [
        ("What is it?", "A lamp.", "", False, True),
        ("What is it?", "A lamp.", "", True, False),
        ("What is it?", "A lamp.", "\n", False, False),
        ("What is it? ", "A lamp.", "", False, False),
        ("Author:", " A lamp.", "", False, False),
        ("何ですか？", "灯台です。", "", False, False),
    ],
)
def test_a_reply_glued_to_its_prompt(
    tiny: Path, prompt: str, reply: str, between: str, chat: bool, glued: bool
) -> None:
    findings = Findings()
    lint = Lint(findings, 512, chat)
    record = replace(pair(prompt, reply), between=between)
    ((_, examples),) = to_examples([record], Tokenizer(tiny), 512)
    lint(record, examples)
    assert ["no space or line end" in kind.kind for kind in findings.of("odd")] == [True] * glued


def test_every_control_token_in_a_row_is_told() -> None:
    tokens = {"<start_of_image>", "<image_soft_token>", "<mask>", "###END", *(f"<unused{n}>" for n in range(6000))}
    findings = Findings()
    lint = Lint(findings, 512, control=frozenset(tokens))
    text = "<start_of_image> a<mask><mask> <unused7><unused12> <b> <image_soft_token>###END <unusual>"
    for source in ("a:1", "a:2"):
        record = pair(text, "<mask>", source)
        lint(record, [Example(np.zeros(9, np.int32), np.ones(9, np.float32))])
    counts = {kind.kind: kind.count for kind in findings.of("odd") if "control token" in kind.kind}
    names = ("<start_of_image>", "<mask>", "<unusedN>", "<image_soft_token>", "###END")
    assert counts == {f"has the control token {name} in its text": 2 for name in names}


def test_control_tokens_are_bounded_in_number() -> None:
    findings = Findings()
    tokens = [f"<{'x' * n}>" for n in range(1, 51)]
    lint = Lint(findings, 512, control=frozenset(tokens))
    lint(pair(" ".join(tokens), "a"), [Example(np.zeros(9, np.int32), np.ones(9, np.float32))])
    kinds = [kind.kind for kind in findings.of("odd")]
    assert len(kinds) == 41
    assert "has other control tokens in its text" in kinds


def test_the_tokenizer_tells_control_tokens_from_words(tiny: Path, tmp_path: Path) -> None:
    encoder = Tokenizer(tiny).encoder
    more = [AddedToken("<h1>", special=False), AddedToken("  ", special=False), AddedToken("</td>", special=False)]
    more += [AddedToken("[multimodal]", special=False), AddedToken("@@", special=True)]
    encoder.add_tokens(more)
    encoder.save(str(tmp_path / "tokenizer.json"))
    known = Tokenizer(tmp_path).control_tokens
    assert {"<bos>", "<end_of_turn>", "[multimodal]", "@@"} <= known
    assert not known & {"<h1>", "  ", "</td>"}


def test_replies_with_little_room_or_nothing_to_learn(tiny: Path) -> None:
    (room,) = linted(tiny, pair("the " * 30, "and and and and"), max_length=34)
    assert "little room" in room.kind
    (few,) = linted(tiny, pair("th", "and and"), max_length=3)
    assert "fewer than 2" in few.kind


def test_the_same_reply_again_and_again(tiny: Path) -> None:
    rare = [pair(f"ask {number}", f"say {number}", f"a:{number}") for number in range(300)]
    often = [pair(f"and {number}", "no idea", f"b:{number}") for number in range(100)]
    mixed = [record for both in zip(rare, [*often, *rare[:200]], strict=True) for record in both][:400]
    (problem,) = linted(tiny, *mixed)
    assert "same reply" in problem.kind
    assert (problem.example, problem.sources) == ("no idea", ["b:0"])
    assert 100 - 400 / 64 <= problem.count <= 100
    assert not linted(tiny, *rare, *often[:50])


def test_findings_grow_by_kinds_not_by_rows() -> None:
    findings = Findings()
    for number in range(1000):
        findings.warn("is odd", f"a:{number}", "x" * 1000)
    (kind,) = findings.of("odd")
    assert kind.count == 1000
    assert kind.sources == [f"a:{number}" for number in range(5)]
    assert len(kind.example) == 200
