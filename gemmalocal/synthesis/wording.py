"""The words that authors are asked with: templates in files, which a user's own folder may replace one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined

from gemmalocal.errors import RecipeError
from gemmalocal.records import Message
from gemmalocal.synthesis.asking import Prompt
from gemmalocal.synthesis.kinds import told
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.tasks import Answered, AuthoredRow, MissingFact, Premise, Task, Verdict, instruction, schema
from gemmalocal.templates.sandbox import TemplateFault, TemplateRaised, Templates

OWN = Path(__file__).parent / "prompts"
EXCERPT = 500  # letters of a text that stands beside a passage


class Wording:
    """Prompts for pieces, for mistakes and for judges; raises `RecipeError` for a template that cannot be filled."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folders: Sequence[Path] = [folder, OWN] if folder else [OWN]
        names = {file.name for file in OWN.glob("*.j2")}
        if folder and not any((folder / name).is_file() for name in names):
            raise RecipeError(f"{folder} holds no prompt.", f"Put one or more of {', '.join(sorted(names))} into it.")
        loader = ChoiceLoader([FileSystemLoader(prompts_folder) for prompts_folder in self._folders])
        self._templates = Templates(loader, StrictUndefined)

    def ask(self, task: Task, piece: Piece, count: int, kinds: Sequence[str] = ()) -> Prompt:
        """Ask for at most `count` rows about a piece, of these kinds in their order (as many, if there are)."""
        assert task.form is not None
        wanted = tuple(kinds or ["what"] * count)
        text = self._fill(task.name, count=count, kinds=told(wanted), instruction=instruction(piece), **_about(piece))
        asked = kinds if self._uses(task.name, "kinds") else ()  # a person's own prompt may ask for none
        return Prompt((Message("user", text),), schema(task.form.row, count, asked))

    def ask_facts(self, task: Task, piece: Piece, sentences: Sequence[str], openings: Sequence[str] = ()) -> Prompt:
        """Ask about a piece in another way: for a row of each of some of its sentences."""
        assert task.facts is not None
        reasoning = "reasoning" in task.facts.row.model_fields
        text = self._fill(
            "facts",
            sentences=sentences,
            openings=openings or [""] * len(sentences),
            reasoning=reasoning,
            **_about(piece),
        )
        return Prompt((Message("user", text),), schema(task.facts.row, len(sentences)))

    def missing(self, piece: Piece, beside: Sequence[str]) -> Prompt:
        """Ask for a question that neither a piece nor the texts `beside` it answer."""
        nearest = [f"{text[:EXCERPT]} ..." if len(text) > EXCERPT else text for text in beside]
        text = self._fill("unanswerable", nearest=nearest, count=1, **_about(piece))
        return Prompt((Message("user", text),), schema(MissingFact, 1))

    def answered(self, question: str, texts: Sequence[str]) -> Prompt:
        """Ask whether a question is answered by texts."""
        text = self._fill("answered", question=question, texts=texts)
        return Prompt((Message("user", text),), schema(Answered, 1))

    def premise(self, piece: Piece, sentence: str) -> Prompt:
        """Ask for a question that takes something in a sentence of a piece wrong."""
        return Prompt((Message("user", self._fill("premise", sentence=sentence, **_about(piece))),), schema(Premise, 1))

    def with_correction(self, prompt: Prompt, answer: str, problem: str) -> Prompt:
        """Tell an author what was wrong with its answer, and ask once more."""
        return prompt.with_correction(answer, self._fill("again", problem=problem))

    def question(self, candidate: Candidate) -> Prompt:
        """Show a model examples of sentences with questions, and last a candidate's sentence."""
        return Prompt((Message("user", self._fill("base", sentence=candidate.evidence)),))

    @property
    def asks_together(self) -> bool:
        """Whether several questions can be asked again with one prompt: a person's own may ask one."""
        return self._uses("answer", "questions")

    def answer(self, candidates: Sequence[Candidate]) -> Prompt:
        """Ask the questions of candidates of one piece again, beside it; the answers of several are numbered."""
        questions = [" ".join(candidate.question.split()) for candidate in candidates]
        about = _about(candidates[0].piece)
        return Prompt((Message("user", self._fill("answer", question=questions[0], questions=questions, **about)),))

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

    def better(self, form: type[AuthoredRow], request: str, reference: str, first: str, second: str) -> Prompt:
        """Ask which of two answers to a request is better."""
        text = self._fill("better", request=request, reference=reference, first=first, second=second)
        return Prompt((Message("user", text),), schema(form, 1))

    def own(self, name: str) -> bool:
        """Whether a prompt is a person's own."""
        return self._file(name).parent != OWN

    def _uses(self, name: str, variable: str) -> bool:
        """Whether a prompt's own text names a variable."""
        return variable in self._file(name).read_text(encoding="utf-8")

    def _file(self, name: str) -> Path:
        return next(file for folder in self._folders if (file := folder / f"{name}.j2").is_file())

    def _fill(self, name: str, **values: object) -> str:
        try:
            return self._templates.render(self._templates.named(f"{name}.j2"), values).strip()
        except (TemplateFault, TemplateRaised) as error:
            raise RecipeError(f"A prompt cannot be filled: {error}.", f"It may use {', '.join(values)}.") from error


def _about(piece: Piece) -> dict[str, object]:
    """What an author is told of a piece, and of where it stands."""
    passage = piece.passage
    return {
        "title": piece.title,
        "heading": passage.heading,
        "before": piece.before,
        "terms": piece.terms,
        "passage": passage.text,
    }
