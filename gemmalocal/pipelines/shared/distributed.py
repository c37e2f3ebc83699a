"""What the processes of a group agree on before and while they train: rank 0 decides, the others follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gemmalocal.backends.process_group import Group, gather, wait
from gemmalocal.engine.pause import PauseControl
from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs import history
from gemmalocal.pipelines import Commands, stop_asked
from gemmalocal.pipelines.shared.budget import Budget
from gemmalocal.planning import pressure
from gemmalocal.planning.pressure import Level, Strain
from gemmalocal.recipe.schema import Recipe


def recipe_of_leader(group: Group, directory: Path) -> Recipe:
    """The recipe, once rank 0 has put it, the model and the rows in place; raises `GemmalocalError` if it is not."""
    wait(group)
    if not (directory / "job.json").exists():
        raise GemmalocalError(
            f"Process {group.rank} does not see the run of process 0 in {directory}.",
            "All need one workspace: a shared disk at the same path, named by GEMMALOCAL_HOME.",
        )
    return Recipe.model_validate(history.spec(directory))


def agreed_budget(group: Group, decided: Budget) -> Budget:
    """Rank 0's decisions on memory: the plan of micro-batches must be the same on all. Streams: the fewest of all."""
    own_shapes, train = decided.shapes, decided.recipe.train
    ranks = gather(
        group,
        own_shapes.multiple,
        own_shapes.overhead,
        own_shapes.limit,
        own_shapes.packed,
        train.checkpointing is True,
        own_shapes.streams,
    )
    multiple, overhead, limit, packed, checkpointing, _ = map(int, ranks[0])
    streams = int(min(rank[-1] for rank in ranks))
    shapes = replace(
        own_shapes, multiple=multiple, overhead=overhead, limit=limit, packed=bool(packed), streams=streams
    )
    train = train.model_copy(update={"checkpointing": bool(checkpointing)})
    return replace(decided, recipe=decided.recipe.model_copy(update={"train": train}), shapes=shapes)


class StopWish:
    """Whether somebody has left a stop among `commands`; it stands, however many ask."""

    def __init__(self, commands: Commands) -> None:
        self._commands, self._stop = commands, False

    def __call__(self) -> bool:
        """Look, and say."""
        self._stop = stop_asked(self._commands) or self._stop
        return self._stop


def brake(wished: Callable[[], bool], group: Group) -> PauseControl:
    """One that all ranks obey at the same step, whoever was asked to stop and whichever machine is strained."""
    gauges = pressure.gauges()

    def stop() -> bool:
        return any(group.sum([wished()]))

    return PauseControl(stop, lambda: worst_of_all(group, pressure.worst_reading(gauges)))


def worst_of_all(group: Group, own: Strain) -> Strain:
    """The highest level among a group's machines, the same on each; with this machine's reading where it has that."""
    level = Level(int(max(max(rank) for rank in gather(group, own.level))))
    return own if own.level == level else Strain(level, "another machine's memory or heat", "Look at the others")
