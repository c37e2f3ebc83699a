"""Whether an answer is right, by what a dataset's answers are: a word, a number, JSON, one label of few, a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from gemmalocal.evaluation import calls
from gemmalocal.evaluation.json_values import leaves, parsed
from gemmalocal.evaluation.overlap import chrf, rouge_l

NAMES = ("auto", "exact", "number", "json", "tools", "label", "rouge")
NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
MARKED = re.compile(r"####\s*|\\boxed\{|\b(?:answer|result|antwort|ergebnis)\s*(?:is|=|:|ist|lautet)\s*", re.IGNORECASE)
QUOTES = "\"'`*_\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}"
SHORT, LABELS, OFTEN = 6, 20, 5  # words of a short answer; labels at most; rows that a label has on average at least
MOST_LABEL_WORDS = 5
NEARLY_ALL = 0.95
SOME = 0.1  # answers with the marks of calls, from which all are taken as calls, or as none where none is due
REMEMBERED = 1024  # texts: each answer is compared with many references


@dataclass(frozen=True)
class Metric:
    """`right` says whether an answer (first) is that of the reference (second); `shares` are other figures, 0 to 1.

    `about` says in a sentence what was done to both before they were compared. One that does not `decide` gives no
    verdict: likeness of texts is not correctness.
    """

    name: str
    about: str
    right: Callable[[str, str], bool]
    shares: Mapping[str, Callable[[str, str], float]] = field(default_factory=dict)
    decides: bool = True


@lru_cache(REMEMBERED)
def normal(text: str) -> str:
    """NFKC, case folded, white space as one blank, without quotes around it and marks at its end."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return plain.strip(QUOTES + " ").rstrip(".!;,。 ").strip(QUOTES + " ")


def metric_name(references: Sequence[str]) -> str:
    """The name of the metric that answers like these call for."""
    filled = [reference for reference in references if reference.strip()]
    if not filled:
        return "rouge"
    called, marked = (_share(filled, holds) for holds in (_is_call, calls.is_marked))
    if called >= NEARLY_ALL or marked >= SOME:
        return "tools"
    if _share(filled, lambda text: isinstance(parsed(text), dict | list)) >= NEARLY_ALL:
        return "json"
    if _share(filled, _is_marked_number) >= NEARLY_ALL:
        return "number"
    words = [len(normal(text).split()) for text in filled]
    labels = {normal(text) for text in filled}
    most = min(LABELS, max(2, len(filled) // OFTEN))
    if len(filled) > 2 and 1 < len(labels) <= most and max(words) <= MOST_LABEL_WORDS:
        return "label"
    if _share(filled, lambda text: len(normal(text).split()) <= SHORT and len(text) <= 80) >= 0.9:
        return "exact"
    return "rouge"


def metric(name: str, references: Sequence[str]) -> Metric:
    """The metric of a name (`auto`: the one that is found), for a dataset with these answers."""
    name = metric_name(references) if name == "auto" else name
    if name == "exact":
        return Metric(name, f"the same text, once both are written alike: {NORMALIZED}", same_text)
    if name == "number":
        return Metric(
            name, "the same number: the one after ####, \\boxed{ or 'answer is', else the last one", same_number
        )
    if name == "json":
        shares = {"valid JSON": valid_json, "F1 of keys and values": key_value_f1}
        return Metric(name, "the same JSON value, whatever its order of keys and white space", same_json, shares)
    if name == "tools":
        return Metric(
            name,
            "the same tools called with the same arguments, and none where none is due",
            calls.same_calls,
            calls.SHARES,
        )
    if name == "label":
        labels = sorted({normal(reference) for reference in references}, key=len, reverse=True)
        about = f"names this label and no other of the {len(labels)}, once both are written alike: {NORMALIZED}"
        return Metric(name, about, lambda answer, reference: named(answer, labels) == {normal(reference)})
    shares = {"ROUGE-L": rouge_l, "chrF": chrf}
    return Metric("rouge", "likeness of free text, from which no verdict is drawn", same_text, shares, decides=False)


NORMALIZED = "lower case, single blanks, no quotes around it, no mark at its end"


def same_text(answer: str, reference: str) -> bool:
    """Exact match after normalization."""
    return normal(answer) == normal(reference)


@lru_cache(REMEMBERED)
def number(text: str) -> Decimal | None:
    """The number that a text ends with; None if it has none."""
    marks = list(MARKED.finditer(text))
    if marks and (first := NUMBER.search(text[marks[-1].end() :].lstrip("$ *"))) is not None:
        return _decimal(first.group())
    every = NUMBER.findall(text)
    return _decimal(every[-1]) if every else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))
    except InvalidOperation:
        return None


def same_number(answer: str, reference: str) -> bool:
    """Whether both end with the same number."""
    expected = number(reference)
    return expected is not None and number(answer) == expected


def _is_marked_number(text: str) -> bool:
    """Whether a reference is a number, or says which one is its answer."""
    alone = normal(text).strip("$% ")
    return bool(NUMBER.fullmatch(alone)) or (bool(MARKED.search(text)) and number(text) is not None)


def valid_json(answer: str, reference: str) -> float:
    """1 if the answer is an object or a list of JSON, else 0."""
    return float(isinstance(parsed(answer), dict | list))


def same_json(answer: str, reference: str) -> bool:
    """Whether both are the same value; true is not 1."""
    expected = _leaf_set(reference)
    return bool(expected) and _leaf_set(answer) == expected


@lru_cache(REMEMBERED)
def _leaf_set(text: str) -> frozenset[tuple[tuple[str | int, ...], str]]:
    """What `leaves` has of a text's value; empty if it is no JSON."""
    value = parsed(text)
    return frozenset() if value is None else frozenset(leaves(value))


def key_value_f1(answer: str, reference: str) -> float:
    """How many keys with their values are right: F1; 0 for an answer that is no JSON."""
    given, wanted = _leaf_set(answer), _leaf_set(reference)
    if not given or not wanted:
        return 0.0
    return 2 * len(given & wanted) / (len(given) + len(wanted))


def named(answer: str, labels: Sequence[str]) -> set[str]:
    """Which labels (normal, the longest first) an answer names; a part of a longer one does not count."""
    text, names = normal(answer), set[str]()
    if text in labels:
        return {text}
    for label in labels:
        pattern = rf"(?<!\w){re.escape(label)}(?!\w)"
        if label and re.search(pattern, text):
            names.add(label)
            text = re.sub(pattern, "\x00", text)
    return names


def _is_call(text: str) -> bool:
    return bool(calls.calls(text))


def _share(texts: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, texts)) / len(texts)
