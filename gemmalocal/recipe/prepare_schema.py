"""What a preparation is: documents, or rows, to a dataset. Bounds and one line of help live on each field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from gemmalocal.recipe.section import RecipeSection

KEY = re.compile(r"(sk|pk|rk|gsk|hf|xai|nvapi|key|AIza)[-_]?[A-Za-z0-9_-]{16,}")  # what keys look like
TaskName = Literal["qa", "cot", "summary", "rewrite", "text", "votes", "pairs", "answers"]
AskedAbout = Literal["auto", "passages", "sentences"]
MIX: dict[str, float] = {  # the kinds of question, with the weights that they have by default
    "what": 2.0, "how": 2.0, "why": 1.0, "when": 1.0, "how_much": 1.0, "which": 1.0, "list": 1.0, "steps": 1.0,
    "follow_up": 1.0,
}  # fmt: skip


def mix(value: Any) -> Any:
    """Kinds of question with weights out of a mapping, a list, or a text such as "what=2, how"."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        pairs = [part.partition("=") for part in value]
        value = {kind.strip(): weight.strip() or 1.0 for kind, _, weight in pairs}
    if not isinstance(value, Mapping):
        raise ValueError(f"must be kinds of question, such as what=2, how. They are {', '.join(MIX)}")
    kinds = {str(kind).strip().replace("-", "_").replace(" ", "_"): weight for kind, weight in value.items()}
    if unknown := [kind for kind in kinds if kind not in MIX]:
        raise ValueError(f"'{unknown[0]}' is no kind of question. They are {', '.join(MIX)}")
    try:
        weights = {kind: float(weight) for kind, weight in kinds.items()}
    except (TypeError, ValueError):
        raise ValueError("a weight must be a number, as in what=2") from None
    if any(not 0 <= weight <= 1000 for weight in weights.values()) or not any(weights.values()):
        raise ValueError("weights must be from 0 to 1000, and one of them more than 0")
    return weights


class EndpointSpec(RecipeSection):
    """A server that speaks OpenAI's protocol (LM Studio, Ollama, vLLM, mlx_lm.server, llama.cpp, ...)."""

    url: str = Field(description="The server's address, such as http://localhost:1234/v1.")
    model: str | None = Field(None, description="The model's name there. If left out: the first that it lists.")
    key_env: str | None = Field(None, description="The NAME of the environment variable that holds the key.")
    concurrency: int = Field(4, ge=1, le=32, description="How many requests at once.")
    timeout: float = Field(
        120, gt=0, le=3600, description="Give up a request when the server sends nothing for this many seconds."
    )

    @model_validator(mode="after")
    def _web_address(self) -> EndpointSpec:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        parts = urlsplit(self.url)  # all of it is told and kept, as no key may be
        if "@" in parts.netloc:
            raise ValueError("url must hold no password: key_env names the variable that holds the key")
        if parts.query or parts.fragment:
            raise ValueError("url must end with its path, with no ? or #: key_env names the variable that holds a key")
        if any(KEY.fullmatch(part) for part in parts.path.split("/")):
            raise ValueError("url must hold no key: key_env names the variable that holds it")
        if self.key_env is not None and (not self.key_env.isidentifier() or KEY.fullmatch(self.key_env)):
            raise ValueError("key_env is the name of an environment variable, not the key")
        return self


class Preparation(RecipeSection):
    """Everything that decides a dataset."""

    sources: list[str] = Field(
        min_length=1,
        description="Files, folders, globs, hf:owner/name and youtube:ID. For rewrite: rows, as in a recipe. For "
        "votes: folders of chats.",
    )
    task: TaskName = Field(
        "qa",
        description="Questions and answers (qa), the same with the reasoning (cot), summaries, other words for the "
        "instructions of rows (rewrite), plain text, what was voted for in chats (votes), two answers to each prompt "
        "of rows, of which one is better (pairs), or what a teacher answers to these prompts (answers).",
    )
    run: str | None = Field(None, description="For pairs: the run that answers.")
    answers: Literal["twice", "base"] = Field(
        "twice",
        description="For pairs: whose two answers are compared. twice: two of the run, drawn at a temperature. base: "
        "one of the base model, and one of the run.",
    )
    tries: int = Field(
        4, ge=1, le=64, description="For answers: how often a prompt is answered. The best answer is kept."
    )
    author: Literal["model", "rules"] = Field("model", description="Who writes: a model, or rules that need none.")
    model: str = Field(
        "gemma-3-270m-demo", description="The author, as in a recipe. Passages are measured in its tokens."
    )
    endpoint: EndpointSpec | None = Field(None, description="Ask a server instead of the model.")
    prompts: str | None = Field(None, description="A folder with your own prompts (qa.j2, judge.j2, ...).")
    pairs: int = Field(3, ge=1, le=50, description="How many rows to make from a passage.")
    rows: int | None = Field(
        None, ge=1, description="How many rows to make in all, spread over the passages by their length."
    )
    per_1000_tokens: float | None = Field(
        None, gt=0, le=1000, description="The same, as rows for each 1,000 tokens of the passages."
    )
    kinds: Annotated[dict[str, float], BeforeValidator(mix)] = Field(
        default=dict(MIX),
        description="The kinds of question (what, how, why, when, how_much, which, list, steps, follow_up) with their "
        "weights, as {what: 2, how: 2}, or a list. A kind that is left out is not asked for.",
    )
    about: AskedAbout = Field(
        "auto",
        description="What the author is asked about: whole passages, or the sentences of them that say most, which is "
        "easier for a small model. auto: the way that gives more rows, tried on eight passages of many.",
    )
    unanswerable: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="The share of questions that the documents do not answer, or that take something wrong for "
        "granted; their answers say so. It needs an author that follows instructions, and qa or cot.",
    )
    passage_tokens: int = Field(384, ge=32, le=32_768, description="The most tokens of a passage.")
    temperature: float = Field(
        0.0, ge=0, le=2, description="How freely the author writes. At 0 it always takes the likeliest token."
    )
    answer_tokens: int = Field(
        1024, ge=16, le=32_768, description="The most tokens that the author may write at a time."
    )
    gaps: bool = Field(
        False,
        description="Let rules also leave words out of sentences, to be filled in. Of languages other than English, "
        "Japanese and Chinese they know nothing else.",
    )
    attempts: int = Field(
        3, ge=1, le=10, description="How often to ask about a passage. Each time the author is told its mistake."
    )
    round_trip: bool = Field(
        True,
        description="Ask the author each of its questions again, beside the passage, and reject rows whose answer is "
        "another. One prompt a passage, if all agree.",
    )
    known: Literal["keep", "drop"] | None = Field(
        None,
        description="Ask the model that is to be tuned each question without the passage, and keep or drop the rows "
        "that it answers right already; those kept are marked. One short prompt a row. null asks nothing.",
    )
    tuned_model: str | None = Field(
        None, description="The model that is to be tuned, for known, as in a recipe. If left out: model."
    )
    judge: bool = Field(
        False, description="Let a model score each row from 1 to 10: the author, unless another is named."
    )
    judge_model: str | None = Field(
        None, description="The judge's model: on its own server, else on the author's, else on this machine."
    )
    judge_endpoint: EndpointSpec | None = Field(None, description="The judge's own server. It has an endpoint's keys.")
    threshold: int = Field(
        7,
        ge=1,
        le=10,
        description="The lowest score that the judge lets pass. An author that judges its own rows needs one more.",
    )
    balance: float | None = Field(
        5.0,
        ge=1,
        description="The most rows from one file, in medians of all files. null is no limit, as for text.",
    )
    held_out: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="The share of the rows that is held out, within a fifth: whole documents, and of those too large "
        "whole sections. Near copies stay on one side.",
    )
    near_copies: Literal["drop", "keep"] = Field(
        "drop", description="What happens to passages that nearly repeat an earlier one."
    )
    max_documents: int | None = Field(None, ge=1, description="Stop reading after this many documents.")
    password_env: str | None = Field(None, description="The NAME of the variable that holds the documents' password.")
    seed: int = Field(
        0, ge=0, description="Decides the words of rules, and what the author says at a temperature above 0."
    )

    @model_validator(mode="after")
    def _counted_once(self) -> Preparation:
        """How many rows are wanted is said once, and of passages that are asked about."""
        defaults = {key: type(self).model_fields[key].default for key in ("pairs", "rows", "per_1000_tokens")}
        wishes = [key for key, default in defaults.items() if getattr(self, key) != default]
        if len(wishes) > 1:
            raise ValueError(f"{' and '.join(wishes)} cannot go together: give one of them")
        for key in ("rows", "per_1000_tokens"):
            if self.task in ("rewrite", "text") and getattr(self, key) is not None:
                raise ValueError(f"{key} does not go with the task {self.task}: each passage or row gives its own")
        if self.unanswerable and (self.task not in ("qa", "cot") or self.author == "rules"):
            why = "the author is rules" if self.author == "rules" else f"the task is {self.task}"
            raise ValueError(f"unanswerable needs a model or a server as author, and qa or cot as task: {why}")
        return self

    @model_validator(mode="after")
    def _about_questions(self) -> Preparation:
        if self.about != "auto" and self.task not in ("qa", "cot"):
            raise ValueError(f"about: {self.about} is for questions: leave it out for {self.task}")
        return self

    @model_validator(mode="after")
    def _run_of_pairs(self) -> Preparation:
        """Pairs are answers of a run; nothing else is."""
        if (self.task == "pairs") != (self.run is not None):
            raise ValueError("run and the task pairs go together: name the run that answers")
        if self.task == "pairs" and self.answers == "twice" and self.temperature == 0:
            raise ValueError("at a temperature of 0 both answers are the same: give one above 0, or answers: base")
        if self.task == "pairs" and self.judge and self.judge_model is None and self.judge_endpoint is None:
            raise ValueError("name the judge of pairs: judge_model or judge_endpoint")
        return self

    @model_validator(mode="after")
    def _teacher_of_answers(self) -> Preparation:
        if self.task != "answers":
            if self.tries != type(self).model_fields["tries"].default:
                raise ValueError("tries are of the task answers")
            return self
        if self.endpoint is not None or self.author == "rules":
            raise ValueError("answers are written by a model on this machine: name it as model")
        if self.tries > 1 and self.temperature == 0:
            raise ValueError("at a temperature of 0 all answers are the same: give one above 0, or tries: 1")
        if self.judge and self.judge_model is None and self.judge_endpoint is None:
            raise ValueError("name the judge of answers: judge_model or judge_endpoint")
        return self

    @model_validator(mode="before")
    @classmethod
    def _drawn_answers(cls, tree: Any) -> Any:
        """Two answers of one model differ only where they are drawn; and no answer is a page."""
        if isinstance(tree, Mapping) and tree.get("task") == "pairs":
            return {"temperature": 0.0 if tree.get("answers") == "base" else 0.8, "answer_tokens": 256, **tree}
        if isinstance(tree, Mapping) and tree.get("task") == "answers":
            return {"temperature": 0.0 if tree.get("tries") == 1 else 0.8, "answer_tokens": 512, **tree}
        return tree

    @model_validator(mode="before")
    @classmethod
    def _whole_texts(cls, tree: Any) -> Any:
        """Plain text is learned whole: no file has a share, unless one is asked for."""
        if isinstance(tree, Mapping) and tree.get("task") == "text":
            return {"balance": None, **tree}
        return tree

    @model_validator(mode="before")
    @classmethod
    def _named_judge(cls, tree: Any) -> Any:
        """Who names a judge wants it to judge."""
        named = isinstance(tree, Mapping) and (tree.get("judge_model") or tree.get("judge_endpoint"))
        return {"judge": True, **tree} if named else tree
