"""Answers are right or wrong as a person would say, and the metric is found from the references."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from gemmalocal.cli.report import METRICS
from gemmalocal.evaluation.calls import figures
from gemmalocal.evaluation.conclude import repeats
from gemmalocal.evaluation.metrics import NAMES, metric, metric_name, normal
from gemmalocal.evaluation.overlap import chrf, rouge_l
from gemmalocal.recipe.schema import ReportSpec
from tests.evaluation.goldens import FILE, TEXTS

GOLDENS = json.loads(FILE.read_text())
CALLS = '{"tool_calls": [{"type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 1}"}}]}'
FUNCTION_GEMMA = "<start_function_call>call:a{b:{c:<escape>}<escape>}}<end_function_call><start_function_response>"
GEMMA_4 = 'I look.<|tool_call>call:a{b:{c:<|"|>}<|"|>}}<tool_call|>'
LONG = "It is said that a long answer in prose has no single form, and this sentence is an example of one number {}."


@pytest.mark.parametrize(
    ("name", "references"),
    [
        ("exact", ["Paris", "Rome.", "New York City", "東京", "Berlin", "Oslo"]),
        ("number", ["So 3 + 4 = 7.\n#### 7", "2 x 6\n#### 12", "#### 1,200"]),
        ("number", ["7", "-12.5", "$1,200", "30 %"]),
        ("number", ["First 3 and 4, so the answer is 7.", "The answer is 12."]),
        ("json", ['{"a": 1}', '```json\n{"b": [1, 2]}\n```', "[]"]),
        ("tools", ['{"name": "add", "arguments": {"a": 1}}', '[{"name": "stop", "parameters": {}}]', CALLS]),
        ("tools", ["I can say that I have no tool for this at all.", GEMMA_4, LONG]),
        ("json", ['{"name": "Ada", "born": 1815}', '{"name": "Bob", "arguments": 3}']),
        ("label", ["positive", "negative"] * 6),
        ("label", ["Positive", "positive.", "negative", "neutral"] * 5),
        ("exact", ["yes", "no"]),
        ("rouge", [LONG.format(number) for number in range(9)]),
        ("rouge", []),
        ("rouge", ["", " "]),
        ("exact", ["the same"] * 9),
    ],
)
def test_the_metric_is_found(name: str, references: list[str]) -> None:
    assert metric_name(references) == name


@pytest.mark.parametrize(
    ("name", "answer", "reference", "right"),
    [
        ("exact", " “Paris.” ", "paris", True),
        ("exact", "\N{FULLWIDTH LATIN CAPITAL LETTER A}b", "ab", True),
        ("exact", "Paris is it", "paris", False),
        ("exact", "", "paris", False),
        ("number", "It is 3, no: 1,200.00 apples", "#### 1200", True),
        ("number", "#### 7\nThat is 8 more words", "7", True),
        ("number", "so \\boxed{-7}", "\N{MINUS SIGN}7", True),
        ("number", "seven", "7", False),
        ("number", "7", "no number", False),
        ("number", "9" * 100_000, "7", False),
        ("json", '{"b": 2, "a": [1.0]}', '{"a": [1], "b": 2}', True),
        ("json", '{"a": true}', '{"a": 1}', False),
        ("json", "```json\n{}\n```", "{}", True),
        ("json", "{", "{}", False),
        ("json", "[" * 100_000, "{}", False),
        ("tools", CALLS, '{"name": "add", "arguments": {"a": 1.0}}', True),
        (
            "tools",
            '[{"name": "b", "arguments": {}}, {"name": "a", "parameters": ""}]',
            '[{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]',
            True,
        ),
        ("tools", '{"name": "add", "arguments": {"a": 2}}', '{"name": "add", "arguments": {"a": 1}}', False),
        ("tools", '{"name": "sum", "arguments": {"a": 1}}', '{"name": "add", "arguments": {"a": 1}}', False),
        ("tools", '{"name": "add"}', '{"name": "add", "arguments": {}}', False),
        ("tools", '[{"name": "a", "arguments": {}}, 3]', '{"name": "a", "arguments": {}}', False),
        ("tools", "I will look.", "Hello!", True),
        ("tools", '<tool_call>\n{"name": "a"}\n</tool_call>', "Hello!", False),
        ("tools", "call:a{}", '<tool_call>\n{"name": "a"}\n</tool_call>', False),
        ("tools", FUNCTION_GEMMA, '{"name": "a", "arguments": {"b": {"c": "}"}}}', True),
        ("tools", GEMMA_4, FUNCTION_GEMMA, True),
        ("tools", GEMMA_4[:-20], FUNCTION_GEMMA, False),
        ("tools", "[" * 100_000, '{"name": "a", "arguments": {}}', False),
        ("label", "The review is positive, I think.", "positive", True),
        ("label", "positive or negative", "positive", False),
        ("label", "not spam", "spam", False),
        ("label", "Not spam!", "not spam", True),
        ("label", "spammer", "spam", False),
    ],
)
def test_right_and_wrong(name: str, answer: str, reference: str, right: bool) -> None:
    labels = ["positive", "negative", "spam", "not spam"]
    assert metric(name, labels if name == "label" else [reference]).right(answer, reference) is right


def test_shares_beside_right_and_wrong() -> None:
    shares = metric("json", []).shares
    assert shares["F1 of keys and values"]('{"a": 1, "b": 2}', '{"a": 1, "b": 3}') == 0.5
    assert shares["valid JSON"]("{}", "") == 1
    assert shares["valid JSON"]("NaN", "") == 0
    assert not metric("auto", [LONG] * 3).decides


def test_figures_of_calls() -> None:
    one, other = '{"name": "a", "arguments": {"x": 1, "y": 2}}', '{"name": "a", "arguments": {"x": 1, "y": 3}}'
    assert str(figures([one, other, "No.", one], [one, one, one, "Hi."])) == (
        "1 of 3 calls exact, 2 name the right tools, arguments 50 % right; no call in 0 of 1 where none is due"
    )
    assert figures([], []).arguments == 1


def test_rouge_and_chrf_are_those_of_their_libraries() -> None:
    assert [rouge_l(*pair) for pair in TEXTS] == pytest.approx(GOLDENS["rouge"], abs=1e-9)
    assert [chrf(*pair) for pair in TEXTS] == pytest.approx(GOLDENS["chrf"], abs=1e-9)


def test_words_of_other_scripts_count() -> None:
    assert rouge_l("Übung macht den Meister", "übung macht Meister") == pytest.approx(6 / 7)
    assert rouge_l("猫が好きです", "犬が好きです") == pytest.approx(5 / 6)
    assert rouge_l("x " * 100_000, "x " * 100_000) == 1


def test_what_is_written_alike_is_normal() -> None:
    assert normal("  “It’s  OK!” ") == "it’s ok"
    assert normal("...") == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one two three four five six seven eight " * 4, True),
        ("a sentence of its own, which says what it says and then ends", False),
        ("いい天気ですね、" * 9, True),
        ("", False),
        ("word", False),
    ],
)
def test_an_answer_that_repeats_itself(text: str, says: bool) -> None:
    assert repeats(text) is says


def test_recipe_command_and_metrics_know_the_same_names() -> None:
    wanted = get_args(ReportSpec.model_fields["metric"].annotation)
    assert set(METRICS) == set(wanted) == set(NAMES)
    assert {metric(name, ["a"]).name for name in NAMES} == set(NAMES) - {"auto"}


def test_calls_are_right_in_part() -> None:
    shares = metric("tools", []).shares
    wanted = '{"name": "book", "arguments": {"city": "Oslo", "nights": 2}}'
    nearly = '{"name": "book", "arguments": {"city": "Oslo", "nights": 3}}'
    assert [share(nearly, wanted) for share in shares.values()] == [1, 1, 0.5]
    assert [share("Oslo", wanted) for share in shares.values()] == [0, 0, 0]
    empty = '{"name": "stop", "arguments": {}}'
    assert [share(empty, empty) for share in shares.values()] == [1, 1, 1]
