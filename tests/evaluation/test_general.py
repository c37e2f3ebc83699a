"""The general questions have answers that a program can check, and the texts are there in ten registers."""

from __future__ import annotations

from collections import Counter

import pytest

from gemmalocal.evaluation import general

QUESTIONS = {question.text: question for question in general.questions()}


def test_there_are_forty_questions_and_ten_registers() -> None:
    assert len(QUESTIONS) == 40
    texts = general.texts()
    registers = Counter(text.register for text in texts)
    assert len(registers) == 10
    assert min(registers.values()) > general.SOME
    assert Counter(text.register for text in general.some(texts)) == dict.fromkeys(registers, general.SOME)
    assert len({text.name for text in texts}) == len({text.text for text in texts}) == len(texts)
    assert min(len(text.text) for text in texts) > 100
    assert sum(len(text.text) for text in texts) > 60_000  # 20,000 of Gemma 3's tokens
    assert not any(general.BORDER.strip() in text.text for text in texts)


@pytest.mark.parametrize(
    ("begins", "right", "wrong"),
    [
        ("What is 7 + 5?", "7 + 5 = 12", "The answer is 13."),
        ("What is half of 48?", "24.\n\nWhat is half of 50?", "12"),
        ("What is the capital of France?", "It is Paris.", "Rome.\n\nParis is the capital"),
        ("Was ist die Hauptstadt", "Berlin", "Bonn"),
        ("日本の首都", "東京です。", "大阪です。"),
        ("Write a JSON object", '{"name": "Ada"}', '{"name": "Bob"}'),
        ("Write a JSON list", "```json\n[1, 2, 3]\n```", "1, 2, 3"),
        ("Write the date", "2021-03-05", "5 March 2021"),
        ("Write three fruits", "- apple\n- pear\n- plum", "apple, pear, plum"),
        ("How many corners", "Silence is not a thing with corners.", "Four."),
        ("Answer with one word, yes or no: is ice", "Yes.", "It is, yes"),
        ("Write the word cat", "cat cat cat", "cat"),
    ],
)
def test_answers_are_checked(begins: str, right: str, wrong: str) -> None:
    question = next(question for text, question in QUESTIONS.items() if text.startswith(begins))
    assert question.is_right(right)
    assert not question.is_right(wrong)


def test_every_question_takes_no_empty_nor_endless_answer() -> None:
    for question in QUESTIONS.values():
        assert not question.is_right("")
        assert not question.is_right("[" * 100_000)
