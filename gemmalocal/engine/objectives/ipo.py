"""Identity preference optimization (https://arxiv.org/abs/2310.12036), over means by token as TRL has it."""

from __future__ import annotations

from gemmalocal.engine.objectives.answers import Answers, Judged, both_sides, lead


def ipo(answers: Answers, beta: float) -> Judged:
    """`(x - 1 / (2 beta))^2` of each pair, x being by how much the chosen has gained more than the rejected.

    What an answer has gained over the reference is divided by its tokens.
    """
    gained = answers.gained / answers.tokens
    beyond = lead(gained) - 1 / (2 * beta)
    return Judged(beyond**2, both_sides(2 * beyond) / answers.tokens, beta * gained)
