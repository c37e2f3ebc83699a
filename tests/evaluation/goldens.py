"""Writes goldens.json: values of scipy, statsmodels, sacrebleu and rouge-score, which we do not depend on.

`pip install scipy statsmodels sacrebleu rouge-score; python -m tests.evaluation.goldens`
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "goldens.json"
TABLES = [(0, 0), (0, 1), (5, 5), (14, 2), (2, 14), (30, 12), (1, 30), (400, 330)]
SHARES = [(0, 10), (10, 10), (7, 20), (61, 80), (1, 1), (499, 500)]
P_VALUES = [[0.01, 0.04, 0.03, 0.005], [0.5, 0.9], [0.02], [0.04, 0.04, 0.04]]
FISHERS = [((3, 1), (1, 3)), ((40, 5), (22, 18)), ((0, 4), (0, 9)), ((100, 0), (100, 100)), ((7, 3), (3, 8))]
FREEDOMS = [1, 2, 3, 6, 10, 30, 200]
TEXTS = [
    ("the cat sat on the mat", "the cat is on the mat"),
    ("", "something"),
    ("a b c d e f g", "g f e d c b a"),
    ("Imagination is more important than money.", "Imagination is more important than knowledge."),
    ("entirely different words", "nothing in common here at all"),
    ("one two three one two three", "one two three"),
]
POWERS = [(56, 0.2, 0.3), (80, 0.25, 0.4), (233, 0.1, 0.3), (20, 0.1, 0.1)]


def goldens() -> dict[str, Any]:
    """Their values."""
    import numpy as np
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import CHRF
    from scipy import stats
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportion_confint

    rouge, chrf = RougeScorer(["rougeL"]), CHRF()
    powers = []
    for rows, gain, discordant in POWERS:
        total = 0.0
        for count in range(rows + 1):
            fixed = np.arange(count + 1)
            seen = np.array([stats.binomtest(int(k), count).pvalue <= 0.05 if count else False for k in fixed])
            right_way = seen & (fixed > count / 2)
            chance = stats.binom.pmf(fixed, count, (1 + gain / discordant) / 2)
            total += stats.binom.pmf(count, rows, discordant) * chance[right_way].sum()
        powers.append(float(total))
    return {
        "mcnemar": [float(mcnemar([[9, b], [c, 9]], exact=True).pvalue) for b, c in TABLES[1:]],
        "wilson": [list(map(float, proportion_confint(k, n, method="wilson"))) for k, n in SHARES],
        "fisher": [float(stats.fisher_exact(list(map(list, table)))[1]) for table in FISHERS],
        "holm": [list(map(float, multipletests(values, method="holm")[1])) for values in P_VALUES],
        "student": [float(stats.t.ppf(0.975, freedom)) for freedom in FREEDOMS],
        "rouge": [rouge.score(reference, answer)["rougeL"].fmeasure for answer, reference in TEXTS],
        "chrf": [chrf.sentence_score(answer, [reference]).score / 100 for answer, reference in TEXTS],
        "power": powers,
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(goldens(), indent=1) + "\n")
