"""Whether a question asks for something, and whether its answer is of the sort that it asks for: by their forms.

A small author turns a sentence into "What is ...?" and says it again as the answer. What is told here of English ones
alone is left to the round trip in other languages.
"""

from __future__ import annotations

import re

from gemmalocal.synthesis import english_forms, ground
from gemmalocal.synthesis.language import OWN, english, sentences
from gemmalocal.synthesis.terms import terms, terms_of, tokens

ENOUGH = frozenset({"yes", "no"})
WORDS = re.compile(r"\w+")
LONG = 4  # letters of a word that tells something
SHORT = 3  # words of an answer of which each one tells something
GIVEN = 0.1  # of its letters, at least, an answer says what its question has not said
ORDERS = (
    "list name describe explain give tell state define compare summarize show write identify outline mention how what "
    "why when which who where whose"
)
ORDERS_FIRST = frozenset(ORDERS.split())
CALLED = re.compile(
    r"\b(?:title|heading|name|number|topic|purpose|subject) of (?:the|this|its) (?:[\w-]+ ){0,2}?"
    r"(?:chapter|section|document|text|guide|book|tutorial|manual|page|heading|paragraph|sentence|passage)\b"
    r"|\b(?:the|this) (?:\w+ )?sentence\b"
    r"|^what (?:is|are|was) the (?:notes?|statements?|facts?|information) (?:about|on)\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|`[^`]*`|'[^']*'")
COUNTED = frozenset((*english_forms.NUMBER_WORDS.split(), "one", "none", "both", "half", "dozen"))
NUMBER_WORDS = COUNTED | {"no", "all", "several", "many", "few"}
POINTING = re.compile(  # at what who is asked does not see
    r"\b(?:this|these|those|another|such an?|"
    r"the (?:above|following|previous|preceding|situation|same|latter|former))\b|"
    r"\b(?:figure|table|section|chapter|appendix|step) \d|§",
    re.IGNORECASE,
)
LEANS = re.compile(r"(?:This|These|Those|That|Such) (?!\w+['’]s\b)[a-z]+\b")  # of an answer, to begin with
HOW_MANY = re.compile(r"(?:^|, )how (?:many|much)\b", re.IGNORECASE)
WHAT_IS = re.compile(r"(?:^|, )(?:what|who) (?:is|are|was|were) (?P<thing>[^?]+)\?$", re.IGNORECASE)
DEFINES = re.compile(  # what says what something is
    r"\b(?:mean|means|meant|refer|refers|referred|stand|stands|consist|consists|consisted|include|includes|included|"
    r"contain|contains|contained|comprise|comprises|called|named|known|become|became|remain|remains|range|ranges|e\.g|"
    r"i\.e)\b|[:=]"
)
RELATED = re.compile(r" (?:of|in|for|to|about|with|on|from|by|between|at|that|which|used) ")
SUBJECT = 7  # words at the beginning of an answer, in which its subject is
IS = re.compile(r"\b(?:is|are|was|were|be|been)\b(?: (?:\w+ly|also|always|often|never|not|now|still|only|usually))?")
DONE = re.compile(r"^ (?P<done>\w+(?:ed|en|wn|un|lt|pt|ght)\b|being|going|able|required|set|put|built|made|held|kept)")


def problem(question: str, answer: str, passage: str) -> str | None:
    """Why a question and its answer teach nothing together, as a verb's phrase; None if they may."""
    if english(passage) and (reason := _of_english(question, answer)):
        return reason
    if gives_away(question, answer):
        return f"has a question that says its answer already: {question}"
    return None


def gives_away(question: str, answer: str) -> bool:
    """Whether an answer says next to nothing that its question has not said; "Yes", a number, a name are enough."""
    first = next(iter(sentences(answer)), answer)  # which answers; what comes after it adds something
    asked, said = set(terms(question)), tokens(first)
    new = [token for token in said if not asked & set(terms_of(token))]
    signs = ENOUGH | COUNTED | {token.casefold() for token in WORDS.findall(first)[1:] if token[0].isupper()}
    if any(token in signs or not token.isalpha() for token in new) or (new and len(said) < SHORT):
        return False
    telling = (token for token in new if len(token) >= LONG and token not in OWN)
    return sum(map(len, telling)) < GIVEN * sum(map(len, said))


def _of_english(question: str, answer: str) -> str | None:
    text = question.strip()
    if not text.endswith("?") and text.split(maxsplit=1)[0].lower().strip(",:") not in ORDERS_FIRST:
        return f"has a question that asks nothing: {text}"
    if leaning := LEANS.match(answer):
        return f"has an answer that leans on what is not there: “{leaning[0]}”"
    bare = QUOTED.sub("", text)
    if pointing := POINTING.search(bare):
        return f"has a question that points at what its text has: “{pointing[0]}”"
    if HOW_MANY.search(text) and not numbers(answer) - numbers(text):
        return f"asks how many, and its answer has no number that the question has not: {text}"
    if called := CALLED.search(text):
        return f"asks what a part of its document is called: “{called[0]}”"
    if (match := WHAT_IS.search(text)) and not _says_what(match["thing"], answer):
        return f"asks what something is, and its answer does not say that: {text}"
    return None


def numbers(text: str) -> set[str]:
    """The numbers of an English text, in digits or words."""
    words = {word for word in tokens(text) if word in NUMBER_WORDS}
    return ground.numbers(text) | words


def _says_what(thing: str, answer: str) -> bool:
    """Whether an answer says what a thing is: not if it begins with that thing, and says what it does or what is done.

    "What is the purpose of a pump?" may be answered with what the pump does.
    """
    head = RELATED.split(thing.strip(), maxsplit=1)[0].split()[-1]
    begins = " ".join(answer.split()[:SUBJECT])
    if len(answer.split()) < LONG or not set(terms_of(head.casefold())) & set(terms(begins)):
        return True
    known = ground.normal(thing)
    for match in IS.finditer(answer):
        done = DONE.match(answer[match.end() :])
        if done is None or done["done"].lower() in known:
            return True
    return DEFINES.search(answer) is not None
