"""Text to prompts in the shape that a run was trained on, and ids to text that is never half a character."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gemmalocal.backends.protocol import Likeliest, Sampling, Scores
from gemmalocal.data.examples import Example
from gemmalocal.data.layout import Layout, layout_form
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.engine.generation import ChatModel, Detokenizer, as_row_begins, speak
from gemmalocal.recipe.data_spec import PromptTemplate
from gemmalocal.weights.tensors import Floats


class Parrot:
    """Says each prompt backwards, then the end; `numbers` are those of its voices that spoke in one pass."""

    def __init__(self) -> None:
        self.passes = list[list[int]]()

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        self.passes.append(list(voices))
        answers = [[*reversed(prompt[1:]), 1][: sampling.max_tokens] for prompt in prompts]
        for step in range(max(map(len, answers))):
            yield [answer[step] if step < len(answer) else None for answer in answers]

    def score(self, examples: Sequence[Example], voices: Sequence[int]) -> Scores:
        raise NotImplementedError("a parrot reads nothing")

    def logits(self, examples: Sequence[Example], voice: int) -> Iterator[Floats]:
        raise NotImplementedError("a parrot reads nothing")

    def likeliest(
        self, examples: Sequence[Example], voice: int, keep: int, temperature: float, vocabulary: int
    ) -> Likeliest:
        raise NotImplementedError("a parrot reads nothing")

    def close(self) -> None:
        pass


@pytest.fixture
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


@pytest.fixture
def chatty(tiny: Path, tmp_path: Path) -> Tokenizer:
    """The tiny Gemma's, with a chat template as Gemma 3 has it."""
    folder = tmp_path / "chatty"
    shutil.copytree(tiny, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    from gemmalocal.data.tokenizer import TURNS

    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": TURNS}))
    return Tokenizer(folder)


def test_characters_come_whole(tokenizer: Tokenizer) -> None:
    text = "the café and 本 🙂 end"
    reader = Detokenizer(tokenizer)
    parts = [reader.add(number) for number in tokenizer.encode(text)]
    assert "".join(parts) + reader.end() == text == reader.text
    assert all("\ufffd" not in part for part in parts)
    assert "🙂" in parts
    broken = Detokenizer(tokenizer)
    assert broken.add(tokenizer.encode("🙂")[1]) == ""  # a byte that begins no character
    assert broken.end() == "\ufffd"


def test_a_question_takes_the_shape_of_the_rows() -> None:
    quote = "Quote: {text}\nAuthor: {from}"
    assert as_row_begins("Life is", quote) == "Quote: Life is"
    assert as_row_begins("Quote: Life is", quote) == "Quote: Life is"
    assert as_row_begins("Life", "{quote} - {author}") == "Life"
    pair = PromptTemplate(prompt="Question: {q}\nAnswer:", completion=" {a}")
    assert as_row_begins("Why?", pair) == "Question: Why?\nAnswer:"
    assert as_row_begins("Question: Why?\nAnswer:", pair) == "Question: Why?\nAnswer:"
    assert as_row_begins("Why?", PromptTemplate(prompt="{a}: {b}", completion="{c}")) == "Why?"
    assert as_row_begins("Why?", None) == "Why?"


def test_turns_fold_the_system_text_and_go_on(chatty: Tokenizer, tokenizer: Tokenizer) -> None:
    voice = ChatModel("v", Parrot(), 0, chatty, Layout("chat"))
    asked = voice.prompt("two", "be brief", [("one", "first")])
    assert asked == (
        "<bos><start_of_turn>user\nbe brief\n\none<end_of_turn>\n<start_of_turn>model\nfirst<end_of_turn>\n"
        "<start_of_turn>user\ntwo<end_of_turn>\n<start_of_turn>model\n"
    )
    plain = ChatModel("v", Parrot(), 0, tokenizer, Layout("text"), "Q: {q}")
    assert plain.prompt("two", "", [("one", "first")]) == "<bos>Q: two"
    pairs = ChatModel("v", Parrot(), 0, tokenizer, Layout("prompt", "\n"))
    assert pairs.prompt("two", "be brief", []) == "<bos>be brief\n\ntwo\n"


def test_the_form_is_that_of_the_rows(chatty: Tokenizer, tokenizer: Tokenizer) -> None:
    assert layout_form(tokenizer, True, []) == layout_form(chatty, True, []) == "text"
    assert layout_form(chatty, False, []) == "chat"
    assert layout_form(tokenizer, False, tokenizer.encode("<bos>the<eos>")) == "prompt"
    assert layout_form(tokenizer, False, tokenizer.encode("<start_of_turn>user\nthe<end_of_turn>")) == "chat"


def test_voices_that_share_weights_speak_in_one_pass(tokenizer: Tokenizer) -> None:
    one, two = Parrot(), Parrot()
    voices = [ChatModel(str(n), parrot, n, tokenizer, Layout("text")) for n, parrot in enumerate((one, one, two))]
    prompts = ["<bos>abc", "<bos>de", "<bos>fghi"]
    said = list(speak(voices, prompts, Sampling(max_tokens=4), lambda: True))
    assert (one.passes, two.passes) == ([[0, 1]], [[2]])
    assert ["".join(part.text for part in said if part.voice == place) for place in range(3)] == ["cba", "ed", "ihgf"]
    ends = {part.voice: part for part in said if part.stopped}
    assert [(ends[n].stopped, ends[n].tokens) for n in range(3)] == [("end", 4), ("end", 3), ("length", 4)]
    assert all(0 < end.first_seconds <= end.seconds for end in ends.values())
    cut = list(speak(voices, prompts, Sampling(max_tokens=4), lambda: False))
    assert {(part.voice, part.answer) for part in cut if part.stopped == "asked"} == {(0, "c"), (1, "e"), (2, "i")}
