"""What a preparation makes: a row as an example, how it comes about, what is checked, and what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from gemmalocal.jobs.plurals import counted

if TYPE_CHECKING:
    from gemmalocal.recipe.prepare_schema import Preparation

MANUAL = "The tank of the Kessler 3 holds 40 litres. Ten of them are kept for a fire."
ASKED, ANSWER = "How much does the tank of the Kessler 3 hold?", "40 litres."
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "qa": (("asked", ASKED), ("answer", ANSWER)),
    "cot": (
        ("asked", "How much of the Kessler 3's tank can be used every day?"),
        ("answer", "It holds 40 litres, and ten of them are kept for a fire. So 30 litres."),
    ),
    "summary": (
        ("asked", f"Summarize the following text. {MANUAL}"),
        ("answer", "The Kessler 3 has 40 litres, of which ten are for a fire."),
    ),
    "rewrite": (("row", ASKED), ("asked", "What can the Kessler 3's tank take?"), ("answer", ANSWER)),
    "text": (("text", MANUAL),),
    "votes": (("asked", ASKED), ("chosen", ANSWER), ("rejected", "It is a large tank.")),
    "pairs": (("asked", ASKED), ("chosen", ANSWER), ("rejected", "It holds 10 litres.")),
    "answers": (("asked", ASKED), ("answer", "It holds 40 litres; ten of them are kept for a fire.")),
}  # by task: what the parts of a row are called, and what stands in them
MADE = {
    "rewrite": "Of rows that you have: each keeps its answer, and its question is put in other words.",
    "text": "Passages as they stand, to go on writing like them.",
    "votes": "Of chats: the answer that you voted for is the chosen one, and the other is the rejected one.",
    "pairs": "Of rows that you have: each prompt is answered twice, by a run{base}. A judge or the row says "
    "which is better.",
    "answers": "Of rows that you have: a larger model answers each prompt up to {tries} times. The best answer stays.",
}
ASKED_BY_RULES = "Rules ask only what they can answer: what something is, numbers, dates, steps of lists."
BY_RULES = {"qa": ASKED_BY_RULES, "cot": ASKED_BY_RULES, "summary": "Rules take the main sentences of each passage."}
CHECKED = {
    "qa": "Each answer rests on words of its passage, and each question leads back to it among all passages.",
    "summary": "Each summary is shorter than its passage, and names nothing that is not in it.",
}
CHECKED["cot"] = CHECKED["qa"]
AGAIN = " Asked again, the author must come to the same answer."
LOST = "What fails is left out, and counted by its reason."


def about(preparation: Preparation) -> Content:
    """The card of what is asked for."""
    task = preparation.task
    parts = [*EXAMPLES[task], ("made", _made(preparation))]
    if checked := CHECKED.get(task, ""):
        again = AGAIN if task != "summary" and preparation.round_trip and preparation.author == "model" else ""
        parts.append(("checked", f"{checked}{again} {LOST}"))
    share = f"{100 * preparation.held_out:g} % of the rows, as whole documents where that is possible."
    parts.append(("held out", share if preparation.held_out else "Nothing, so no run can show what it learned."))
    return _paragraphs(parts)


def _paragraphs(parts: Sequence[tuple[str, str]]) -> Content:
    return Content("\n\n").join(Content.assemble((f"{name}\n", "$muted"), text) for name, text in parts)


def _made(preparation: Preparation) -> str:
    if preparation.task in MADE:
        base = " and by the base model" if preparation.answers == "base" else ""
        return MADE[preparation.task].format(tries=preparation.tries, base=base)
    if preparation.author == "rules":
        return BY_RULES[preparation.task]
    author = "a server" if preparation.endpoint else preparation.model
    rows = f"up to {counted(preparation.pairs, 'row')} of each"
    if preparation.rows is not None:
        rows = f"{counted(preparation.rows, 'row')} of all of them"
    elif preparation.per_1000_tokens is not None:
        rows = f"{preparation.per_1000_tokens:g} rows of each 1,000 tokens"
    return f"Passages of up to {counted(preparation.passage_tokens, 'token')}, read by {author}, which writes {rows}."


class TaskCard(Static):
    """Handed a task by `show`, and the preparation, once it is whole."""

    DEFAULT_CSS = "TaskCard { height: auto; }"

    def show(self, task: str, preparation: Preparation | None) -> None:
        """Draw it; of one that is not whole, the example."""
        self.update(about(preparation) if preparation is not None else _paragraphs(EXAMPLES.get(task, ())))
