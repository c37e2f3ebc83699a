"""gemmalocal: your Gemma, tuned on your own rows and documents, on your own machine.

The map of the house. Imports point upstream: a file may import the room its material came from. docs/architecture.md
has the hall in parts, the laws, and the way of a row and of a key press.

    hall        gemmalocal/*.py    what everybody may use: recipes, events, jobs, history, fit (no tensors, no numpy)
    documents/  files              -> documents -> passages; files of rows -> rows
    synthesis/  passages           -> rows with evidence, or a reason
    weights/    a model's name     -> a folder of weights
    data/       rows               -> records -> examples (ids, weights) -> micro-batches
    backends/   batches or ids     -> numbers, ids, adapter folders   (mlx/ and torch/, equal siblings)
    engine/     a trainer, batches -> events
    serving/    OpenAI's protocol  -> questions to an engine, and its answers
    export/     a base, a result   -> folders and files for other programs; the proof
    pipelines/  the only place where rooms meet; each runs in a child process (worker.py)
    cli/        a watcher of job directories: starts, prints, stops (tui/ is the other one)
"""

__version__ = "0.1.0"
