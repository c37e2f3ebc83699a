"""The kinds of question: what an author is asked for, in a mix that can be set, and what a question came to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

from gemmalocal.synthesis.language import english

FOLLOW_UP = "follow_up"
ASKED_HEADING = "asked_heading"  # of a rule's question that is a heading's own
UNANSWERABLE, WRONG_PREMISE = "unanswerable", "wrong_premise"
KINDS = {  # and what an author is told of each: small ones copy what looks like a question
    "what": "asks what one thing, by its name, is, does or means",
    "how": "asks how one thing, by its name, is done or works",
    "why": "asks for the reason or the use of one thing, by its name",
    "when": "asks when, or under which condition, a thing happens",
    "how_much": "asks for a number of the text, and says what it counts or measures",
    "which": "asks for a name of the text, and says what it does or is like",
    "list": "asks for several things, all of which the answer names",
    "steps": "asks for the steps of doing something, in their order",
    FOLLOW_UP: "asks for another fact about the thing of the row right before it, which it may call “it”",
}
Mix = Mapping[str, float]  # the weight of each kind
ITEM = re.compile(r"(?m)^\s*(?:[-*•‣·]|\(?\d+[.)]|[a-z]\))\s+\S")
NUMBERED = re.compile(r"(?m)^\s*\(?\d+[.)]\s+\S")
SEQUENCE = re.compile(r"\b(?:first|then|next|finally|afterwards|step \d+)\b", re.IGNORECASE)
TIMES = r"\b(?:1[0-9]|20)\d\d\b|\d{1,2}:\d\d|\b(?:when|before|after|until|while|once|since|if|every|during)\b"
REASONS = r"\b(?:because|since|so that|therefore|why|reasons?|due to|in order to|to (?:avoid|prevent|ensure|allow))\b"
OFFERS = {  # what a text must have for a question of a kind; the others can be asked of any
    "when": re.compile(TIMES, re.IGNORECASE),
    "how_much": re.compile(r"\d"),
    "why": re.compile(REASONS, re.IGNORECASE),
}
ENGLISH_ONLY = ("why", "when")  # what their words tell, only English ones do
BEGINS = tuple(  # of an English question, that leave no doubt of its kind
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("how_much", r"\bhow (?:much|many|long|large|big|often|far|old|high|tall|deep|fast)\b"),
        ("when", r"^(?:(?:in|on|at|by|since|until|from) )?(?:when|(?:which|what) (?:year|date|time|month|day))\b"),
        ("steps", r"^what (?:are )?(?:the )?(?:[\w-]+ )?steps\b|\bstep by step\b|^in (?:which|what) order\b"),
        ("list", r"^(?:list|name|what are the (?:two|three|four|five|six|seven|eight|\d+|main|different|possible))\b"),
        ("why", r"^(?:why|for (?:what|which) (?:reason|purpose)|what is the (?:reason|purpose))\b"),
        ("how", r"^how\b"),
        ("what", r"^(?:for |of |to |in )?what\b"),
        ("which", r"^(?:(?:in|on|at|by|for|from|to|with|under) )?(?:which|who|whose|whom|where)\b"),
    )
)
FOLLOWED = 3  # of so many rows of a passage, or more, one may be a follow-up


def chosen(mix: Mix, text: str, count: int) -> list[str]:
    """The kinds to ask for about a text, at most `count`, each once as long as there are others; by the text alone.

    Each kind comes as often as its weight says, over many texts. A text without a number is not asked how much.
    """
    offered = {kind: weight for kind, weight in mix.items() if weight > 0 and _offers(text, kind)}
    if count < FOLLOWED and len(offered) > 1:
        offered.pop(FOLLOW_UP, None)
    plain = {kind: weight for kind, weight in offered.items() if kind != FOLLOW_UP} or {"what": 1.0}
    order = sorted(plain, key=lambda kind: -(_draw(text, kind) ** (1 / plain[kind])))  # a weighted sample
    kinds = [order[number % len(order)] for number in range(count)]
    share = offered.get(FOLLOW_UP, 0.0) / sum(offered.values()) if offered else 0.0
    if FOLLOW_UP in offered and _draw(text, FOLLOW_UP) < count * share:
        kinds[-1] = FOLLOW_UP
    return kinds


def told(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Kinds, each with what an author is told of it."""
    return [(kind, KINDS[kind]) for kind in kinds]


def kind_of(question: str, said: str = "") -> str:
    """The kind of a question: by its first words if they tell, else as its author `said`, else what."""
    if said == FOLLOW_UP:
        return said
    text = question.strip().lower()
    seen = next((kind for kind, begin in BEGINS if begin.search(text)), "")
    if seen == "how" and said == "steps":  # "How do you ...?" is both
        return said
    if seen in ("", "which", "what") and said in ("list", "steps"):  # "What are the parts of ...?" may be either
        return said
    return seen or (said if said in KINDS else "what")


def _offers(text: str, kind: str) -> bool:
    if kind == "steps":
        return len(NUMBERED.findall(text)) > 1 or len(SEQUENCE.findall(text)) > 1
    if kind == "list":
        return len(ITEM.findall(text)) > 1 or text.count(",") > 2 or text.count("、") > 2
    if kind in ENGLISH_ONLY and not english(text):
        return True
    return kind not in OFFERS or OFFERS[kind].search(text) is not None


def _draw(text: str, kind: str) -> float:
    """A number from 0 to 1, not 0, that depends on a text and a kind alone."""
    digest = sha256(f"{kind}\x00{text}".encode("utf-8", "replace")).digest()
    return (int.from_bytes(digest[:6], "big") + 1) / 2**48
