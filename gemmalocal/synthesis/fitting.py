"""Whether a question asks for something, and whether its answer is of the sort that it asks for: by their forms.

A small author turns a sentence into "What is ...?" and says it again as the answer. Only what leaves no doubt is told
here; the rest is left to the round trip, and of other languages than English nearly all.
"""

from __future__ import annotations

import re

from gemmalocal.synthesis import english_forms, ground
from gemmalocal.synthesis.english_words import FUNCTION
from gemmalocal.synthesis.language import english
from gemmalocal.synthesis.terms import RUNS, terms, tokens

ENDING = 3  # letters by which two forms of a word differ at most
SIGNS = frozenset("`#$%^&*<>=/\\|~@+:")  # of what is no prose: a command, a path, a key
YES_OR_NO = re.compile(
    r"(?:^|, )(?:is|are|was|were|do|does|did|can|could|has|have|had|may|must|should|will|would)\b", re.IGNORECASE
)
ORDERS = (
    "list name describe explain give tell state define compare summarize show write identify outline mention how what "
    "why when which who where whose calculate find convert provide specify enumerate discuss translate complete"
)
ORDERS_FIRST = frozenset(ORDERS.split())
CALLED = re.compile(
    r"\b(?:title|heading|name|number|topic|purpose|subject) of (?:the|this|its) (?:[\w-]+ ){0,2}?"
    r"(?:chapter|section|document|text|guide|book|tutorial|manual|page|heading|paragraph|sentence|passage)"
    r"(?=\W*$| of | in | about )"
    r"|\bthe (?:first|second|third|fourth|fifth|last|next|numbered) sentence\b"
    r"|^what (?:is|are|was) the (?:notes?|statements?|facts?|information) (?:about|on)\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|`[^`]*`|'[^']*'")
COUNT_WORDS = (
    "one zero hundred thousand million billion hundreds thousands millions dozen dozens none no nobody nothing all "
    "both half several many few once twice double triple single pair couple unlimited any each every"
)
COUNTED = frozenset(f"{english_forms.NUMBER_WORDS} {COUNT_WORDS}".split())
POINTING = re.compile(  # at what who is asked does not see
    r"\b(?:this|these|those(?! (?:who|that|which|of|in|with)\b)|such an?|"
    r"the (?:above|following|previous|preceding|situation|latter|former))\b|\b(?:figure|table|step) \d",
    re.IGNORECASE,
)
LEANS = re.compile(r"(?:This(?! is because)|These|Those(?! (?:who|that|which|of|in|with)\b)|Such) [a-z]+\b")
HOW_MANY = re.compile(r"(?:^|, )how many\b", re.IGNORECASE)
WHAT_IS = re.compile(r"(?:^|, )(?:what|who) (?:is|are|was|were) (?P<thing>\S[^?]*)\?$", re.IGNORECASE)
RELATED = re.compile(r" (?:of|in|for|to|about|with|on|from|by|between|at|that|which|used) ")
SUBJECT = 7  # words at the beginning of an answer, in which its subject is
IS = re.compile(r"\b(?:is|are|was|were|be|been)\b(?: (?:\w+ly|also|always|often|never|not|now|still|only|usually))?")
DONE = re.compile(  # what was done with a thing, by whom, to what end; not where it is, or what it is called
    r"^ (?!(?:called|named|known|limited|based|composed|located|situated|restricted|used|needed|set)\b)"
    r"(?P<done>\w{2,}ed|given|taken|written|chosen|made|held|kept|built|sent|put|brought) "
    r"(?:by|to|from|with|into|for|in|at|on)\b"
)


def problem(question: str, answer: str, passage: str, follows: bool = False) -> str | None:
    """Why a question and its answer teach nothing together, as a verb's phrase; None if they may.

    A question that `follows` on another may point at what that was about.
    """
    if not question.strip() or not answer.strip():
        return None
    if english(passage) and (reason := _of_english(question.strip(), answer.strip(), follows)):
        return reason
    if gives_away(question, answer, english(passage)):
        return f"has a question that says its answer already: {question}"
    return None


def gives_away(question: str, answer: str, speaks_english: bool) -> bool:
    """Whether an answer has no word that its question has not, but for English ones that tell nothing."""
    if YES_OR_NO.search(question) or SIGNS & set(answer) - set(question):
        return False
    if RUNS.search(answer):  # words that no space parts
        return set(terms(answer)) <= set(terms(question))
    asked = set(tokens(question))
    new = [token for token in tokens(answer) if not any(_same(token, other) for other in asked)]
    return not [token for token in new if not (speaks_english and token in FUNCTION)]


def _same(token: str, other: str) -> bool:
    """Whether two tokens are forms of one word, as "carry" and "carrying" are."""
    if token == other:
        return True
    common = min(len(token), len(other), max(len(token), len(other)) - ENDING)
    return common > ENDING and token[:common] == other[:common] and token.isalpha() and other.isalpha()


def _of_english(question: str, answer: str, follows: bool) -> str | None:
    if "?" not in question and question.split(maxsplit=1)[0].lower().strip(",:") not in ORDERS_FIRST:
        return f"has a question that asks nothing: {question}"
    if leaning := LEANS.match(answer):
        return f"has an answer that leans on what is not there: “{leaning[0]}”"
    if not follows and (pointing := POINTING.search(QUOTED.sub("", question))):
        return f"has a question that points at what its text has: “{pointing[0]}”"
    if HOW_MANY.search(question) and not counts(answer):
        return f"asks how many, and its answer has no number: {question}"
    if called := CALLED.search(question):
        return f"asks what a part of its document is called: “{called[0]}”"
    if (match := WHAT_IS.search(question)) and not _says_what(match["thing"], answer):
        return f"asks what something is, and its answer does not say that: {question}"
    return None


def counts(text: str) -> bool:
    """Whether an English text has a number, in digits or words, or says that there is none."""
    return bool(ground.numbers(text)) or any(word in COUNTED for word in re.findall(r"[a-z]+", text.lower()))


def _says_what(thing: str, answer: str) -> bool:
    """Whether an answer says what a thing is: not if it begins with that thing, and says only what was done with it.

    "What is the purpose of a pump?" may be answered with what the pump does.
    """
    head = (RELATED.split(thing, maxsplit=1)[0].split() or [thing])[-1].strip("“”\"'`")
    begins = " ".join(answer.split()[:SUBJECT])
    if not any(_same(token, head.casefold()) for token in tokens(begins)):
        return True
    done = [DONE.match(answer[match.end() :]) for match in IS.finditer(answer)]
    known = ground.normal(thing)
    return not done or any(match is None or match["done"].lower() in known for match in done)
