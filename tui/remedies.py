"""What to do, in the app's words: remedies are written for the command line, and here they name the app's keys."""

from __future__ import annotations

import re

from gemmalocal.jobs.exit_causes import LESS_MEMORY

NAME = r"(?:\S+)"
PHRASES = (  # what a remedy says for the command line, and what that is in the app; in this order
    (re.escape(LESS_MEMORY), "less memory (R)"),
    (rf"[Ww]atch it with: gemmalocal watch {NAME}", "Open it at home (Enter)."),
    (rf"stop it: gemmalocal stop {NAME}", "stop it (s)"),
    (rf"Train it first: gemmalocal resume {NAME}", "Train it first (r)."),
    (r"Start one with: gemmalocal train quotes", "Begin one at home (n)."),
    (rf"begin a new run: gemmalocal train {NAME} --set {NAME}", "begin a new run by its recipe (a)."),
    (rf"Train it again: gemmalocal train {NAME}", "Train it again by its recipe (a)."),
    (rf"For more: gemmalocal resume {NAME} --set {NAME}", "For more steps begin a run by its recipe (a)."),
    (rf"Make it(?: again)?: gemmalocal export {NAME} --to {NAME}", "Export it again (e)."),
    (r"gemmalocal check RECIPE shows it", "Check in a recipe (^t) shows it"),
    (rf"Give --name, or: gemmalocal resume {NAME}", "Go on with it (r)."),
    (r"Start all of them again with: resume", "Start all of them again (r)"),
    (r"^Resume: ", "Resume (r): "),
    (rf"--set ({NAME}=)", r"\1"),
)
COMMAND = re.compile(r"\b(?:gemmalocal|pip|llama-\S+|make) \S")  # then its options are to be written as they stand
OPTION = re.compile(r"(?<!\S)--([a-z][a-z-]+)")


def in_app(remedy: str) -> str:
    """A remedy as the app tells it; what the app cannot do stays a command."""
    for words, ours in PHRASES:
        remedy = re.sub(words, ours, remedy)
    if COMMAND.search(remedy):
        return remedy
    return OPTION.sub(lambda option: option[1].replace("-", " "), remedy)
