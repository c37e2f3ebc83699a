"""Makes distill.npz: losses and gradients of TRL's generalized_jsd_loss, which ours must equal where all ids are kept.

    pip install trl==1.16.0 torch
    python tests/engine/goldens/distill_by_trl.py

Inputs are drawn: the logits of a student and a teacher for 40 tokens of a vocabulary of 30. Losses are sums over all
tokens, gradients torch's by the student's logits, in float64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from trl.experimental.gkd import GKDTrainer

TOKENS, VOCABULARY = 40, 30
BETAS, TEMPERATURES = (0.0, 0.1, 0.5, 1.0), (1.0, 2.0)


def main() -> None:
    """Write the file."""
    draw = np.random.default_rng(22)
    arrays = {name: draw.normal(0, 3, (TOKENS, VOCABULARY)) for name in ("student", "teacher")}
    teacher = torch.tensor(arrays["teacher"])[None]
    for beta in BETAS:
        for temperature in TEMPERATURES:
            student = torch.tensor(arrays["student"], requires_grad=True)
            loss = GKDTrainer.generalized_jsd_loss(
                student[None], teacher, beta=beta, temperature=temperature, reduction="sum"
            )
            loss.backward()
            assert student.grad is not None
            name = f"{beta:g} at {temperature:g}"
            arrays |= {f"{name} loss": loss.detach().numpy(), f"{name} gradient": student.grad.numpy()}
    np.savez_compressed(Path(__file__).with_name("distill.npz"), **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
