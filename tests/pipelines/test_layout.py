"""One layout for a dataset, decided by all of its rows, and remembered by what is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gguf
import pytest

from gemmalocal.data import layout, token_store
from gemmalocal.data.chat_template import ChatTemplate
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.engine.generation import ChatModel
from gemmalocal.errors import GemmalocalError, ModelError
from gemmalocal.export import gguf_write, merge, ollama
from gemmalocal.export.source import FinishedRun
from gemmalocal.jobs.events import Notice, Report
from gemmalocal.pipelines import check, serve
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import Message
from tests.data.test_chat_template import model
from tests.engine.test_generation import Parrot

Row = dict[str, Any]


def turns(*texts: str) -> Row:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]}


TWO = [turns(f"my name is n{n}.", "good.", "what is my name?", f"n{n}.") for n in range(30)]
ONE = turns("what is the sea?", "the sea.")
PAIR = {"prompt": "the sea", "completion": " and us"}
TEXT = {"text": "the sea and us"}


def recipe(tiny: Path, folder: Path, rows: Sequence[Row], **data: Any) -> Recipe:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"path": str(folder / "rows.jsonl"), "split": 0, **data}
    return Recipe.model_validate({"model": str(tiny), "data": spec, "train": {"steps": 1}})


def ready(tiny: Path, folder: Path, rows: Sequence[Row], **data: Any) -> tuple[Prepared, list[str]]:
    """What training and checking begin with, and the notices on the way."""
    found = Prepared()
    events = list(prepare(recipe(tiny, folder, rows, **data), found, folder / "examples"))
    return found, [event.text for event in events if isinstance(event, Notice)]


def texts(found: Prepared) -> list[str]:
    assert found.tokenizer is not None
    return [found.tokenizer.decode(example.ids.tolist(), special=True) for example in found.train]


@pytest.mark.parametrize("rows", [[*TWO, ONE], [ONE, *TWO], [*TWO[:15], ONE, *TWO[15:]]], ids=["last", "first", "amid"])
def test_a_single_exchange_beside_conversations_is_in_turns(rows: list[Row], tiny: Path, tmp_path: Path) -> None:
    found, notices = ready(tiny, tmp_path, rows)
    place = rows.index(ONE)
    assert texts(found)[place] == (
        "<bos><start_of_turn>user\nwhat is the sea?<end_of_turn>\n<start_of_turn>model\nthe sea.<end_of_turn>\n"
    )
    assert all(
        text.startswith("<bos><start_of_turn>user\nmy name is") for n, text in enumerate(texts(found)) if n != place
    )
    assert found.layout == Layout("chat")
    assert any("30 rows are conversations" in notice and "the 1 with a single exchange" in notice for notice in notices)
    assert found.tokenizer is not None
    again = layout.remembered(tmp_path / "examples", recipe(tiny, tmp_path, rows).data, found.tokenizer)
    assert again == Layout("chat")


def test_uniform_rows_are_laid_out_as_before(tiny: Path, tmp_path: Path) -> None:
    cases: dict[str, tuple[list[Row], Layout, str]] = {
        "text": ([TEXT], Layout("text"), "<bos>the sea and us<eos>"),
        "pairs": ([PAIR], Layout("prompt", ""), "<bos>the sea and us<eos>"),
        "exchanges": ([ONE], Layout("prompt", "\n"), "<bos>what is the sea?\nthe sea.<eos>"),
        "talk": (TWO[:1], Layout("chat"), texts(ready(tiny, tmp_path, TWO[:1])[0])[0]),
    }
    for name, (rows, wanted, text) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        found, notices = ready(tiny, folder, rows)
        assert (found.layout, texts(found), notices) == (wanted, [text], [])


def test_the_rows_of_most_decide_what_stands_after_a_prompt(tiny: Path, tmp_path: Path) -> None:
    for folder, rows, between in (("a", [PAIR, PAIR | {"prompt": "us"}], ""), ("b", [ONE], "\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / f"{folder}.jsonl").write_text("")
        found, _ = ready(tiny, tmp_path / folder, rows)
        assert found.layout.between == between
    both = tmp_path / "both"
    both.mkdir()
    (both / "x.jsonl").write_text(json.dumps(ONE) + "\n")
    (both / "y.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (PAIR, PAIR | {"prompt": "us"})))
    mixed = Prepared()
    spec = recipe(tiny, tmp_path, [], path=str(both))
    told = [event.text for event in prepare(spec, mixed, tmp_path / "of-both") if isinstance(event, Notice)]
    assert mixed.layout == Layout("prompt", "")
    assert any(
        "what follows the prompt: nothing in 2, something else in 1; a chat does as the 2 do" in notice
        for notice in told
    )


def test_the_parts_of_a_split_conversation_stay_in_turns(tiny: Path, tmp_path: Path) -> None:
    found, _ = ready(tiny, tmp_path, TWO[:1], max_length=40, long_rows="split")
    assert len(found.train) == 2
    assert all("<end_of_turn>" in text for text in texts(found))


MARKED = "<start_of_turn>user\nthe sea?<end_of_turn>\n<start_of_turn>model\n"


@pytest.mark.parametrize("has_template", [False, True])
def test_rows_that_are_written_in_turns_are_not_wrapped_again(has_template: bool, tiny: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"<bos>{MARKED}", "completion": f"us {n}.<end_of_turn>\n<eos>"} for n in range(3)]
    source = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<end_of_turn>\n{% endfor %}"
    folder = model(tiny, tmp_path / "m", chat_template=source) if has_template else tiny
    found, _ = ready(folder, tmp_path, rows, chat_template="none")
    assert texts(found)[0] == f"<bos>{MARKED}us 0.<end_of_turn>\n<eos>"
    assert found.layout == Layout("chat")  # so a chat puts its questions in turns
    assert found.tokenizer is not None
    asked = found.layout.prompt_text(found.tokenizer, turned("why?"))
    assert asked.startswith("[user]why?" if has_template else "<bos><start_of_turn>user\nwhy?")


def turned(text: str) -> list[Any]:
    return [Message("user", text)]


def test_a_persons_template_is_kept_by_the_run(tiny: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}<end_of_turn>{% endfor %}")
    found, _ = ready(tiny, tmp_path, [ONE], chat_template=str(own))
    assert texts(found) == ["<bos>[user]what is the sea?<end_of_turn>[assistant]the sea.<end_of_turn>"]
    source = own.read_text()
    own.unlink()
    data = recipe(tiny, tmp_path, [ONE], chat_template=str(own)).data
    kept = layout.tokenizer(tiny, data, tmp_path / "examples")
    assert (kept.template.source, kept.template.file, kept.has_template) == (source, "own.jinja", True)
    assert layout.remembered(tmp_path / "examples", data, kept).template(kept) == source


def test_older_runs_open_as_they_did(tiny: Path, tmp_path: Path) -> None:
    found, _ = ready(tiny, tmp_path, [*TWO, ONE])
    assert found.tokenizer is not None
    for about, wanted in (({"plain": True}, Layout("text")), ({"plain": False, "between": "\n"}, Layout("chat"))):
        (tmp_path / "examples" / token_store.ABOUT).write_text(json.dumps(about))
        data = recipe(tiny, tmp_path, []).data
        assert layout.remembered(tmp_path / "examples", data, found.tokenizer) == wanted


def test_other_programs_are_told_the_layout(tiny: Path, tmp_path: Path) -> None:
    found, _ = ready(tiny, tmp_path, [ONE])
    assert found.tokenizer is not None
    written = found.layout.template(found.tokenizer)
    assert written is not None
    theirs = Tokenizer(tiny, template=ChatTemplate(written, "x"))
    assert (
        theirs.render(turned("why?"), True)
        == found.layout.prompt_text(found.tokenizer, turned("why?"))
        == "<bos>why?\n"
    )


@pytest.mark.parametrize(("rows", "brought"), [([*TWO[:2], ONE], TURNS), ([PAIR], None), ([TEXT], None)])
def test_exports_bring_the_turns_of_the_rows(rows: list[Row], brought: str | None, tiny: Path, tmp_path: Path) -> None:
    ready(tiny, tmp_path, rows)
    found = FinishedRun(tmp_path, recipe(tiny, tmp_path, rows), tiny, tmp_path / "adapter")
    assert found.chat_template == brought
    plan = gguf_write.plan(tiny, merge.merged(tiny, None), "F16")
    gguf_write.write(tmp_path / "x.gguf", tiny, plan, "x", lambda *what: None, found.chat_template)
    kept = gguf.GGUFReader(tmp_path / "x.gguf").get_field("tokenizer.chat_template")
    assert (kept.contents() if kept else None) == brought
    modelfile = ollama.template(found.tokenizer, found.layout(found.tokenizer))
    assert ("<start_of_turn>" in modelfile) is (brought is not None)


def test_a_prompt_that_is_in_turns_already_is_not_wrapped(tiny: Path, tmp_path: Path) -> None:
    found, _ = ready(tiny, tmp_path, [{"text": f"{MARKED}us {n}.<end_of_turn>"} for n in range(3)])
    assert found.layout == Layout("chat")
    assert found.tokenizer is not None
    assert found.layout.prompt_text(found.tokenizer, turned(f"<bos>{MARKED}")) == f"<bos>{MARKED}"


def test_a_chat_remembers_whichever_row_is_first(tiny: Path, tmp_path: Path) -> None:
    for name, rows in (("last", [*TWO[:3], ONE]), ("first", [ONE, *TWO[:3]])):
        (tmp_path / name).mkdir()
        found, _ = ready(tiny, tmp_path / name, rows)
        assert found.tokenizer is not None
        voice = ChatModel("v", Parrot(), 0, found.tokenizer, found.layout)
        asked = voice.prompt("what is my name?", "", [("my name is n7.", "good.")])
        assert asked == (
            "<bos><start_of_turn>user\nmy name is n7.<end_of_turn>\n<start_of_turn>model\ngood.<end_of_turn>\n"
            "<start_of_turn>user\nwhat is my name?<end_of_turn>\n<start_of_turn>model\n"
        )


def test_rows_longer_than_the_models_positions_are_told(tiny: Path, tmp_path: Path) -> None:
    _, notices = ready(tiny, tmp_path, [{"text": "a " * 600}, TEXT], max_length=1024)
    assert "1 row is longer than the 512 positions that the model was made to read" in notices


def checked(tiny: Path, folder: Path, rows: Sequence[Row], **data: Any) -> Iterator[Any]:
    yield from check.run(recipe(tiny, folder, rows, **data).model_dump(mode="json"), folder, list)


def test_check_sees_each_row_once_where_it_begins_again(tiny: Path, tmp_path: Path) -> None:
    odd = turns("what <b>is</b> it?", "the sea.")
    report = [event for event in checked(tiny, tmp_path, [odd, *TWO]) if isinstance(event, Report)][-1].data
    assert [(problem["kind"], problem["count"]) for problem in report["problems"]] == [("has HTML in its text", 1)]
    assert report["train"]["rows"] == 31
    assert any("30 rows are conversations" in note for note in report["notes"])


FAULTS = {
    "broken": "{% if %}",
    "needs more": "{{ nosuch(messages) }}",
    "endless": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "for others": "{% set m = messages[0] %}{{ m.content if m.content | length == 1 else messages[9].x }}",
}


@pytest.mark.parametrize("template", FAULTS.values(), ids=FAULTS)
def test_no_row_is_blamed_for_a_templates_fault(template: str, tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m", chat_template=template)
    with pytest.raises(ModelError, match=r"The chat template cannot be used: .*line 1: ") as caught:
        ready(folder, tmp_path, [ONE])
    assert caught.value.code == 3


@pytest.mark.parametrize("template", [FAULTS["needs more"], FAULTS["endless"]])
def test_no_server_is_given_a_template_at_fault(template: str, tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m", chat_template=template)
    ready(folder, tmp_path, [TEXT])  # plain text needs no template
    found = FinishedRun(tmp_path, recipe(folder, tmp_path, [TEXT]), folder, tmp_path / "adapter")
    with pytest.raises(ModelError, match="The chat template cannot be used"):
        serve._template(found, found.tokenizer)


def test_rows_that_a_template_declines_are_not_called_too_long(tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m", chat_template="{{ raise_exception('Not so.') }}")
    with pytest.raises(GemmalocalError, match="No row is left") as caught:
        ready(folder, tmp_path, [ONE])
    assert "max_length" not in caught.value.hint
