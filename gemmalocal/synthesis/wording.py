"""The words that authors are asked with: templates in files, which a user's own folder may replace one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined

from gemmalocal.errors import RecipeError
from gemmalocal.records import Message
from gemmalocal.synthesis.asking import Prompt
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.tasks import Task, Verdict, instruction, schema
from gemmalocal.templates.sandbox import TemplateFault, TemplateRaised, Templates

OWN = Path(__file__).parent / "prompts"


class Wording:
    """Prompts for pieces, for mistakes and for judges; raises `RecipeError` for a template that cannot be filled."""

    def __init__(self, folder: Path | None = None) -> None:
        folders: Sequence[Path] = [folder, OWN] if folder else [OWN]
        names = {file.name for file in OWN.glob("*.j2")}
        if folder and not any((folder / name).is_file() for name in names):
            raise RecipeError(f"{folder} holds no prompt.", f"Put one or more of {', '.join(sorted(names))} into it.")
        loader = ChoiceLoader([FileSystemLoader(prompts_folder) for prompts_folder in folders])
        self._templates = Templates(loader, StrictUndefined)

    def ask(self, task: Task, piece: Piece, count: int) -> Prompt:
        """Ask for at most `count` rows about a piece."""
        assert task.form is not None
        passage = piece.passage
        text = self._fill(
            task.name,
            count=count,
            title=piece.title,
            heading=passage.heading,
            passage=passage.text,
            instruction=instruction(piece),
        )
        return Prompt((Message("user", text),), schema(task.form.row, count))

    def with_correction(self, prompt: Prompt, answer: str, problem: str) -> Prompt:
        """Tell an author what was wrong with its answer, and ask once more."""
        return prompt.with_correction(answer, self._fill("again", problem=problem))

    def question(self, candidate: Candidate) -> Prompt:
        """Show a model examples of sentences with questions, and last a candidate's sentence."""
        return Prompt((Message("user", self._fill("base", sentence=candidate.evidence)),))

    def judge(self, candidate: Candidate) -> Prompt:
        """Ask for a score of a row."""
        messages = candidate.record.messages
        text = self._fill(
            "judge",
            passage=candidate.piece.passage.text,
            question=candidate.question or (messages[0].content if messages else ""),
            answer=candidate.answer or candidate.record.reply,
        )
        return Prompt((Message("user", text),), schema(Verdict, 1))

    def _fill(self, name: str, **values: object) -> str:
        try:
            return self._templates.render(self._templates.named(f"{name}.j2"), values).strip()
        except (TemplateFault, TemplateRaised) as error:
            raise RecipeError(f"A prompt cannot be filled: {error}.", f"It may use {', '.join(values)}.") from error
