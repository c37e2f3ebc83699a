"""gemmalocal: your Gemma, tuned on your own rows, on your own machine.

The map of the house. Imports point upstream: a file may import the room its material came from.

    hall        gemmalocal/*.py   what everybody may use: recipes, events, jobs, history (no tensors, no numpy)
    weights/    a model's name  -> a folder of weights
    data/       rows            -> records -> examples (ids, weights) -> batches
    backends/   batches or ids  -> numbers, ids, adapter folders   (mlx/ and, as equal siblings, others)
    engine/     a trainer and batches -> events
    pipelines/  the only place where rooms meet; each runs in a child process (worker.py)
    cli/        a watcher of job directories: starts, prints, stops (tui/ is the other one)
"""

__version__ = "0.1.0"
