"""Votes in chats as rows that judge answers: what was asked, the answers, who gave them, and how they were drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemmalocal.errors import DatasetError, GemmalocalError
from gemmalocal.files import paths, safe_read
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Asked
from gemmalocal.workspace import preparations, transcript
from gemmalocal.workspace.dataset_rows import DatasetRow
from gemmalocal.workspace.transcript import Answer, Exchange, Talk

DATASET = "votes"  # the name of the dataset if none is given
BY = "vote"
TASK = "votes"  # of a preparation that makes rows of them
LORA = ("rank", "alpha")  # always named, since the recipe for votes has its own
VOTE = "Vote in Compare with the arrows, or in gemmalocal chat with /vote NAME."


@dataclass(frozen=True)
class Vote:
    """A row that a vote gives, or why it gives none. `voice` is whose prompt it has, by its form (see `Voices`)."""

    row: DatasetRow
    voice: int = 0
    form: str = "chat"
    lost: str = ""


def chats(names: Sequence[str]) -> list[Path]:
    """The folders of chats, named or by their paths; all of the workspace if there are no names, oldest first.

    Raises `DatasetError` for one that is not there.
    """
    if not names:
        folders = [folder for folder in history.list_jobs(paths.chats()) if _is_chat(folder)][::-1]
        if not folders:
            raise DatasetError("There is no chat yet, and so no vote.", VOTE)
        return folders
    folders = []
    for name in names:
        folder = next((place for place in (paths.chats() / name, paths.expanded(name)) if _is_chat(place)), None)
        if folder is None:
            raise DatasetError(f"There is no chat '{name}'.", f"They are in {paths.chats()}.")
        folders.append(folder)
    return folders


def _is_chat(folder: Path) -> bool:
    try:
        return safe_read.is_file(folder / "job.json") and history.kind(folder) == "chat"
    except GemmalocalError:
        return False


def model(chat: Path) -> str | None:
    """The model that a chat's runs were tuned from, as in a recipe; None if it is not known."""
    for run in runs(chat):
        if (name := history.word(history.known_spec(run), "model")) != "?":
            return name
    return None


def runs(chat: Path) -> list[Path]:
    """The run behind each voice of a chat, in their order."""
    voices = history.known_spec(chat).get("voices")
    return [Path(str(voice.get("run", ""))) for voice in voices] if isinstance(voices, list) else []


def described(names: Sequence[str] = (), held_out: float | None = None) -> dict[str, Any]:
    """Keys of a preparation that makes rows of the votes in these chats, all if none is named; as `chats` raises."""
    folders = chats(names)
    told = {"held_out": held_out, "model": next(filter(None, map(model, folders)), None)}
    kept = {name: value for name, value in told.items() if value is not None}
    return {"task": TASK, "sources": list(map(str, folders)), **kept}


def begin() -> processes.Job:
    """Begin to make rows of the votes in all chats; raises `DatasetError` and `JobBusy`."""
    from gemmalocal.recipe.prepare_schema import Preparation  # pydantic, which the app does without as long as it can

    return preparations.begin(DATASET, Preparation.model_validate(described()))


def voted_run(dataset: Path) -> Path | None:
    """The run that the votes of a dataset are about: the newest of the newest chat; None if it has no such votes."""
    sources = history.known_spec(dataset).get("sources")
    if history.word(history.known_spec(dataset), "task") != TASK or not isinstance(sources, list):
        return None
    return newest_run([Path(str(chat)) for chat in sources])


def newest_run(chats: Sequence[Path]) -> Path | None:
    """The run behind the last voice of the newest chat whose run is there."""
    behind = (run for chat in reversed(chats) for run in runs(chat)[::-1])
    return next((run for run in behind if (run / "job.json").is_file()), None)


def settings(run: Path) -> dict[str, Any]:
    """Keys of a recipe that goes on from a run: its model, its adapter, and the shape of that."""
    from gemmalocal.recipe.schema import LoraSpec  # as above

    spec = history.known_spec(run)
    given, plain = spec.get("lora"), LoraSpec().model_dump(mode="json")
    shape = given if isinstance(given, dict) else {}
    lora = {key: value for key, value in shape.items() if key in LORA or (key in plain and value != plain[key])}
    model = history.word(spec, "model")
    return {"start_from": run.name, **({"model": model} if model != "?" else {}), **({"lora": lora} if lora else {})}


def of_chat(chat: Path) -> Iterator[Vote]:
    """What the votes of a chat give, in the order of the questions; one on an answer that was drawn anew counts too."""
    talk, begins = Talk(), dict[int, int]()  # where the memory of the voices began, by turn
    for event in processes.Job(chat).poll():
        if isinstance(event, Asked):
            begins[event.turn] = talk.begin
            if talk.exchanges and talk.exchanges[-1].asked.turn == event.turn:
                yield from _votes(chat, talk, len(talk.exchanges) - 1, begins)
        transcript.fold(talk, event)
    for place in range(len(talk.exchanges)):
        yield from _votes(chat, talk, place, begins)


def _votes(chat: Path, talk: Talk, place: int, begins: dict[int, int]) -> Iterator[Vote]:
    exchange = talk.exchanges[place]
    if exchange.vote is None and not exchange.verdict:
        return
    memory = talk.exchanges[begins.get(exchange.asked.turn, 0) : place]
    about = {"source": chat.name, "turn": exchange.asked.turn, "by": BY, "sampling": exchange.asked.sampling}
    if exchange.asked.answers or any(before.asked.answers for before in memory):
        yield Vote(about, lost="calls a tool, or answers one")
        return
    texts = dict[str, int]()  # the first voice with each answer
    for voice, answer in enumerate(exchange.answers):
        texts.setdefault(answer.text.strip(), voice)
    for voice in texts.values() if exchange.vote is None else (exchange.vote,):
        form = talk.forms[voice] if voice < len(talk.forms) else "chat"
        prompt = _prompt(exchange, memory, voice, form)
        if why := _unusable(exchange.answers[voice], prompt):
            yield Vote(about, lost=why)
        elif exchange.vote is None:
            judged = {"completion": _said(exchange.answers[voice]), "label": exchange.verdict == transcript.TIE}
            by = {"completion_by": talk.names[voice], "tokens": exchange.answers[voice].tokens}
            yield Vote({"prompt": prompt, **judged, **by, **about}, voice, form)
        else:
            yield from _pairs(Vote({"prompt": prompt, **about}, voice, form), talk, exchange, texts)


def _pairs(vote: Vote, talk: Talk, exchange: Exchange, texts: dict[str, int]) -> Iterator[Vote]:
    """The answer that won against each other one."""
    best = exchange.answers[vote.voice]
    others = [voice for text, voice in texts.items() if text != best.text.strip()]
    if not others:
        yield Vote(vote.row, lost="has answers that are equal")
    for voice in others:
        if why := _unusable(exchange.answers[voice], []):
            yield Vote(vote.row, lost=why)
            continue
        answers = {"chosen": _said(best), "rejected": _said(exchange.answers[voice])}
        by: DatasetRow = {"chosen_by": talk.names[vote.voice], "rejected_by": talk.names[voice]}
        by["tokens"] = best.tokens + exchange.answers[voice].tokens
        yield Vote({"prompt": vote.row["prompt"], **answers, **by, **vote.row}, vote.voice, vote.form)


def _prompt(exchange: Exchange, memory: Sequence[Exchange], voice: int, form: str) -> list[dict[str, str]]:
    """What a voice was asked, after what it had said before; only those that were trained on chats remember that."""
    turns = [{"role": "system", "content": exchange.asked.system}] if exchange.asked.system else []
    for before in memory if form == "chat" else ():
        turns.append({"role": "user", "content": before.asked.text})
        turns.append({"role": "assistant", "content": before.answers[voice].text})
    return [*turns, {"role": "user", "content": exchange.asked.text}]


def _said(answer: Answer) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer.text}]


def _unusable(answer: Answer, prompt: Sequence[dict[str, Any]]) -> str:
    """Why an answer cannot be learned from; "" if it can."""
    if answer.done is None or answer.done.stopped == "asked":
        return "has an answer that was stopped"
    if answer.done.calls or answer.done.stopped == "idle":
        return "calls a tool, or answers one"
    if not answer.text.strip():
        return "has an empty answer"
    return "" if all(turn["content"].strip() for turn in prompt) else "has an empty answer before it"
