"""Rules of thumb that a row must pass; each failure is a verb's phrase, its kind before the first ": "."""

from __future__ import annotations

import re
from dataclasses import replace

from gemmalocal.jobs.plurals import counted
from gemmalocal.synthesis import agreement, fitting, ground
from gemmalocal.synthesis.kinds import ASKED_HEADING, FOLLOW_UP, UNANSWERABLE, WRONG_PREMISE
from gemmalocal.synthesis.language import english, foreign, script, sentences
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.synthesis.retrieval import Ambiguity, PassageIndex
from gemmalocal.synthesis.tasks import instruction
from gemmalocal.synthesis.terms import terms, terms_of, tokens

LONGEST_QUESTION, LONGEST_ANSWER = 600, 6000  # characters
TOLD = 6  # terms of an answer that can be found again by its words
STRANGE = 3  # words of an answer that its passage must lack to be made up
PROVEN = 0.8  # of the weight of its words, that the sentence has which proves it
ENOUGH = 12  # words of a text whose language can be told
REFUSAL = re.compile(
    r"\b(?:as an? (?:ai|artificial intelligence|language model)|i(?:'m| am) (?:sorry|unable|not able)|"
    r"i (?:cannot|can't|can not) (?:help|assist|answer|provide|comply)|"
    r"(?:does not|doesn't|not) (?:mention(?:ed)?|specif(?:y|ied)|state[d]?) in the)\b"
)
LEAK = re.compile(
    r"```|<start_of_turn>|<end_of_turn>|<\|?turn\|?>|<bos>|<eos>|\[/?INST\]|\"(?:question|answer|evidence|rows)\"\s*:|"
    r"\bjson (?:object|schema)\b",
    re.IGNORECASE,
)
EXAMPLE = "Eddystone"  # what our prompts' examples are about
LEANS_ON_TEXT = re.compile(
    r"\b(?:this|the|that|above|given|provided|following|preceding) (?:given |provided |above |following )?"
    r"(?:passage|text|excerpt|paragraph|context|snippet|author|article|section|document)\b|"
    r"\baccording to (?:it|this|that|the (?:text|author|passage))\b|\bmentioned (?:above|here)\b",
    re.IGNORECASE,
)


def problem(candidate: Candidate) -> str | None:
    """Why a row is not to be trained on; None if nothing is wrong with it."""
    passage = candidate.piece.passage.text
    if candidate.kind == UNANSWERABLE:
        return _of_unanswerable(candidate)
    if reason := ground.problem(candidate.evidence, passage):
        return reason
    if candidate.by != "model":
        return None  # made of the passage's own words, or a person's row
    question, answer = candidate.question, candidate.answer
    for text, limit, part in ((question, LONGEST_QUESTION, "question"), (answer, LONGEST_ANSWER, "answer")):
        if text and (reason := _text(text, limit, part, passage)):
            return reason
    if question and candidate.piece.row is None and (lean := LEANS_ON_TEXT.search(question)):
        return f"has a question that only makes sense beside its text: “{lean[0]}”"
    if answer and candidate.piece.row is None and (called := _lean(answer, passage)):
        return f"has an answer that speaks of its text, which nobody who asks will see: “{called}”"
    if question and answer and ground.normal(question).strip(" ?") == ground.normal(answer).strip(" ."):
        return "answers with the question"
    known = f"{passage}\n{question}" if candidate.kind == WRONG_PREMISE else passage
    if answer and candidate.piece.row is None and (invented := ground.numbers(answer) - ground.numbers(known)):
        return f"has a number in its answer that is not in its passage: {min(invented)}"
    if candidate.piece.row is not None:
        return _rewritten(question, instruction(candidate.piece))
    if not question:
        return _summary(answer, passage)
    told = agreement.conclusion(answer)
    if candidate.kind != WRONG_PREMISE:  # which is answered by putting it right
        reason = fitting.problem(question, told, passage, follows=candidate.kind == FOLLOW_UP)
    return reason or _made_up(told, question, known)


def _lean(answer: str, passage: str) -> str | None:
    """What an answer calls its text ("The text states that"); a passage may itself speak of a document or an author."""
    said = ground.normal(passage)
    return next((lean[0] for lean in LEANS_ON_TEXT.finditer(answer) if ground.normal(lean[0]) not in said), None)


def _rewritten(question: str, original: str) -> str | None:
    """What is wrong with an instruction in other words."""
    lost, new = ground.numbers(original) - ground.numbers(question), ground.numbers(question) - ground.numbers(original)
    if lost or new:
        return f"has other numbers than the instruction that it says in other words: {min(lost or new)}"
    return None


def _summary(summary: str, passage: str) -> str | None:
    """What is wrong with a summary."""
    if len(summary) >= len(passage):
        return f"is no shorter than its passage: {counted(len(summary), 'character')}"
    return _made_up(summary, "", passage)


def _made_up(answer: str, question: str, text: str) -> str | None:
    """What is wrong with an answer that knows more than its text: asked again, it would say the same.

    Longer words weigh more, as they tell more.
    """
    share = agreement.grounded(answer, question, text, len)
    known = set(terms(f"{text}\n{question}"))
    strange = {token for token in tokens(answer) if not known & set(terms_of(token))}
    if share >= agreement.GROUNDED or len(strange) < STRANGE:  # "Yes." is new, and nothing is made up
        return None
    return f"says what is not in its passage: {share:.0%} of its words are there"


def with_evidence(candidate: Candidate) -> Candidate:
    """A row whose quote was changed, or says something else, with the sentence that says its answer, if one does."""
    passage, told = candidate.piece.passage.text, agreement.conclusion(candidate.answer)
    asks = candidate.question and candidate.by == "model" and candidate.piece.row is None
    if not asks or len(terms(told)) < TOLD:
        return candidate
    says = agreement.grounded(told, "", candidate.evidence, len) >= agreement.GROUNDED
    if says and ground.problem(candidate.evidence, passage) is None:
        return candidate
    line = max(sentences(passage), key=lambda line: agreement.grounded(told, "", line, len), default="")
    proven = agreement.grounded(told, "", line, len) >= PROVEN and ground.problem(line, passage) is None
    return replace(candidate, evidence=line) if proven else candidate


def ambiguity(candidate: Candidate, index: PassageIndex | None) -> Ambiguity | None:
    """Of how many passages a row's question could be asked; None if of its own alone, or if it asks about none.

    What goes on from another question leans on that one; a rule's question names what its sentence begins with, but for
    that of a heading.
    """
    asks = candidate.question and candidate.kind not in (UNANSWERABLE, FOLLOW_UP) and candidate.piece.row is None
    if index is None or not asks:
        return None
    named = candidate.by == "rules" and candidate.kind != ASKED_HEADING
    return index.ambiguity_of(candidate.question, candidate.piece, candidate.evidence, candidate.answer, named)


def _of_unanswerable(candidate: Candidate) -> str | None:
    """The same of a row whose answer says that the documents do not answer: it stands on no evidence."""
    passage = candidate.piece.passage.text
    if lean := LEANS_ON_TEXT.search(candidate.question):
        return f"has a question that only makes sense beside its text: “{lean[0]}”"
    return _text(candidate.question, LONGEST_QUESTION, "question", passage) or _text(
        candidate.answer, LONGEST_ANSWER, "answer", passage, refusing=True
    )


def _text(text: str, limit: int, part: str, passage: str, refusing: bool = False) -> str | None:
    """What is wrong with a question or an answer by itself, and beside the text it is about."""
    if not any(mark.isalnum() for mark in text) or (part == "question" and len(text.strip()) < 8):
        return f"has a {part} that is too short: {text.strip()}"
    if len(text) > limit:
        return f"has a {part} that is too long: {counted(len(text), 'character')}"
    if not refusing and (refusal := REFUSAL.search(text.lower())):
        return f"refuses to answer: “{refusal[0]}”"
    if leak := LEAK.search(text):
        return f"repeats its prompt: “{leak[0]}”"
    if EXAMPLE in text and EXAMPLE not in passage:
        return f"repeats its prompt: “{EXAMPLE}”"
    if ground.repeats(text):
        return f"says the same over and over in its {part}"
    if script(text) and script(passage) and script(text) != script(passage):
        return f"is in another script than its passage: {script(text).lower()}"
    if min(len(text.split()), len(passage.split())) >= ENOUGH and english(passage) and foreign(text, passage):
        return f"is in another language than its passage: {text[:60]}"
    return None
