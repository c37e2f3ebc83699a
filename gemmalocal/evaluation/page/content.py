"""What the page of a report says, block by block, from its figures; how it looks is the renderers' matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gemmalocal.evaluation.statistics import Interval
from gemmalocal.evaluation.verdict import interval, p_value
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted, plural

SHOWN = 1500  # characters of a text
LISTED = 20  # leaked rows
FEW = 40  # rows or documents below which an interval is rough


@dataclass(frozen=True)
class Heading:
    """Of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A few sentences of ours; `strong` for the one at the top."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """Cells as text; all columns but the first hold numbers, unless they are `words`."""

    head: list[str]
    rows: list[list[str]]
    words: bool = False


@dataclass(frozen=True)
class Texts:
    """Texts of others, each under a label, side by side where there is room; never to be read as markup."""

    title: str
    texts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Curve:
    """Where the losses of the training stand."""


Block = Heading | Paragraph | Table | Texts | Curve


def blocks(figures: Mapping[str, Any]) -> Iterator[Block]:
    """The page."""
    yield Paragraph(figures["sentence"], strong=True)
    yield from _compared(figures)
    yield from _pairs(figures)
    yield from _rated(figures)
    yield from _loss(figures)
    yield from _teacher(figures)
    yield Curve()
    yield from _answers(figures)
    yield from _judge(figures)
    yield from _regressions(figures)
    yield from _forgetting(figures)
    yield from _leakage(figures)
    yield from _limits(figures)
    yield from _settings(figures)


def against(figures: Mapping[str, Any]) -> str:
    """Whom the tuned model is held against; older reports know the base alone."""
    return str(figures.get("against", "base"))


def _compared(figures: Mapping[str, Any]) -> Iterator[Block]:
    """What is compared, where that is not the run and its base; and the same beside another."""
    if form := figures.get("form"):
        yield Paragraph(f"What was asked is the export {form}, read as its proof reads it.")
    if against(figures) != "base":
        yield Paragraph(f"Held against {against(figures)}, and not against the base model.")
    for beside in figures.get("beside", ()):
        yield Paragraph(f"Beside that, against {beside['against']}: {beside['sentence']}")


def _judge(figures: Mapping[str, Any]) -> Iterator[Block]:
    judge = figures.get("judge")
    if not judge:
        return
    yield Heading("What a judge says")
    yield Paragraph(judge["sentence"])
    rows = [
        ["rows that it judged", str(judge["rows"])],
        ["tuned better in both orders", str(judge["won"])],
        [f"{against(figures)} better in both orders", str(judge["lost"])],
        ["ties", str(judge["ties"])],
        ["another choice once the answers changed places", str(judge["flips"])],
        ["could not be read", str(judge["unread"])],
    ]
    if judge["share"] is not None:
        rows.append(["tuned better, of those with a winner", _share(_interval(judge["share"]))])
    yield Table(["rows", ""], rows)
    yield Paragraph(
        f"The judge saw each two answers in both orders, at temperature 0; an answer wins where it was chosen in both. "
        f"Won against lost: p = {p_value(judge['p'])}, by the exact sign test. It is an opinion: no other figure here, "
        "and not the verdict at the top, was changed by it."
    )
    if judge["same_model"]:
        yield Paragraph("The judge is the model that was tuned, without its tune: it may like its own answers.")


def _rated(figures: Mapping[str, Any]) -> Iterator[Block]:
    rated = figures.get("rated")
    if not rated:
        return
    yield Heading("Rated answers")
    yield Table(
        ["held-out answers", ""],
        [
            ["good ones that became likelier", f"{rated['raised']} of {rated['good']}"],
            ["bad ones that became less likely", f"{rated['lowered']} of {rated['bad']}"],
            ["win rate", _share(_interval(rated["share"]))],
            ["good answers have gained, in nats", f"{rated['good_gain']:+.2f}"],
            ["bad answers have gained, in nats", f"{rated['bad_gain']:+.2f}"],
        ],
    )
    yield Paragraph(
        f"Gained is the tuned model's log-probability of an answer less that of {_the(figures)}; its sign should be "
        f"that of the rating. Below, loss and answers are those of the good ones. Signs against ratings: p = "
        f"{p_value(rated['p'])}, by Fisher's exact test, so that who makes all answers likelier has won nothing. The "
        "interval is Wilson's."
    )
    if rated["good_gain"] < 0:
        yield Paragraph("The good answers too have become less likely: the model has moved away from both.")


def _the(figures: Mapping[str, Any]) -> str:
    name = against(figures)
    return "the base" if name == "base" else name


def _pairs(figures: Mapping[str, Any]) -> Iterator[Block]:
    pairs = figures.get("pairs")  # older reports have none
    if not pairs:
        return
    yield Heading("Pairs of answers")
    yield Table(
        ["held-out pairs", ""],
        [
            ["won: the chosen answer has gained more", f"{pairs['won']} of {pairs['pairs']}"],
            ["win rate", _share(_interval(pairs["share"]))],
            ["chosen answers have gained, in nats", f"{pairs['chosen']:+.2f}"],
            ["rejected answers have gained, in nats", f"{pairs['rejected']:+.2f}"],
        ],
    )
    yield Paragraph(
        f"Gained is the tuned model's log-probability of an answer less that of {_the(figures)}. Below, loss and "
        f"answers are those of the chosen answers. Won against lost: p = {p_value(pairs['p'])}, by the exact sign "
        "test. The interval is Wilson's."
    )
    if pairs["chosen"] < 0:
        yield Paragraph("The chosen answers too have become less likely: the model has moved away from both.")


def _loss(figures: Mapping[str, Any]) -> Iterator[Block]:
    loss = figures["loss"]
    yield Heading("Loss on held-out rows")
    rows = [
        [against(figures), loss_text(loss["base"], 4)],
        ["tuned", loss_text(loss["tuned"], 4)],
        ["difference, with its 95 % interval", interval(_interval(loss["difference"]), 4)],
        ["rows whose loss is lower", f"{loss['better']} of {figures['rows']}"],
    ]
    if loss["kl"] is not None:
        rows.append([f"KL({against(figures)} || tuned) on these rows", f"{loss['kl']:.4f}"])
    if loss["own_answers"] is not None:
        rows.append(["answers of other rows cost the tuned model more by", interval(_interval(loss["own_answers"]))])
    yield Table(["nats a token", ""], rows)
    drawn = f"over {figures['documents']} documents" if 1 < figures["documents"] < figures["rows"] else "over the rows"
    yield Paragraph(
        f"Both models read the same {counted(figures['rows'], 'row')} "
        f"({counted(loss['tokens'], 'token that is', 'tokens that are')} to be said). The "
        f"interval is a paired bootstrap {drawn}, 10,000 times with a fixed seed."
    )


def _teacher(figures: Mapping[str, Any]) -> Iterator[Block]:
    teacher = figures.get("teacher")  # older reports have none
    if not teacher:
        return
    yield Heading("Beside the teacher")
    own = "" if teacher["loss_at_least"] is None else f"{teacher['loss_at_least']:.4f} or more"
    rows = [["the teacher", "", "", own]] + [
        [of["name"], f"{100 * of['agreement']:.0f} %", f"{of['kl']:.4f}", loss_text(of["loss"], 4)]
        for of in teacher["models"]
    ]
    yield Table(["", "as the teacher", "KL(teacher || it)", "loss"], rows)
    yield Paragraph(
        f"What the teacher ({teacher['name']}) said of {counted(teacher['rows'], 'row')} of these, "
        f"{counted(teacher['tokens'], 'token')}, as it was kept: its likeliest ids, and all others as one share, so "
        "that KL is at least this. As the teacher: the likeliest of these ids is its likeliest. The row's own word is "
        f"the teacher's likeliest at {100 * teacher['right']:.0f} % of the tokens, and among those kept at "
        f"{100 * teacher['kept']:.0f} %."
    )


def _answers(figures: Mapping[str, Any]) -> Iterator[Block]:
    metric, answers, name = figures["metric"], figures["answers"], against(figures)
    yield Heading("Answers")
    if answers is None:
        yield Paragraph("No row was answered.")
        return
    yield Paragraph(
        f"{counted(answers['rows'], 'row was', 'rows were')} answered greedily by both. Metric: "
        f"{metric['name']}, {metric['about']}."
    )
    if metric["decides"]:
        table = answers["table"]
        yield Table(
            ["", "tuned right", "tuned wrong"],
            [
                [f"{name} right", str(table["both"]), f"{table['broken']} broken"],
                [f"{name} wrong", f"{table['fixed']} fixed", str(table["neither"])],
            ],
        )
        base, tuned = (_share(_interval(values)) for values in answers["right"])
        yield Paragraph(
            f"Right: {name} {base}, tuned {tuned} (95 % by Wilson). Fixed against broken: p = {p_value(table['p'])}, "
            "by McNemar's exact test."
        )
        if answers["chance"] is not None:
            yield Paragraph(
                f"If the tuned model's answers are held against references of other rows, as many are right with p = "
                f"{p_value(answers['chance'])}."
            )
    rows = [[share, _plain(share, base), _plain(share, tuned)] for share, (base, tuned) in answers["shares"].items()]
    yield Table(["on average", name, "tuned"], rows)


def _plain(name: str, value: float) -> str:
    return f"{value:.2f} x" if name.startswith("length") else f"{100 * value:.0f} %"


def _regressions(figures: Mapping[str, Any]) -> Iterator[Block]:
    worst = figures["regressions"]
    yield Heading("What got worse")
    if not worst:
        yield Paragraph("No row got worse.")
        return
    yield Paragraph(f"The {counted(len(worst), 'row')} that got worse most: broken answers first, then by the loss.")
    for line in worst:
        losses = f"loss {loss_text(line['base_loss'], 2)} -> {loss_text(line['tuned_loss'], 2)}"
        texts = [("asked", line["prompt"]), ("should be", line["reference"])]
        names = {"base": against(figures), "tuned": "tuned"}
        texts += [(name, line[side]) for side, name in names.items() if line[side] is not None]
        yield Texts(f"{line['source']}: {losses}{', broken' if line['broken'] else ''}", texts)


def _forgetting(figures: Mapping[str, Any]) -> Iterator[Block]:
    forgetting = figures["forgetting"]
    if forgetting is None:
        return
    yield Heading("What it forgot")
    if questions := forgetting["questions"]:
        table = questions["table"]
        base, tuned = table["both"] + table["broken"], table["both"] + table["fixed"]
        count = sum(table[name] for name in ("both", "fixed", "broken", "neither"))
        yield Paragraph(
            f"Of {count} general {plural(count, 'question')} {_the(figures)} answered {base} and the "
            f"tuned model {tuned}: "
            f"{table['broken']} lost, {table['fixed']} won, p = {p_value(table['p'])}."
        )
        for lost in questions["lost"][:LISTED]:
            yield Texts(lost["question"], list(zip((against(figures), "tuned"), lost["answers"], strict=True)))
    if forgetting["neutral"]:
        kl = forgetting["kl"]
        divergence = f"; KL({against(figures)} || tuned) {kl:.4f}" if kl is not None else ""
        yield Paragraph(
            f"{counted(sum(line['tokens'] for line in forgetting['registers']), 'token')} of text that "
            "has nothing to do with "
            f"the task: loss {interval(_interval(forgetting['neutral']), 4)}"
            f"{divergence}, nats a token."
        )
        rows = [
            [line["register"], f"{line['tokens']:,}", f"{line['base']:.3f}", f"{line['tuned']:.3f}"]
            + [f"{line['kl']:.3f}" if line["kl"] is not None else ""]
            for line in forgetting["registers"]
        ]
        yield Table(["register", "tokens", against(figures), "tuned", "KL"], rows)


def _leakage(figures: Mapping[str, Any]) -> Iterator[Block]:
    leakage = figures["leakage"]
    yield Heading("Copies of rows to train on")
    if not leakage["rows"]:
        yield Paragraph("No held-out row nearly copies one that was trained on.")
        return
    count = len(leakage["rows"])
    yield Paragraph(
        f"{count} of {counted(figures['rows'], 'held-out row')} nearly {plural(count, 'copies', 'copy')} "
        "one that was trained on."
    )
    if leakage["without"]:
        yield Paragraph(f"Without them: {leakage['without']['sentence']}")
    yield Table(
        ["held out", "copies", "text"],
        [[line["source"], line["copies"], _cut(line["text"], 120)] for line in leakage["rows"][:LISTED]],
        words=True,
    )


def _limits(figures: Mapping[str, Any]) -> Iterator[Block]:
    limits, count = figures["limits"], min(figures["rows"], figures["documents"])
    yield Heading("What these rows cannot tell")
    yield Paragraph(
        f"A change of the loss below {limits['loss']:.3f} nats a token would be missed in one of five cases."
    )
    if "gain" in limits:
        gain = limits["gain"]
        seen = (
            "No change in right answers would be seen"
            if gain is None
            else f"Only changes over {100 * gain:.0f} points would be seen"
        )
        needed = ", ".join(f"{100 * float(gain):.0f} points {rows:,}" for gain, rows in limits["needed"].items())
        yield Paragraph(
            f"{seen} in four of five cases, where {100 * limits['discordant']:.0f} % of the rows are fixed or broken. "
            f"Rows that it takes: {needed}."
        )
    if figures["documents"] == 1 < figures["rows"]:
        yield Paragraph("All rows are of one document: the intervals hold for that one alone.")
    elif count < FEW:
        yield Paragraph(f"With {count} {'documents' if count < figures['rows'] else 'rows'} the intervals are rough.")
    yield Paragraph(
        "The best checkpoint was chosen by the loss on held-out rows, so the loss here is a little too good. Nothing "
        "here says whether what the model says is true or harmless, nor how it does on rows of another kind. "
        "Questions and neutral texts are few: they show what is lost in much, not in little."
    )


def _settings(figures: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("Settings and hashes")
    settings = {name.replace("_", " "): value for name, value in figures["settings"].items() if value is not None}
    rows = [[name, ", ".join(value) if isinstance(value, list) else str(value)] for name, value in settings.items()]
    rows += [[f"sha256, {name}", digest[:32]] for name, digest in figures["hashes"].items()]
    yield Table(["run", figures["run"]], [["reported at", figures["at"]], *rows], words=True)


def _interval(values: Mapping[str, float]) -> Interval:
    return Interval(**values)


def _share(value: Interval) -> str:
    return f"{100 * value.value:.0f} % [{100 * value.low:.0f}, {100 * value.high:.0f}]"


def _cut(text: str, most: int = SHOWN) -> str:
    """A text that is not endless."""
    return (
        text
        if len(text) <= most
        else f"{text[:most]} ... ({len(text) - most:,} more {plural(len(text) - most, 'character')})"
    )


def inert(text: str) -> str:
    """A text of others with what steers terminals or turns lines round made visible, and cut."""
    return "".join(_visible(mark) for mark in _cut(text))


def _visible(mark: str) -> str:
    if mark == "\n":
        return mark
    if mark < " ":
        return chr(0x2400 + ord(mark))
    steers = "\x7f" <= mark <= "\x9f" or "\u202a" <= mark <= "\u202e" or "\u2066" <= mark <= "\u2069"
    return f"\\u{ord(mark):04x}" if steers or mark in "\u200e\u200f\u061c" or "\ud800" <= mark <= "\udfff" else mark
