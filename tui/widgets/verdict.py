"""What a report says of a run, to read: the verdict, and below it what it stands on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.content import Content

from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted, plural

LABEL, SHOWN = 15, 200  # cells of a label; characters of a text of others
STYLES = {
    "helps": "bold $text-success",
    "helps but forgets": "bold $text-warning",
    "no difference but forgets": "bold $text-warning",
    "hurts": "bold $text-error",
    "hurts and forgets": "bold $text-error",
}


def page(figures: dict[str, Any]) -> Content:
    """The whole of it."""
    verdict, sentence = figures["verdict"], figures["sentence"]
    opening, _, rest = sentence.partition(": ")
    parts: list[Any] = [(opening, STYLES.get(verdict, "bold")), f": {rest}\n\n"]
    for label, words in _rows(figures):
        parts += [(label.ljust(LABEL - 1) + " ", "$text-muted"), words, "\n"]
    parts += _regressions(figures["regressions"], against(figures))
    return Content.assemble(*parts)


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    loss, metric, answers = figures["loss"], figures["metric"], figures["answers"]
    name = against(figures)
    for beside in figures.get("beside", ()):
        yield f"beside {beside['against']}"[: LABEL - 1], beside["sentence"]
    if judge := figures.get("judge"):
        yield "a judge", judge["sentence"]
    if teacher := figures.get("teacher"):
        yield "its teacher", teacher["sentence"]
    of_base, of_tuned = loss_text(loss["base"], 4), loss_text(loss["tuned"], 4)
    yield "held-out loss", f"{name} {of_base}   tuned {of_tuned}   {_interval(loss['difference'])}"
    yield "rows", f"{loss['better']} of {figures['rows']} better"
    if answers is not None:
        if metric["decides"]:
            table = answers["table"]
            shares = " and ".join(f"{100 * share['value']:.0f} %" for share in answers["right"])
            yield "right answers", f"{name} and tuned {shares}: {table['fixed']} fixed, {table['broken']} broken"
        yield "metric", f"{metric['name']}: {metric['about']}"
        for share, (base, tuned) in answers["shares"].items():
            if share.startswith("length"):
                yield "length", f"{name} {base:.2f}   tuned {tuned:.2f} of the reference's"
            else:
                yield share, f"{name} {base:.0%}   tuned {tuned:.0%}"
    if forgetting := figures["forgetting"]:
        if forgetting["questions"]:
            table = forgetting["questions"]["table"]
            yield "forgot", f"{counted(table['broken'], 'general question')}, learned {table['fixed']}"
        if forgetting["neutral"]:
            yield "neutral text", f"loss {_interval(forgetting['neutral'])}"
    copies = len(figures["leakage"]["rows"])
    nearly = plural(copies, "held-out row nearly copies", "held-out rows nearly copy")
    yield "copies", f"{copies or 'no'} {nearly} one that was trained on"
    gain = figures["limits"].get("gain")
    points = f", and of right answers over {100 * gain:.0f} points" if gain is not None else ""
    yield "seen would be", f"changes of the loss over {figures['limits']['loss']:.3f}{points}"


def against(figures: dict[str, Any]) -> str:
    """Whom the run is held against; older reports know the base alone."""
    return str(figures.get("against", "base"))


def _regressions(worst: list[dict[str, Any]], name: str) -> Iterator[Any]:
    if worst:
        yield ("\nWhat got worse\n", "bold")
    for line in worst:
        yield ("› ", "$primary")
        yield (f"{_line(line['prompt'])}\n", "$text-muted")
        for label, key in (("should be", "reference"), (name, "base"), ("tuned", "tuned")):
            if line[key] is not None:
                yield (label[: LABEL - 1].ljust(LABEL), "$text-muted")
                yield f"{_line(line[key])}\n"


def _interval(value: dict[str, float]) -> str:
    return f"{value['value']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]"


def _line(text: str) -> str:
    line = text.strip().replace("\n", " ⏎ ")
    return line if len(line) <= SHOWN else f"{line[:SHOWN]} ..."
