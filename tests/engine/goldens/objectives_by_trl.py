"""Makes objectives.npz: losses and slopes of TRL's own functions, which our objectives must equal.

    pip install trl==0.24.0 transformers==4.56.2 torch
    python tests/engine/goldens/objectives_by_trl.py

Inputs are drawn: 500 pairs, so 1,000 log-probabilities, their tokens and those of a reference. Slopes are torch's, by
the summed log-probability of each answer; all in float64. TRL is asked with what it would be handed in training: sums
for dpo and kto, means by token for ipo, orpo and simpo.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from trl import CPOTrainer, DPOTrainer, KTOTrainer, ORPOTrainer
from trl.trainer.dpo_config import FDivergenceType

PAIRS, DIVERGENCE = 500, 0.7
SETTINGS: dict[str, dict[str, Any]] = {
    "dpo": {"beta": 0.1, "label_smoothing": 0.0},
    "dpo smoothed": {"beta": 0.5, "label_smoothing": 0.2},
    "ipo": {"beta": 0.1},
    "orpo": {"beta": 0.3},
    "simpo": {"beta": 2.0, "gamma": 1.0},
    "kto": {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.5},
}


def losses(kind: str, logp: torch.Tensor, reference: torch.Tensor, tokens: torch.Tensor) -> Any:
    """TRL's loss of each pair, or answer."""
    settings = SETTINGS[kind]
    accelerator = SimpleNamespace(device=torch.device("cpu"), gather_for_metrics=lambda value: value)
    self = SimpleNamespace(
        accelerator=accelerator, reference_free=False, f_divergence_type=FDivergenceType.REVERSE_KL, alpha=0.0,
        f_divergence_params=None, loss_type="simpo" if kind == "simpo" else "kto",
        calculate_KL=True, simpo_gamma=settings.get("gamma"), **{"label_smoothing": 0.0} | settings,
    )  # fmt: skip
    if kind in ("ipo", "orpo", "simpo"):
        logp, reference = logp / tokens, reference / tokens
    chosen, rejected, of_chosen, of_rejected = logp[::2], logp[1::2], reference[::2], reference[1::2]
    if kind.startswith("dpo"):
        return DPOTrainer.dpo_loss(self, chosen, rejected, of_chosen, of_rejected, "sigmoid")[0]
    if kind == "ipo":
        return DPOTrainer.dpo_loss(self, chosen, rejected, of_chosen, of_rejected, "ipo")[0]
    if kind == "orpo":  # as in its get_batch_loss_metrics: what imitates, less the odds ratio's term
        return -chosen - ORPOTrainer.odds_ratio_loss(self, chosen, rejected)[0]
    if kind == "simpo":
        return CPOTrainer.cpo_loss(self, chosen, rejected)[0]
    far = torch.full((1,), DIVERGENCE, dtype=torch.float64)
    by_side = KTOTrainer.kto_loss(self, chosen, rejected, far, of_chosen, of_rejected, torch.zeros_like(far))[0]
    return torch.stack([by_side[:PAIRS], by_side[PAIRS:]], 1).reshape(-1)


def main() -> None:
    """Write the file."""
    draw = np.random.default_rng(19)
    tokens = draw.integers(1, 60, 2 * PAIRS).astype(np.float64)
    arrays = {"tokens": tokens, "logp": -tokens * draw.gamma(2.0, 0.7, 2 * PAIRS) - 1e-3}
    arrays["reference"] = arrays["logp"] + draw.normal(0, 6, 2 * PAIRS)
    for kind in SETTINGS:
        logp = torch.tensor(arrays["logp"], requires_grad=True)
        values = losses(kind, logp, torch.tensor(arrays["reference"]), torch.tensor(tokens))
        values.sum().backward()
        assert logp.grad is not None
        arrays |= {f"{kind} losses": values.detach().numpy(), f"{kind} slopes": logp.grad.numpy()}
    np.savez_compressed(Path(__file__).with_name("objectives.npz"), **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
