"""A finished run, as exports and servers take it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gemmalocal.data import layout
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.export.merge import merged
from gemmalocal.planning.published import Licence, licence
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights.tensors import Tensor


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its folder, recipe, base model, and what it made (an adapter's or a whole model's folder)."""

    run: Path
    recipe: Recipe
    base: Path
    result: Path

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder, if it made one."""
        return None if self.recipe.method == "full" else self.result

    @property
    def model_folder(self) -> Path:
        """A folder with the configuration and the tokenizer of what it made: the base's, or the whole model's own."""
        return self.base if self.adapter else self.result

    @property
    def licence(self) -> Licence:
        """The licence of the base's weights, which holds for what was made of them."""
        config = json.loads((self.base / "config.json").read_text(encoding="utf-8"))
        return licence(str(config["model_type"]), self.recipe.model)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of its rows, with the chat template that they had."""
        return layout.tokenizer(self.model_folder, self.recipe.data, self.run / "examples")

    def layout(self, tokenizer: Tokenizer) -> Layout:
        """How its rows were laid out: as conversations, or as plain text."""
        return layout.remembered(self.run / "examples", self.recipe.data, tokenizer)

    @property
    def chat_template(self) -> str | None:
        """What an export of a model that is talked to must bring, if its base does not: the template of its rows."""
        tokenizer = self.tokenizer
        laid_out = self.layout(tokenizer)
        return laid_out.template(tokenizer) if laid_out.form == "chat" else None

    def tensors(self) -> list[Tensor]:
        """All weights of the tuned model, in float32, read one at a time; raises `ModelError` for a damaged one."""
        return merged(self.result, None) if self.adapter is None else merged(self.base, self.adapter)
