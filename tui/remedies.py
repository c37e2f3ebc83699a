"""What to do, in the app's words: remedies are written for the command line, and here they name the app's keys."""

from __future__ import annotations

import re

from gemmalocal.jobs.exit_causes import LESS_MEMORY

NAME = r"(?:\S+)"
MODELS, RECIPE = "Models (m at home)", "its recipe (a)"
PHRASES = (  # what a remedy says for the command line, and what that is in the app; in this order
    (re.escape(LESS_MEMORY), "less memory (R)"),
    (rf"[Ww]atch it with: gemmalocal watch {NAME}", "Open it at home (Enter)."),
    (rf"stop it: gemmalocal stop {NAME}", "stop it (s)"),
    (rf"Train it first: gemmalocal resume {NAME}", "Train it first (r)."),
    (r"Start one with: gemmalocal train quotes", "Begin one at home (n)."),
    (rf"begin a new run: gemmalocal train {NAME} --set {NAME}", f"begin a new run by {RECIPE}."),
    (rf"Train it again: gemmalocal train {NAME}", f"Train it again by {RECIPE}."),
    (rf"For more: gemmalocal resume {NAME} --set {NAME}", f"For more steps begin a run by {RECIPE}."),
    (rf"Make it(?: again)?: gemmalocal export {NAME} --to {NAME}", "Export it again (e)."),
    (r"What rows look like: gemmalocal check RECIPE shows it",
     "Check in a recipe (^t) shows what rows look like"),
    (r"gemmalocal check(?: RECIPE)? shows", "Check in a recipe (^t) shows"),
    (rf"Give --name, or: gemmalocal resume {NAME}", "Go on with it (r)."),
    (r"Start all of them again with: resume", "Start all of them again (r)"),
    (r"the search begins again: gemmalocal resume", "the search begins again (r)"),
    (r"go on with: gemmalocal resume RUN", "go on with a run at home (r)"),
    (r"give the name with --name", "the app names a run itself; l at home renames it"),
    (r"^Resume: ", "Resume (r): "),
    (rf"([Ff]irst):? gemmalocal import {NAME}", r"\1 import it (i in Models)"),
    (r"on this disk: gemmalocal models", f"on this disk: {MODELS}"),
    (r"What is here: gemmalocal models", f"What is here: {MODELS}"),
    (r"gemmalocal models lists the published ones", f"{MODELS} lists the published ones"),
    (rf"files: gemmalocal fetch ({NAME}) --gguf ({NAME})", r"files, by n in Models: \1 \2"),
    (r"\(gemmalocal fetch, if it is the Hub's\)", "(f in Models, if it is the Hub's)"),
    (r"\(gemmalocal whoami\)", "(^p, who am I on Hugging Face)"),
    (r"gemmalocal login", "^p, log in to Hugging Face"),
    (rf"[Ll]ater: gemmalocal track {NAME} --to {NAME}", "later by its screen (t)"),
    (r"that you dropped: gemmalocal accept", "that you dropped (a in its rows)"),
    (r"What is in the trash: gemmalocal trash list", "What is in the trash: 5 at home"),
    (r", or in gemmalocal chat with /vote NAME", ""),
    (rf"gemmalocal export {NAME} --to gguf, pip install xllamacpp, and: --form gguf",
     "Export it as gguf, serve that (v), and before: pip install xllamacpp"),
    (r"\(--to gguf --type Q4_K_M\)", "(gguf, Q4_K_M)"),
    (r"Name another: --port, --host", "End what listens there, and serve again"),
    (rf"Name one whole: --form {NAME}", "Go to one in the list, and do it again there"),
    (r"Push a smaller form: --form gguf with fewer bits", "Push a smaller form (p on it): gguf with fewer bits"),
    (r"gained: gemmalocal report RUN", "gained (v)"),
    (r"then gemmalocal report RUN --against OTHER", "and see of each whether it helped (v)"),
    (r"\(--folder\)", "(o)"),
    (r"\(--base\)", "(b)"),
    (r"with --base FILE", "over a GGUF of the base (b)"),
    (r"or --form for an export", "or an export"),
    (r"; all with --whole", ""),
    (r"\(--review\)", "(r in its rows)"),
    (r"\(--judge-model\)", "(judge model)"),
    (r"Give its password with --password",
     "Name the variable that holds its password in the field password env"),
    (r"--near-copies keep \(near_copies: keep in a file\) keeps them", "near copies: keep, in the form, keeps them"),
    (r"--(?:dtype|type) ((?:b?float|[A-Z])\w*)", r"\1 (← →)"),
    (r"--quantize 8", "8 bits (← →)"),
    (rf"--set ({NAME}=)", r"\1"),
    (r"Leave --set out", "Leave them out"),
    (r"Unset HF_HUB_OFFLINE(?: for this command)?", "Start the app without HF_HUB_OFFLINE"),
    (r"give the same command again", "do the same again"),
)  # fmt: skip
COMMAND = re.compile(r"\b(?:pip|llama-\S+|make) \S")  # then its options are to be written as they stand
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")


def in_app(remedy: str) -> str:
    """A remedy as the app tells it; what the app cannot do, as to install something, stays a command."""
    for words, ours in PHRASES:
        remedy = re.sub(words, ours, remedy)
    if COMMAND.search(remedy):
        return remedy
    return OPTION.sub(lambda option: option[1].replace("-", " "), remedy)
