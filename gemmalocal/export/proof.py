"""Whether an export kept the tune, as numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gemmalocal.workspace.exports import LEAST, TYPES

CARRIED = 0.9  # the same of the shift of logits; half an adapter can bring most of the gain, and is not the adapter
REMEDIES = {  # by a form's label; those of GGUF's types with fewer bits are computed
    "merged-4bit": "Take --quantize 8, or leave --quantize out.",
    "merged-8bit": "Leave --quantize out, with --dtype bfloat16 or float32.",
    "merged-bfloat16": "Export it with --dtype float32.",
    "merged-float16": "Export it with --dtype float32, or bfloat16, which holds larger numbers.",
    "merged-float32": "No form is more exact: is the base's folder still the one that it was trained on?",
    "gguf-F16": "Take --type BF16, which holds larger numbers, or export it as merged with --dtype float32.",
    "gguf-BF16": "Take --type F16, which keeps more digits, or export it as merged with --dtype float32.",
    "adapter": "Export it again; if that does not help, the base is not the one that it was trained on.",
    "gguf-adapter": "The base's file is not the model that was trained on, or not nearly: name another (--base).",
    "mlx-adapter": "mlx-lm computes this model otherwise than it was trained; export it as merged.",
}


@dataclass(frozen=True)
class ProofAnswer:
    """One prompt, answered greedily by the run and by its export."""

    prompt: str
    tuned: str
    exported: str

    @property
    def same(self) -> bool:
        """Whether the texts are equal."""
        return self.tuned == self.exported


@dataclass(frozen=True)
class Proof:
    """Held-out losses in nats a token, over the same `tokens`; who read the export again; what it answered."""

    form: str
    reader: str
    tokens: int
    base: float
    tuned: float
    exported: float
    logit_difference: float  # the mean over the vocabulary, after each prompt
    carried: float  # how far the logits were shifted from the base's towards the tuned ones: 1 is all the way
    answers: list[ProofAnswer] = field(default_factory=list)

    @property
    def kept(self) -> float | None:
        """The share of the gain that is left; None where there was no gain that could be kept."""
        gain = self.base - self.tuned
        return (self.base - self.exported) / gain if gain > 0 else None

    @property
    def passed(self) -> bool:
        """Whether enough of the gain and of the shift is left; without a gain, whether nothing was lost."""
        if self.kept is None:
            return self.exported <= self.tuned + 0.01 * abs(self.tuned)
        return self.kept >= LEAST and self.carried >= CARRIED

    @property
    def remedy(self) -> str:
        """What to do if it did not pass."""
        return remedy(self.form)

    def as_dict(self) -> dict[str, Any]:
        """For proof.json."""
        return {**asdict(self), "kept": self.kept, "passed": self.passed, "least": LEAST}


def remedy(label: str) -> str:
    """What would help an export of that label (`gguf-Q4_0`) that lost the tune: never what it is already."""
    label = label.replace("ollama-", "gguf-")
    bits = TYPES.get(label.removeprefix("gguf-"))
    if label in REMEDIES or bits is None:
        return REMEDIES.get(label, "Export it again.")
    *others, most_exact = sorted((name for name in TYPES if TYPES[name] > bits), key=TYPES.__getitem__)
    return f"Take a --type with more bits: {', '.join(others)} or {most_exact}."
