"""Answers read, repaired, and told their mistakes; what the rules make; what is kept of it all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.errors import RecipeError
from gemmalocal.records import Message, Record
from gemmalocal.synthesis import base, curate
from gemmalocal.synthesis.asking import Answer, AskModel, Prompt, Remembered, Unanswered, Usage
from gemmalocal.synthesis.create import Order, create
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.piece import Candidate, Piece, pair
from gemmalocal.synthesis.retrieval import PassageIndex
from gemmalocal.synthesis.tasks import TASKS, Pair, UnusableAnswer, parse
from gemmalocal.synthesis.wording import Wording

GOOD = {"question": "What is the lamp of the light?", "answer": "A burner.", "evidence": "The lamp is a burner"}
TEXT = (
    "The lamp is a burner with six wicks. Prisms are pieces of glass that bend light. It was made in 1871. "
    "Three keepers serve the station in watches of four hours, and one of them writes the journal."
)


def piece(text: str = TEXT, document: str = "d", number: int = 0, heading: str = "Lamp", title: str = "Light") -> Piece:
    return Piece(document, title, Passage(f"{document}.md", number, text, heading), file=f"{document}.md")


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"rows": [GOOD]}),
        json.dumps([GOOD]),
        json.dumps(GOOD),
        f"Here you are:\n```json\n{json.dumps({'rows': [GOOD]})}\n```\nI hope it helps.",
        json.dumps({"rows": [GOOD, {"question": "half"}]}),
        json.dumps({"rows": [GOOD, GOOD]})[:-40],
        str({"rows": [GOOD]}),
    ],
)
def test_rows_are_read_however_they_come(answer: str) -> None:
    assert parse(answer, Pair)[0].model_dump(exclude={"kind"}) == GOOD


@pytest.mark.parametrize("answer", ["", "I cannot.", "[]", '{"rows": []}', '{"rows": [{"question": ""}]}', "5"])
def test_what_holds_no_row_is_told(answer: str) -> None:
    with pytest.raises(UnusableAnswer, match="not the JSON that was asked for"):
        parse(answer, Pair)


class Author:
    """Answers from a list, then with the last; remembers what it was asked."""

    def __init__(self, *answers: str | Unanswered) -> None:
        self.answers, self.asked = list(answers), list[Prompt]()

    def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
        for place, prompt in enumerate(prompts):
            self.asked.append(prompt)
            yield place, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def order(task: str = "qa", attempts: int = 3, instructed: bool = True) -> Order:
    return Order(TASKS[task], 3, attempts, 0, Wording(), instructed)


def test_a_mistake_is_told_until_the_answer_is_right() -> None:
    wrong = json.dumps({"rows": [{**GOOD, "evidence": "the lamp is a candle"}]})
    author = Author("no", wrong, json.dumps({"rows": [GOOD]}))
    result = next(create([piece()], order(attempts=4), author))  # of which the last would ask in another way
    assert [candidate.by for candidate in result.kept] == ["model"]
    assert result.lost == ""
    assert [len(prompt.messages) for prompt in author.asked] == [1, 3, 5]
    assert "does not occur in its passage: the lamp is a candle" in author.asked[2].messages[-1].content
    assert [reason.partition(":")[0] for _, reason in result.rejected] == [
        "has evidence that does not occur in its passage"
    ]


def asked_for(prompt: Prompt) -> str:
    """What a prompt is for."""
    begins = {"You write": "rows", "You turn": "sentences", "Answer each": "answers"}
    first = prompt.messages[0].content
    kind = next(kind for begin, kind in begins.items() if first.startswith(begin))
    return kind if len(prompt.messages) == 1 else f"{kind} again"


SENTENCE = {"sentence": 1, "question": "How long is a watch of the keepers?", "answer": "A watch is four hours."}


def test_an_author_that_repeats_itself_is_asked_in_the_other_way_at_once() -> None:
    wrong = json.dumps({"rows": [{**GOOD, "evidence": "the lamp is a candle"}]})
    author = Author(wrong, f"{wrong} ", json.dumps({"rows": [SENTENCE]}))
    result = next(create([piece()], order(attempts=5), author))
    assert [asked_for(prompt) for prompt in author.asked] == ["rows", "rows again", "sentences"]
    assert [candidate.question for candidate in result.kept] == [SENTENCE["question"]]


def test_a_passage_that_loses_all_rows_when_they_are_asked_again_is_asked_in_another_way() -> None:
    of, said = piece(), json.dumps({"rows": [GOOD]})
    author = Author(said, "It does not say.", json.dumps({"rows": [SENTENCE]}), "Four hours.")
    wanted = replace(order(), index=PassageIndex([of]), round_trip=True)
    result = next(create([of], wanted, author))
    assert [asked_for(prompt) for prompt in author.asked] == ["rows", "answers", "sentences", "answers"]
    assert [(candidate.question, candidate.agreed) for candidate in result.kept] == [(SENTENCE["question"], True)]
    assert result.lost == ""
    assert len(result.rejected) == 1


@pytest.mark.parametrize("text", ["# Lamp", "## License\n\n## Thanks", "https://example.org"])
def test_what_says_nothing_is_not_asked_about(text: str) -> None:
    author = Author(json.dumps({"rows": [GOOD]}))
    result = next(create([piece(text)], order(), author))
    assert (author.asked, result.kept, result.lost) == ([], [], "")


@pytest.mark.parametrize(
    ("answer", "proof"),
    [
        ("Prisms are pieces of glass, and they bend light.", "Prisms are pieces of glass that bend light."),
        ("It was made by hand of the finest glass in Paris.", ""),
        ("A burner.", ""),  # too short to be found by its words
    ],
)
def test_a_changed_quote_gives_way_to_the_sentence_that_proves_the_answer(answer: str, proof: str) -> None:
    row = {"question": "What are the prisms of the light?", "answer": answer, "evidence": "prisms, or so it is said"}
    result = next(create([piece()], order(attempts=1), Author(json.dumps({"rows": [row]}))))
    assert [candidate.evidence for candidate in result.kept if candidate.by == "model"] == [proof] * bool(proof)


SIX = "The lamp is a burner with six wicks."


@pytest.mark.parametrize(
    ("task", "row", "why"),
    [
        ("summary", {"summary": "A lamp has a burner with six wicks; keepers serve.", "evidence": SIX}, None),
        (
            "summary",
            {"summary": "Pirates stole all golden treasures yesterday.", "evidence": SIX},
            "not in its passage: 0%",
        ),
        ("summary", {"summary": f"{TEXT} So.", "evidence": SIX}, "is no shorter than its passage"),
        ("rewrite", {"instruction": "Give the year, of 3 lamps."}, None),
        ("rewrite", {"instruction": "Give the year, of 4 lamps."}, "has other numbers"),
        ("rewrite", {"instruction": "Give the year of the lamps."}, "has other numbers than the instruction"),
    ],
)
def test_summaries_and_rewrites_have_checks_of_their_own(task: str, row: dict[str, str], why: str | None) -> None:
    of = piece()
    if task == "rewrite":
        asked = Record(
            "rows:1", (Message("user", "Name the year of these 3 lamps."), Message("assistant", "It is 1871."))
        )
        of = Piece("r", "", Passage("rows:1", 0, asked.reply), asked, "rows")
    result = next(create([of], order(task, attempts=1), Author(json.dumps({"rows": [row]}))))
    reasons = [reason for _, reason in result.rejected]
    assert reasons == [] if why is None else why in reasons[0]
    assert any(candidate.by == "model" for candidate in result.kept) is (why is None)


@pytest.mark.parametrize("answer", ["nonsense", "", Unanswered("The server sleeps.")])
def test_the_rules_step_in_where_an_author_fails(answer: str | Unanswered) -> None:
    author = Author(answer)
    result = next(create([piece()], order(attempts=2), author))
    assert len(author.asked) == (1 if isinstance(answer, Unanswered) else 2)
    assert result.lost
    assert result.kept
    assert {candidate.by for candidate in result.kept} == {"rules"}


FOG = "The name of the siren is Big Fog, and it is driven by compressed air on 40 days of each year in the bay."
VAGUE = {
    "question": "What is the name of it?",
    "answer": "Old Sam.",
    "evidence": "The name of the lamp is Old Sam.",
}


def named_things() -> list[Piece]:
    """Two passages that each tell a name; `VAGUE` is about the first."""
    return [piece(f"The name of the lamp is Old Sam. {TEXT}"), piece(FOG, number=1, heading="Fog signal")]


def test_a_question_that_could_be_asked_elsewhere_is_asked_for_again_with_what_is_missing() -> None:
    pieces = named_things()
    named = {**VAGUE, "question": "What is the name of the lamp with six wicks?"}
    author = Author(json.dumps({"rows": [GOOD, VAGUE]}), json.dumps({"rows": [GOOD, named]}))
    wanted = replace(order(), index=PassageIndex(pieces))
    result = next(create(pieces[:1], wanted, author))
    assert [candidate.question for candidate in result.kept] == [GOOD["question"], named["question"]]
    told = author.asked[1].messages[-1].content
    assert "“What is the name of it?” could be asked of 2 texts. Name in the question the section (“Lamp”)" in told
    assert "or what sets it apart (lamp, " in told  # of its evidence, and not the answer
    assert [reason for _, reason in result.rejected] == [
        "has a question that does not stand alone: it could be asked of 2 passages"
    ]
    assert (len(author.asked), result.lost) == (2, "")


def test_an_author_that_never_names_a_thing_leaves_the_passage_to_the_rules() -> None:
    pieces = named_things()
    author = Author(json.dumps({"rows": [VAGUE]}))
    result = next(create(pieces[:1], replace(order(attempts=1), index=PassageIndex(pieces)), author))
    assert len(author.asked) == 1
    assert result.lost == "The row has a question that does not stand alone: it could be asked of 2 passages."
    assert {candidate.by for candidate in result.kept} == {"rules"}


def test_a_base_model_words_the_questions_and_nonsense_is_not_taken() -> None:
    result = next(
        create([piece()], order(instructed=False), Author(" How do prisms bend light?\n\nSentence:", "the the"))
    )
    questions = {candidate.question: candidate.by for candidate in result.kept}
    assert "the the" not in questions
    assert set(questions.values()) <= {"model", "rules"}
    line = "Prisms are pieces of glass that bend light."
    prism = Candidate(piece(), pair(piece(), "q", line), line, "rules", "q", line)
    for answer, by in (
        ("How do prisms bend light?", "model"),
        ("Who is the king?", "rules"),
        ("Prisms bend light.", "rules"),
    ):
        (worded,) = side_by_side([base.worded([prism], TASKS["qa"], Wording())], Author(answer))
        assert worded[0].by == by


def candidate(question: str, document: str = "d", score: int | None = None) -> Candidate:
    of = piece(document=document)
    return Candidate(of, pair(of, question, f"{question} yes."), "x", "model", question, "yes", score)


def test_each_question_once_and_no_document_too_loud() -> None:
    kept, rejected = curate.unique([candidate("What is it?"), candidate("what  IS it"), candidate("And this?")])
    assert [question.question for question in kept] == ["What is it?", "And this?"]
    assert rejected[0][1] == "asks what another row asks"
    loud = [candidate(f"q{n}", "loud", score=n) for n in range(10)]
    quiet = [candidate(f"r{n}", f"d{n}") for n in range(4)]
    kept, rejected = curate.balanced([*loud, *quiet], 2)
    assert [question.question for question in kept] == ["q8", "q9", "r0", "r1", "r2", "r3"]
    assert len(rejected) == 8
    assert curate.balanced(loud, 2)[0] == loud


def model(*answers: str | Unanswered) -> AskModel:
    """A model that says these, at three tokens a prompt and two an answer."""
    author = Author(*answers)

    def ask(prompts: Iterable[Prompt]) -> Iterator[tuple[int, Answer | Unanswered]]:
        for number, answer in author(prompts):
            yield number, Answer(answer, Usage(3, 2)) if isinstance(answer, str) else answer

    return ask


def test_answers_are_kept_by_author_and_content_with_what_they_cost(tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    prompts = [Prompt((Message("user", text),)) for text in ("a", "b", "a")]
    remembered = Remembered(file, model("first", Unanswered("no"), "third"), "me")
    assert dict(remembered(prompts)) == {0: "first", 2: "first", 1: Unanswered("no")}
    assert remembered.usage == (3, 2, 0)
    file.write_bytes(file.read_bytes() + b'{"key": "to')
    again = Remembered(file, model("third"), "me")
    assert dict(again(prompts)) == {0: "first", 2: "first", 1: "third"}
    assert (again.asked, again.reused) == (1, 2)
    assert again.usage == (6, 4, 0)  # the whole, also what was paid before
    assert dict(Remembered(file, model("other"), "you")(prompts[:1])) == {0: "other"}
    assert len(file.read_bytes().splitlines()) == 3
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({"key": line["key"], "answer": line["answer"]}) + "\n" for line in lines))
    older = Remembered(file, model("none"), "me", lambda prompt, answer: Usage(1, len(answer)))
    assert len(list(older(prompts))) == 3
    assert (older.asked, older.usage) == (0, (2, 10, 0))  # an older file does not tell: it is counted here


def talk(name: str, steps: list[int]) -> Dialogue[str]:
    """A dialogue that asks so many prompts at each step, and comes to all that was answered."""
    answers = []
    for step, count in enumerate(steps):
        answers += yield [Prompt((Message("user", f"{name}{step}{place}"),)) for place in range(count)]
    return " ".join(map(str, answers))


def test_a_slow_dialogue_holds_no_other() -> None:
    pulled = []

    def one_is_slow(prompts: Iterable[Prompt]) -> Iterator[tuple[int, str]]:
        """Two at a time; the first is answered when nothing else is left."""
        slow = []
        for number, prompt in enumerate(prompts):
            pulled.append(text := prompt.messages[0].content)
            if text == "a00":
                slow.append((number, text))
            else:
                yield number, text
        yield from slow

    talks = [talk("a", [1, 1]), talk("b", [2, 0, 1]), talk("c", []), talk("d", [1, 1])]
    assert list(side_by_side(talks, one_is_slow)) == ["b00 b01 b20", "", "d00 d10", "a00 a10"]
    assert pulled == ["a00", "b00", "b01", "b20", "d00", "d10", "a10"]
    assert list(side_by_side([talk("a", []) for _ in range(200)], None)) == [""] * 200


def test_own_prompts_replace_one_by_one_and_mistakes_in_them_are_told(tmp_path: Path) -> None:
    (tmp_path / "qa.j2").write_text("MY {{ passage[:8] }}")
    wording = Wording(tmp_path)
    assert wording.ask(TASKS["qa"], piece(), 1).messages[0].content == "MY The lamp"
    assert (
        wording.ask(TASKS["cot"], piece(), 1).messages[0].content.startswith("You write questions, with the thoughts")
    )
    (tmp_path / "qa.j2").write_text("{{ pasage }} {{ ''.__class__ }}")
    with pytest.raises(RecipeError, match="pasage"):
        Wording(tmp_path).ask(TASKS["qa"], piece(), 1)
