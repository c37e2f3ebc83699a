"""Whether an export kept the tune, as numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gemmalocal.exports import LEAST

CARRIED = 0.9  # the same of the shift of logits; half an adapter can bring most of the gain, and is not the adapter
REMEDIES = {
    "merged": "Export it with --dtype float32, or with more bits.",
    "gguf": "Take a --type with more bits: Q8_0 or BF16.",
    "ollama": "Take a --type with more bits: Q8_0 or BF16.",
    "adapter": "Export it again; if that does not help, the base is not the one that it was trained on.",
    "mlx-adapter": "mlx-lm computes this model otherwise than it was trained; export it as merged.",
}


@dataclass(frozen=True)
class Answer:
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
    answers: list[Answer] = field(default_factory=list)

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
        return REMEDIES.get(self.form) or REMEDIES[self.form.partition("-")[0]]

    def as_dict(self) -> dict[str, Any]:
        """For proof.json."""
        return {**asdict(self), "kept": self.kept, "passed": self.passed, "least": LEAST}
