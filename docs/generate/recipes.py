"""docs/recipes.md: every key of a recipe and of a preparation, from the fields of their sections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from docs.generate.tables import NOTE, code, table
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.data_spec import DataSource, DataSpec, PromptTemplate
from gemmalocal.recipe.objective import ObjectiveSpec
from gemmalocal.recipe.prepare_schema import EndpointSpec, Preparation
from gemmalocal.recipe.schema import LoraSpec, Recipe, ReportSpec, SampleSpec, TrainSpec
from gemmalocal.recipe.search_keys import KEYS
from gemmalocal.recipe.search_spec import SearchSpec
from gemmalocal.recipe.teacher import TeacherSpec

Tree = dict[str, Any]

LIMITS = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
WORDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "names with numbers",
}  # fmt: skip
HUGE = 2**53  # limits beyond it are said as a power of two


class Part(NamedTuple):
    """A section of keys: where it stands, what holds it, what to know of it, and an example in a whole file."""

    title: str
    model: type[BaseModel]
    about: str
    example: str


REST = "train: {steps: 100}\n"
DATA = "model: gemma-3-270m-demo\n" + REST
RECIPE = [
    Part(
        "The recipe itself",
        Recipe,
        "A recipe is a YAML file. Only `model`, `data` and the length of `train` have no default.",
        "model: google/gemma-3-1b-it\nquantize: 4bit\ndata:\n  path: rows.jsonl\ntrain:\n  epochs: 2\n",
    ),
    Part(
        "data",
        DataSpec,
        "Which rows there are, and how they become text. What the files may hold is told in [rows](rows.md).",
        DATA + 'data:\n  path: quotes.csv\n  template: "{quote} - {author}"\n  split: 0.1\n  max_length: 256\n',
    ),
    Part(
        "data.path, as a list",
        DataSource,
        "Several places. Each is a path alone, or these keys.",
        DATA + "data:\n  path:\n    - mine.jsonl\n    - {path: more.csv, weight: 2, rows: 500, template: '{text}'}\n",
    ),
    Part(
        "data.template, in two parts",
        PromptTemplate,
        "With two parts, only the completion is learned. A brace itself is written twice.",
        DATA + 'data:\n  path: faq.csv\n  template:\n    prompt: "Question: {q}\\nAnswer:"\n    completion: " {a}"\n',
    ),
    Part(
        "objective",
        ObjectiveSpec,
        "What is learned from the rows. Without it, answers are imitated (`sft`), or with a teacher what that says of "
        "them (`distill`, https://arxiv.org/abs/2306.13649). The others learn which answer is better: dpo "
        "(https://arxiv.org/abs/2305.18290), ipo (https://arxiv.org/abs/2310.12036), orpo "
        "(https://arxiv.org/abs/2403.07691), simpo (https://arxiv.org/abs/2405.14734), kto "
        "(https://arxiv.org/abs/2402.01306). With one of these five, `train` has other defaults: a lower learning "
        "rate, a warm-up of a tenth, one epoch, 8 pairs in a batch.",
        "model: google/gemma-3-1b-it\nstart_from: my-run\ndata: {path: pairs.jsonl}\n"
        "objective: {kind: dpo, beta: 0.1}\ntrain: {epochs: 1}\n",
    ),
    Part(
        "teacher",
        TeacherSpec,
        "A larger model, or a run, that reads the rows once before training: [a teacher at home](teach.md).",
        "model: google/gemma-3-1b-it\ndata: {path: rows.jsonl}\n"
        "teacher: {model: google/gemma-3-12b-it, quantize: 4bit}\n"
        "objective: {kind: distill, mix: 0.1}\ntrain: {epochs: 2}\n",
    ),
    Part(
        "lora",
        LoraSpec,
        "The adapter: LoRA (https://arxiv.org/abs/2106.09685) or DoRA (https://arxiv.org/abs/2402.09353). "
        "With `method: full` there is none.",
        DATA + "data: {path: rows.jsonl}\nlora:\n  rank: 16\n  alpha: 32\n  target_modules: [q_proj, v_proj]\n",
    ),
    Part(
        "train",
        TrainSpec,
        "How it is trained. Give one of `steps`, `epochs` and `minutes`.",
        "model: gemma-3-270m-demo\ndata: {path: rows.jsonl}\n"
        "train:\n  epochs: 3\n  batch_size: 2\n  accumulation: 4\n  learning_rate: 1e-4\n  early_stop: 5\n",
    ),
    Part(
        "samples",
        SampleSpec,
        "Prompts that are answered before, during and after training. The likeliest token is taken each time.",
        DATA + "data: {path: rows.jsonl}\nsamples:\n  max_tokens: 40\n  prompts:\n    - The best way to\n",
    ),
    Part(
        "report",
        ReportSpec,
        "How `gemmalocal report` judges the answers to held-out rows: [did it help?](guide.md#did-it-help)",
        DATA + "data: {path: sums.jsonl}\nreport:\n  metric: number\n",
    ),
    Part(
        "search",
        SearchSpec,
        "What is tried on short runs first: [forty minutes](guide.md#forty-minutes). `gemmalocal tune` sets it. `over` "
        f"takes {', '.join(f'`{key}`' for key in KEYS)}; another key is refused, with what to do instead.",
        "model: gemma-3-270m-demo\ndata: {path: rows.jsonl}\ntrain: {minutes: 40}\n"
        "search:\n  trials: 4\n  over: ['train.learning_rate=1e-4,4e-4', 'lora.rank=8,32']\n",
    ),
]
PREPARATION = [
    Part(
        "The preparation itself",
        Preparation,
        "A preparation is a YAML file too. The options of `gemmalocal prepare` are the same keys.",
        "sources:\n  - manuals/*.pdf\n  - hf:owner/name\ntask: qa\npairs: 4\njudge: true\nthreshold: 8\n",
    ),
    Part(
        "endpoint",
        EndpointSpec,
        "A server that writes in place of the model, such as LM Studio, Ollama, vLLM or llama.cpp.",
        "sources: [notes.md]\nendpoint:\n  url: http://localhost:1234/v1\n  key_env: MY_KEY\n  concurrency: 8\n",
    ),
]
SMALL = "model: m\ndata: {path: rows.jsonl}\n"
REFUSED: list[tuple[type[BaseModel], str]] = [  # what does not go together, with what is said
    (Recipe, SMALL + "train: {}"),
    (Recipe, SMALL + "train: {steps: 10, epochs: 1}"),
    (Recipe, SMALL + "train: {steps: 10}\nsearch: {trials: 2, over: ['data.path=a,b']}"),
    (Recipe, SMALL + "train: {steps: 10, batch_size: 512, accumulation: 512}"),
    (Recipe, SMALL + "train: {steps: 10}\nmethod: full\nlora: {rank: 4}"),
    (Recipe, SMALL + "train: {steps: 10}\nmethod: full\nquantize: 4bit"),
    (Recipe, SMALL + "train: {steps: 10}\nmethod: full\ndtype: bfloat16"),
    (Recipe, SMALL + "train: {steps: 10}\nmethod: full\nstart_from: quotes-1"),
    (Recipe, SMALL + "train: {steps: 10}\nobjective: {kind: ipo, gamma: 1}"),
    (Recipe, SMALL + "train: {steps: 10, learning_rat: 1e-4}"),
    (Preparation, "sources: [a.pdf]\nendpoint: {url: 'localhost:1234'}"),
    (Preparation, "sources: [a.pdf]\npairs: 2\nrows: 500"),
    (Preparation, "sources: [a.pdf]\nkinds: [what, whom]"),
    (Preparation, "sources: [a.pdf]\nendpoint: {url: 'https://me:secret@host/v1'}"),
]


def page() -> str:
    """The whole page."""
    lines = [
        "# Recipes and preparations",
        NOTE,
        "",
        "`gemmalocal train FILE` reads a recipe, and `gemmalocal prepare FILE` a preparation. Both are YAML. A key",
        "that is not known is an error, with its line and the nearest key that is. All problems of a file are told at",
        "once. `--set KEY=VALUE` changes one key: `--set train.steps=50` that of the section `train`.",
        "",
        "A relative path means a file beside the recipe if there is one. Else it means one where you stand.",
        "",
        "An editor completes the keys and underlines what is wrong, by the schemas beside the recipes that come along:",
        "`recipe.schema.json` and `prepare.schema.json`. A file names its own in the first line, as they do:",
        "`# yaml-language-server: $schema=recipe.schema.json`. The shell completes names of runs, recipes, datasets",
        "and models, and behind `--set` the keys and their words.",
        "",
        f"Recipes that come along: {', '.join(f'`{name}`' for name in recipe_file.builtin_recipes())}.",
    ]
    lines += ["", "## Recipe", *_parts(RECIPE), "", "## Preparation", *_parts(PREPARATION)]
    lines += ["", "## What is refused, and what is said", ""]
    lines += table(["in the file", "what is said"], _refusals())
    return "\n".join(lines) + "\n"


def _parts(parts: list[Part]) -> Iterator[str]:
    for part in parts:
        yield from ("", f"### {part.title}", "", part.about, "")
        yield from table(["key", "default", "takes", "what it is"], _keys(part.model))
        yield from ("", *code(part.example))


def _keys(model: type[BaseModel]) -> Iterator[list[str]]:
    schema = model.model_json_schema()
    for name, about in schema["properties"].items():
        default = "**must be given**" if name in schema.get("required", ()) else _default(about)
        yield [f"`{name}`", default, takes(about), about.get("description", f"See [{name}](#{name}).")]


def _default(about: Tree) -> str:
    if "default" not in about:  # made anew for each recipe
        return "`[]`" if about.get("type") == "array" else "its own defaults"
    value = about["default"]
    if about.get("type") == "array" and value == about.get("items", {}).get("enum"):
        return "all of them"
    return "none" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def takes(about: Tree) -> str:
    """What a value may be, in words, by its JSON schema."""
    if several := about.get("anyOf") or about.get("oneOf"):
        return " or ".join(takes(part) for part in several if part.get("type") != "null")
    if "$ref" in about:
        return "keys"
    if "const" in about:
        return f"`{about['const']}`"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if about["type"] == "array":
        inner = about["items"]
        return (
            "a list"
            if "$ref" in inner or inner.get("type") == "string" and "enum" not in inner
            else f"a list of {takes(inner)}"
        )
    limits = [words.format(_number(about[limit])) for limit, words in LIMITS.items() if limit in about]
    return " ".join([WORDS[about["type"]], *limits])


def _number(value: float) -> str:
    return f"2^{int(value).bit_length() - 1}" if value >= HUGE else f"{value:,}"


def _refusals() -> Iterator[list[str]]:
    for schema, text in REFUSED:
        _, problems = recipe_file.from_tree(recipe_file.scalar(text), schema)
        shown = text.removeprefix(SMALL).removeprefix("sources: [a.pdf]\n").replace("\n", ", ")
        yield [f"`{shown}`", "<br>".join(f"{key}: {why}" if key else why for key, why in problems.items())]
