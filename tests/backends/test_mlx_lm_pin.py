"""The installed mlx-lm is one that we have looked at: what we replace or subclass in it still is as we knew it.

It is pinned below its next minor version, since its classes and code objects are replaced here. When the pin moves,
each test that fails names what changed in mlx-lm and which of our files builds on it. Read both, mend ours, run
tests/backends and tests/serving, and only then write the new fingerprints here: they are what
`python -m tests.backends.test_mlx_lm_pin` prints.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import pkgutil
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from gemmalocal.backends.mlx import attention, geglu, mlx_lm_fixes
from gemmalocal.backends.transformers_import import PUT_OFF, TRANSFORMERS

ROOT = Path(__file__).parents[2]
OURS = ROOT / "gemmalocal" / "backends" / "mlx"

# What of mlx-lm: the fingerprint of its source, the file of ours that builds on it, and what to look at there.
REPLACED: dict[str, tuple[str, str, str]] = {
    "mlx_lm.models.base.scaled_dot_product_attention": (
        "8deba4a8a8fb",
        "attention.py",
        "_chunked_attention stands in its place, with its parameters",
    ),
    "mlx_lm.models.gemma.Attention": (
        "72e4fa1a9c9c",
        "attention.py",
        "_chunked_class runs its code with our attention",
    ),
    "mlx_lm.models.gemma2.Attention": (
        "6db998c3bf8f",
        "attention.py",
        "ChunkedGemma2Attention computes what it does, by chunks",
    ),
    "mlx_lm.models.gemma3_text.Attention": (
        "938cc8ce5aa9",
        "attention.py",
        "_chunked_class runs its code with our attention; is_sliding",
    ),
    "mlx_lm.models.gemma4_text.Attention": (
        "06d228643c16",
        "attention.py",
        "_chunked_class runs its code with our attention; is_sliding",
    ),
    "mlx_lm.models.gemma.MLP": (
        "27a9746ed39c",
        "mlx_lm_fixes.py",
        "TanhMLP computes what it does, with another GELU",
    ),
    "mlx_lm.models.gemma2.MLP": (
        "ddd871af8636",
        "cpu.py",
        "_fast_mlp computes what it does",
    ),
    "mlx_lm.models.gemma3_text.MLP": (
        "ddd871af8636",
        "cpu.py",
        "_fast_mlp computes what it does",
    ),
    "mlx_lm.models.gemma4_text.MLP": (
        "725f929c3456",
        "cpu.py",
        "_fast_mlp computes what it does",
    ),
    "mlx_lm.models.gemma.TransformerBlock.__call__": (
        "937a607a6e7e",
        "model.py",
        "checkpoint_layers calls it again, with the states as its first argument",
    ),
    "mlx_lm.models.gemma2.TransformerBlock.__call__": (
        "b02b457070ab",
        "model.py",
        "checkpoint_layers calls it again, with the states as its first argument",
    ),
    "mlx_lm.models.gemma3_text.TransformerBlock.__call__": (
        "2647bb63d522",
        "model.py",
        "checkpoint_layers calls it again, with the states as its first argument",
    ),
    "mlx_lm.models.gemma4_text.DecoderLayer.__call__": (
        "6721fbc4a640",
        "model.py",
        "checkpoint_layers calls it again, with the states as its first argument",
    ),
    "mlx_lm.models.gemma3_text.Gemma3Model.__call__": (
        "e65de4285bbd",
        "mlx_lm_fixes.py",
        "_use_exact_scale undoes its rounding of the embedding's scale",
    ),
    "mlx_lm.tuner.callbacks.TrainingCallback": (
        "6ccfcd4f25a4",
        "baseline.py",
        "_Reports takes trained_tokens from it",
    ),
    "mlx_lm.models.cache.LRUPromptCache.fetch_nearest_cache": (
        "7ac872d0c109",
        "serve.py",
        "PromptCache always leaves a token to read",
    ),
    "mlx_lm.server.ModelProvider": (
        "c9fdd5c47923",
        "serve.py",
        "OneModel: load and load_default",
    ),
    "mlx_lm.server.ResponseGenerator.__init__": (
        "bc2b6580cacf",
        "serve.py",
        "ServedGenerator: it starts the thread, so our attributes come first",
    ),
    "mlx_lm.server.ResponseGenerator._run_generate": (
        "b75d390ff9cb",
        "serve.py",
        "ServedGenerator goes on after an error",
    ),
    "mlx_lm.server.ResponseGenerator._generate": (
        "3a4259353eae",
        "serve.py",
        "ServedGenerator: what it puts into a ResponseSink, in which order",
    ),
    "mlx_lm.server.ResponseGenerator._tokenize": (
        "85879c0b95a4",
        "serve.py",
        "ServedGenerator._tokenize gives the same five",
    ),
    "mlx_lm.server.ResponseGenerator._make_state_machine": (
        "659a2f7b08e3",
        "serve.py",
        "ServedGenerator gives it WithoutCalls: what it reads of a tokenizer is there, without calls",
    ),
    "mlx_lm.server.ResponseGenerator._serve_single": (
        "90f0dd097553",
        "serve.py",
        "ServedGenerator scores a prompt before it",
    ),
    "mlx_lm.server.ResponseGenerator._is_batchable": (
        "b2af8bdb88ca",
        "mlx_lm_requests.py",
        "arguments: a seed makes a request be served alone",
    ),
    "mlx_lm.server.run": (
        "8f50bb2caad4",
        "serve.py",
        "_run stands in its place",
    ),
    "mlx_lm.server.main": (
        "747b1f39c7f1",
        "serve.py",
        "main: it takes ModelProvider and run from its module",
    ),
}

CHUNKED = ["gemma", "gemma3_text", "gemma4_text"]  # families whose attention runs with our function

# Their objects that we make, by position: the fields, in their order.
FIELDS: dict[str, str] = {
    "mlx_lm.server.SamplingArguments": "temperature top_p top_k min_p xtc_probability xtc_threshold",
    "mlx_lm.server.LogitsProcessorArguments": (
        "logit_bias repetition_penalty repetition_context_size presence_penalty presence_context_size "
        "frequency_penalty frequency_context_size"
    ),
    "mlx_lm.server.GenerationArguments": (
        "model sampling logits stop_words max_tokens num_draft_tokens logprobs top_logprobs seed chat_template_kwargs"
    ),
    "mlx_lm.server.CompletionRequest": "request_type prompt messages tools role_mapping",
    "mlx_lm.server.ModelDescription": "model draft adapter",
    "mlx_lm.server.GenerationContext": (
        "has_tool_calling has_thinking tool_parser text_sm initial_state prompt prompt_cache_count _should_stop"
    ),
    "mlx_lm.server.Response": "text token logprob finish_reason top_tokens",
}


def fingerprint(name: str) -> str:
    """Of the source text of a dotted name, which is the same on every machine."""
    return hashlib.sha256(inspect.getsource(resolved(name)).encode()).hexdigest()[:12]


def resolved(name: str) -> Any:
    return pkgutil.resolve_name(name)


def fields(name: str) -> str:
    return " ".join(inspect.signature(resolved(name)).parameters)


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parsed = [Requirement(line) for line in project["dependencies"]]
    return [requirement for requirement in parsed if requirement.name == "mlx-lm"]


def test_the_installed_version_is_within_the_pin() -> None:
    installed = metadata.version("mlx-lm")
    assert len(requirements()) == 2, "macOS and Linux"
    for requirement in requirements():
        assert any(bound.operator == "<" for bound in requirement.specifier), "pinned below the next minor version"
        assert requirement.specifier.contains(installed), f"mlx-lm {installed} was not looked at: see {__file__}"


@pytest.mark.parametrize("name", REPLACED)
def test_what_we_replace_is_as_we_knew_it(name: str) -> None:
    known, file, look_at = REPLACED[name]
    assert (OURS / file).is_file()
    assert fingerprint(name) == known, (
        f"{name} of mlx-lm changed. Look at {OURS / file}: {look_at}. Then see {__file__}."
    )


@pytest.mark.parametrize("name", FIELDS)
def test_what_we_make_has_the_fields_that_we_fill(name: str) -> None:
    assert fields(name) == FIELDS[name], f"{name} of mlx-lm changed. Look at {OURS / 'mlx_lm_requests.py'}."


def mlx_lm_names(tree: ast.Module) -> dict[str, str]:
    """What a file imports of mlx-lm: the local name, and the dotted one."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mlx_lm"
        for alias in node.names
    }


def dotted(node: ast.expr, imported: dict[str, str]) -> str | None:
    """`server.ModelProvider` as `mlx_lm.server.ModelProvider`; None for what is not of mlx-lm."""
    head, *rest = ast.unparse(node).split(".")
    return ".".join([imported[head], *rest]) if head in imported else None


def subclassed_or_assigned(path: Path) -> set[str]:
    """The names of mlx-lm that a file of ours subclasses (each method that it overrides) or assigns to."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported, names = mlx_lm_names(tree), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [statement.name for statement in node.body if isinstance(statement, ast.FunctionDef)]
            for base in filter(None, (dotted(base, imported) for base in node.bases)):
                names |= {f"{base}.{method}" for method in methods if method in vars(resolved(base))}
        elif isinstance(node, ast.Assign):
            targets = [part for target in node.targets for part in getattr(target, "elts", [target])]
            names |= {name for target in targets if (name := dotted(target, imported))}
    return names


def test_nothing_that_we_replace_is_missing_from_the_table() -> None:
    replaced = set().union(*(subclassed_or_assigned(path) for path in OURS.glob("*.py")))
    assert "mlx_lm.server.run" in replaced
    assert "mlx_lm.models.gemma2.Attention.__call__" in replaced
    # Classes that are made at run time: one for each feed-forward block and attention of a family.
    replaced |= {
        f"{plain.__module__}.{plain.__qualname__}.__call__"
        for plain in geglu.PLAIN
        if plain is not mlx_lm_fixes.TanhMLP
    }
    replaced |= {f"mlx_lm.models.{family}.Attention.__call__" for family in CHUNKED}
    covered = {name for name in replaced if any(name == key or name.startswith(f"{key}.") for key in REPLACED)}
    assert replaced - covered == set(), "add them to REPLACED, with what to look at"


def test_what_mlx_lm_imports_of_transformers_is_put_off() -> None:
    imported = set()
    for path in Path(resolved("mlx_lm").__file__).parent.rglob("*.py"):
        if path.parent.name == "chat_templates":  # imported by name, for models that are no Gemma
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == TRANSFORMERS:
                imported |= {(node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                imported |= {(alias.name, "") for alias in node.names if alias.name.split(".")[0] == TRANSFORMERS}
    assert imported == {(module, kind) for module, kinds in PUT_OFF.items() for kind in kinds}


@pytest.mark.parametrize("family", CHUNKED)
def test_mlx_lms_attention_still_calls_what_we_put_in_its_place(family: str) -> None:
    forward = resolved(f"mlx_lm.models.{family}.Attention").__call__
    assert attention.MLX_LM_ATTENTION in forward.__code__.co_names
    ours = [name for name in inspect.signature(attention._chunked_attention).parameters if name != "window"]
    assert fields(f"mlx_lm.models.base.{attention.MLX_LM_ATTENTION}").split()[: len(ours)] == ours


if __name__ == "__main__":
    print("mlx-lm", metadata.version("mlx-lm"))
    print(
        *(f"{name} {fingerprint(name)}" for name in REPLACED), *(f"{name} {fields(name)}" for name in FIELDS), sep="\n"
    )
