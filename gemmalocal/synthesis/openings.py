"""How the question may begin that an English sentence answers: a small author begins all of them with "What is"."""

from __future__ import annotations

import re

from gemmalocal.synthesis.english_forms import NUMBER
from gemmalocal.synthesis.kinds import Mix

PLAIN = 30  # words of a sentence that is mainly about one thing
REASON = r"\b(?:because|so that|in order to|due to|to (?:avoid|prevent|ensure|allow|keep|make sure))\b"
PLURAL = rf"\b{NUMBER} (?!(?:and|or|to|by|of)\b)(?:[a-z-]+ ){{0,2}}?[a-z]{{2,}}s\b"
DATED = (
    r"\b(?:in|on|since|until|by|before|after) (?:\d{1,2} )?(?:[A-Z][a-z]+ )?"
    r"(?:\d{1,2}(?:st|nd|rd|th)?,? )?(?:1\d|20)\d\d\b"
)
OPENINGS = tuple(  # by the kind of question; the first that fits is taken
    (kind, re.compile(pattern), begin)
    for kind, pattern, begin in (
        ("how", r"^(?:In order )?[Tt]o (?!be\b)[a-z]+ .{3,90}?[,:] |\bby [a-z]{3,}ing\b", "How"),
        ("why", REASON, "Why"),
        ("how_much", PLURAL, "How many"),
        ("when", DATED, "When"),
        ("when", r"^(?:When|If|Once|Before|After) ", "What happens"),
        (
            "what",
            r"^(?:An? |The )?[\w+.'’/-]+(?: [\w+.'’/-]+){0,3} (?:is|are|means?|stands for) (?:an? |the )",
            "What is",
        ),
    )
)


def opening(mix: Mix, sentence: str) -> str:
    """How a question that a sentence answers may begin, of the kinds that are wanted; "" where in many ways."""
    if len(sentence.split()) > PLAIN:
        return ""
    fitting = (begin for kind, pattern, begin in OPENINGS if mix.get(kind, 0.0) > 0 and pattern.search(sentence))
    return next(fitting, "")
