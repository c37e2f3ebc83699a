"""What no recipe may hold, and what stands after --set: a sentence at once, or what was meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.errors import RecipeError
from gemmalocal.recipe import other_names, recipe_file, yaml_text
from gemmalocal.recipe.data_spec import PromptTemplate
from gemmalocal.recipe.schema import Recipe, TrainSpec

LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{chr(98 + number)}: &{chr(98 + number)} [{', '.join(['*' + chr(97 + number)] * 9)}]\n" for number in range(9)
)
HEAD = "model: m\ndata: {path: p}\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: [", 1, "this is not YAML"),
        ("a: 'b", 1, "this is not YAML"),
        ("a:\n\t- b", 2, "this is not YAML"),
        ("a: 1\n\x00", 2, "U+0000"),
        ("a: 1\nb: \x1b[31m", 2, "U+001B"),
        ('a: "\\ud800"', 1, "half a character"),
        ('a: "b\\0"', 1, "U+0000"),
        ("a: &a [*a]", 1, "*a refers to itself"),
        ("a: *b", 1, "*b refers to itself, or to nothing"),
        ("a: &a\n  <<: *a\n", 2, "*a refers to itself"),
        ("a: {<<: 5}", 1, "<< takes keys"),
        (LAUGHS, 5, "more than 20,000 values"),
        ("a: &x [1]\n" + "".join(f"b{n}: &x [*x]\n" for n in range(40)), 24, "nested more than 24"),
        ("a: " + "[" * 100_000, 1, "nested more than 24"),
        ("a: " + "{a: " * 10_000, 1, "nested more than 24"),
        ("".join(" " * depth + "a:\n" for depth in range(60)), 25, "nested more than 24"),
        ("a: !!python/object/apply:os.system ['x']", 1, "leave !!python/object/apply:os.system out"),
        ("a: !!binary aGVsbG8=", 1, "leave !!binary out"),
        ("a: !mine b", 1, "leave !mine out"),
        ("a: " + "9" * 5000, 1, "a number of 5,000 characters"),
        ("a: 0." + "1" * 5000, 1, "a number of 5,002 characters"),
        ("a: 1\na: 2", 2, "the key 'a' is there twice"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("? [a]\n: b", 1, "a key must be a word"),
        ("%YAML 9.9\n---\na: 1", 1, "this is not YAML"),
        ("x" * 300_000, 1, "too long"),
        ("- a", 1, "must hold keys"),
        ("", 1, "must hold keys"),
        ("hello", 1, "must hold keys"),
    ],
)
def test_what_is_no_recipe_is_a_sentence_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        recipe_file.load(str(path))
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert says in caught.value.message
    assert len(caught.value.message) < 400


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"model: m\n\xff\xfe")
    with pytest.raises(RecipeError, match="r.yaml:2: this is not UTF-8"):
        recipe_file.load(str(path))
    path.write_bytes(b"\xef\xbb\xbfmodel: m\ndata: {path: p}\ntrain: {steps: 1}\n")
    assert recipe_file.load(str(path)).model == "m"
    path.write_bytes(b"\x00" * 2_000_000)
    with pytest.raises(RecipeError, match="too long"):
        recipe_file.load(str(path))


def test_anchors_aliases_and_merge_keys_mean_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"{HEAD}train: &t\n  <<: {{steps: 5, seed: 3}}\n  seed: 4\nsamples: {{prompts: [&p hi, *p]}}\n")
    recipe = recipe_file.load(str(path))
    assert (recipe.train.steps, recipe.train.seed, recipe.samples.prompts) == (5, 4, ["hi", "hi"])
    path.write_text(f"{HEAD}train:\n  <<: {{steps: 5, sead: 3}}\n")
    with pytest.raises(RecipeError, match=r"r.yaml:4: train.sead: there is no such key; did you mean 'seed'"):
        recipe_file.load(str(path))


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("train.steps=0", "must be 1 or more"),
        ("train.micro_batch=0", "train.micro_batch: must be 1 or more, or 'auto' (it is 0)"),
        ("train.checkpointing=maybe", "train.checkpointing: must be true or false, or 'auto' (it is 'maybe')"),
        ("data.merge_turns=7", "must be true or false (it is 7)"),
        ("train.steps=1000000000000", "must be 1000000000 or less"),
        ("train.steps=" + "9" * 5000, "a number of 5,000 characters"),
        ("train.steps=" + "9" * 299, "train.steps"),
        ("train.steps=1e999", "train.steps"),
        ("train.epochs=.inf", "must be a number (it is "),
        ("train.epochs=1e300", "must be 1000000 or less"),
        ("train.epochs=.nan", "must be a number (it is "),
        ("train.learning_rate=.nan", "must be a number, or 'auto' (it is "),
        ("train.learning_rate=-1", "must be more than 0"),
        ("train.gradient_clip=.inf", "must be a number (it is "),
        ("lora.alpha=1e308", "must be 1000000 or less"),
        ("lora.dropout=.nan", "must be a number (it is "),
        ("lora.layers=-1", "lora.layers"),
        ("train.micro_batch=0", "train.micro_batch"),
        ("data.split=.nan", "must be a number (it is "),
        ("train.batch_size=1000000000", "must be 65536 or less"),
        ("train={steps: 1, batch_size: 4, accumulation: 30000}", "120,000 rows a step, at most 65,536"),
        ("train.seed=18446744073709551616", "less than 9223372036854775808"),
        ("lora.rank=[", "this is not YAML"),
        ("lora.rank=" + "[" * 100_000, "nested more than"),
        ("lora.rank=!!python/object:os.system 1", "tags are not understood"),
        ("lora={rank: !!binary aGk=}", "tags are not understood"),
        ("=5", "write it as key=value"),
        ("train..steps=5", "write it as key=value"),
        ("nonsense", "write it as key=value"),
        ("a" * 5000, "write it as key=value"),
        ("a" * 5000 + "=1", "there is no such key"),
        ("foo.bar.baz=1", "there is no such key"),
        ("model.name=x", "model"),
        ("train=5", "must hold keys"),
        ("data.path=", "data.path"),
    ],
)
def test_values_out_of_bounds_are_a_sentence(item: str, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_file.load("quotes", [item])
    assert says in caught.value.message
    assert len(caught.value.message) < 700


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("data.template={question}: {answer}", "{question}: {answer}"),
        ("data.template={q}", "{q}"),
        ("data.template=Q: {q}\nA: {a}", "Q: {q}\nA: {a}"),
        ("data.template='{q}: it''s {a}'", "{q}: it's {a}"),
        ('data.template="{q}\\n{a}"', "{q}\n{a}"),
        ("data.template=[{q}] {a}", "[{q}] {a}"),
        ("data.template={q} # {a}", "{q} # {a}"),
        ("data.template={prompt}: {completion}", "{prompt}: {completion}"),
        ("data.template=null", None),
        ("data.path=2024", "2024"),
        ("data.path=a: b.jsonl", "a: b.jsonl"),
        ("data.path=yes", "yes"),
        ("data.path='my rows.jsonl'", "my rows.jsonl"),
        ("model=1e4", "1e4"),
        ("model=2024-01-01", "2024-01-01"),
        ("samples.prompts=What is this: a test?", ["What is this: a test?"]),
        ("samples.prompts=[a, 'b: c']", ["a", "b: c"]),
        ("samples.prompts=[]", []),
        ("lora.target_modules=q_proj", ["q_proj"]),
        ("lora.target_modules=q_proj, v_proj", ["q_proj", "v_proj"]),
        ("lora.target_modules=[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("train.checkpointing=true", True),
        ("train.micro_batch=auto", "auto"),
        ("quantize=none", "none"),
        ("train.learning_rate=1e-4", 1e-4),
        (" train.steps = 5", 5),
    ],
)
def test_what_follows_is_text_where_the_key_takes_text(item: str, value: Any) -> None:
    recipe: Any = recipe_file.load("quotes", [item])
    for place in item.partition("=")[0].strip().split("."):
        recipe = getattr(recipe, place.strip())
    if item.startswith("data.path"):
        assert recipe.endswith(value)
    elif item.startswith("lora.target"):
        assert list(recipe) == value
    else:
        assert recipe == value


def test_both_parts_of_a_template_by_name() -> None:
    recipe = recipe_file.load("quotes", ["data.template={prompt: 'Q: {q}', completion: ' {a}'}"])
    assert recipe.data.template == PromptTemplate(prompt="Q: {q}", completion=" {a}")
    parts = ["data.template.prompt={q}: ", "data.template.completion= {a}"]
    template = recipe_file.load("quotes", parts).data.template
    assert not isinstance(template, str)
    assert template is not None
    assert (template.prompt, template.completion) == ("{q}: ", " {a}")


def test_steps_take_the_place_of_epochs_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"{HEAD}train: {{epochs: 3}}\n")
    told: list[str] = []
    assert recipe_file.load(str(path), ["train.steps=50"], told.append).train.steps == 50
    assert told == ["train.steps=50 takes the place of epochs: 3"]
    assert recipe_file.load("quotes", ["train.epochs=2"], told.append).train.epochs == 2
    assert told[1:] == ["train.epochs=2 takes the place of steps: 100"]
    assert recipe_file.load(str(path), ["train.steps=", "train.epochs=2"], told.append).train.epochs == 2
    assert len(told) == 2
    with pytest.raises(RecipeError, match="one of steps, epochs and minutes"):
        recipe_file.load(str(path), ["train.steps=5", "train.epochs=2"])
    timed = recipe_file.load(str(path), ["train.minutes=40"], told.append).train
    assert (timed.minutes, timed.steps, timed.epochs, timed.steps_over(33)) == (40, None, None, None)
    assert told[2:] == ["train.minutes=40 takes the place of epochs: 3"]


@pytest.mark.parametrize("name", sorted({*other_names.OURS, *other_names.SAID}))
def test_other_trainers_names_are_answered_with_ours(name: str) -> None:
    said = other_names.answer(name)
    for key in re.findall(r"(?:data|lora|train|samples)\.\w+", said):
        section, _, field = key.partition(".")
        inner: Any = Recipe.model_fields[section].annotation
        assert field in inner.model_fields
    if name in other_names.OURS and "." not in other_names.OURS[name]:
        assert other_names.OURS[name].partition(":")[0] in Recipe.model_fields
    assert name not in Recipe.model_fields


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gradient_accumulation_steps", "train.accumulation"),
        ("per_device_train_batch_size", "train.batch_size"),
        ("micro_batch_size", "train.batch_size"),
        ("lr", "train.learning_rate"),
        ("r", "lora.rank"),
        ("lora_r", "lora.rank"),
        ("lora_alpha", "lora.alpha"),
        ("num_train_epochs", "train.epochs"),
        ("max_seq_length", "data.max_length"),
        ("max_steps", "train.steps"),
        ("iters", "train.steps"),
        ("warmup_steps", "train.warmup"),
        ("warmup_ratio", "train.warmup"),
        ("num_layers", "lora.layers"),
        ("load_in_4bit", "quantize: 4bit"),
        ("output_dir", "--name"),
        ("resume_from_checkpoint", "gemmalocal resume RUN"),
    ],
)
def test_they_are_answered_wherever_they_stand(tmp_path: Path, theirs: str, ours: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"{HEAD}train: {{steps: 1, {theirs}: 1}}\n{theirs}: 1\n")
    with pytest.raises(RecipeError) as caught:
        recipe_file.load(str(path), [f"lora.{theirs}=1"])
    assert caught.value.message.count(f"; {other_names.answer(theirs)}") == 3
    assert ours in other_names.answer(theirs)
    assert "3 problems" in caught.value.message


def test_a_number_where_text_is_wanted_says_quotes(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("model: 3\ndata: {path: p}\ntrain: {steps: 1}\n")
    with pytest.raises(RecipeError, match=r"r.yaml:1: model: .*put it in quotes"):
        recipe_file.load(str(path))


def test_a_step_of_the_most_rows_is_one(tmp_path: Path) -> None:
    assert TrainSpec(steps=1, batch_size=256, accumulation=256).rows_per_step == 65_536
    assert yaml_text.parse("a: [1, {b: 2}]").lines == {("a",): 1, ("a", 0): 1, ("a", 1): 1, ("a", 1, "b"): 1}
