"""The commands in groups, each with what it does; its module is imported when it is asked for.

So `--help` and the shell's completion answer at once. A test holds that a sentence here is the first of its command's.
"""

from __future__ import annotations

from importlib import import_module

import click

GROUPS: dict[str, dict[str, tuple[str, str]]] = {  # by group and name: the module, and a sentence
    "Train": {
        "train": ("training", "Train a model by a recipe."),
        "tune": ("tune", "Try settings on short runs, and train by the best."),
        "resume": ("training", "Go on with a run, or a dataset, that ended too soon."),
        "stop": ("runs", "Ask a run to finish its step, save, and end."),
    },
    "Look": {
        "check": ("check", "See what a recipe would train on, and whether it fits."),
        "chat": ("chat", "Ask the base model and the tuned one, side by side."),
        "report": ("report", "Say whether a run helped, on one page."),
        "runs": ("runs", "List the runs, the newest first."),
        "watch": ("runs", "Watch a run, from its beginning to its end."),
        "track": ("track", "Show a run in TensorBoard, Weights & Biases, Trackio or MLflow."),
        "trash": ("trash", "See what was deleted, and take it back."),
        "log": ("runs", "Print what a run and its libraries wrote."),
    },
    "Data": {
        "prepare": ("prepare", "Make rows to train on, out of documents or other rows."),
        "datasets": ("review", "List the datasets, the newest first."),
        "accept": ("prepare", "Take rejected rows into a dataset after all."),
        "score": ("score", "Let a teacher read rows, and keep what it says."),
        "convert": ("prepare", "Write rows in the form that another program reads."),
    },
    "Take away": {
        "export": ("export", "Export a run, and prove that it kept what it learned."),
        "push": ("publish", "Send an export or a dataset to the Hugging Face Hub."),
        "serve": ("serve", "Let other programs ask the model that a run made."),
        "adapter": ("adapter", "Write an adapter in the form that mlx-lm or PEFT reads."),
    },
    "Models": {
        "models": ("models", "List the models that are here, and those to download."),
        "fetch": ("models", "Download a model from the Hugging Face Hub."),
        "import": ("models", "Turn a GGUF file into a model that can be tuned."),
        "login": ("publish", "Log in to the Hugging Face Hub."),
        "logout": ("publish", "Forget the Hub's tokens on this machine."),
        "whoami": ("publish", "Say whose token is here, and what it may do."),
    },
    "Machine": {
        "doctor": ("doctor", "Say what this machine has, and what is missing."),
        "bench": ("bench", "Compare our training with the engine's own."),
    },
}
MODULES = {name: module for commands in GROUPS.values() for name, (module, _) in commands.items()}


class Grouped(click.Group):
    """A group of commands that are imported one by one; its help lists them by `GROUPS`, uncut."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, as the help orders them."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if cmd_name not in MODULES:
            return None
        commands: tuple[click.Command, ...] = import_module(f"gemmalocal.cli.{MODULES[cmd_name]}").COMMANDS
        return next(command for command in commands if command.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group as a section; click would cut the sentences at 45 letters."""
        width = max(map(len, MODULES))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), sentence) for name, (_, sentence) in commands.items()])
