"""The choices of one request, asked of an engine at the same time: what comes of each, until all have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType

from gemmalocal.serving.answers import Response
from gemmalocal.serving.engine import Begun, Engine, GeneratedPiece, GenerationRequest, Refused, Told

LOOK = 0.25  # seconds between two looks whether the client is there


class RunningRequest:
    """As a block: whatever ends it ends the engine's work on it."""

    def __init__(
        self, engine: Engine, asks: Sequence[GenerationRequest], answer: Response, gone: Callable[[], bool]
    ) -> None:
        self._engine, self._asks, self._answer, self._gone = engine, asks, answer, gone
        self._told: SimpleQueue[tuple[int, Told]] = SimpleQueue()
        self._ends: list[Callable[[], None]] = []

    def __enter__(self) -> RunningRequest:
        for place, ask in enumerate(self._asks):
            self._ends.append(self._engine.start(ask, partial(self._tell, place)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for end in self._ends:
            end()

    def pieces(self) -> Iterator[tuple[int, GeneratedPiece] | None]:
        """The place of a choice and what of it may be said; None from time to time while there is nothing.

        Raises `Refused` if one cannot be answered, `ConnectionError` once the client has gone.
        """
        looked = time.monotonic()
        while not self._answer.ended:
            try:
                place, told = self._told.get(timeout=LOOK)
            except Empty:
                yield None
            else:
                if (piece := self._taken(place, told)) is not None:
                    yield place, piece
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                if self._gone():
                    raise ConnectionError("the client has gone")

    def _tell(self, place: int, told: Told) -> None:
        self._told.put((place, told))

    def _taken(self, place: int, told: Told) -> GeneratedPiece | None:
        choice = self._answer.choices[place]
        if choice.finish:
            return None
        if isinstance(told, Refused):
            raise told
        piece = choice.begin(told) if isinstance(told, Begun) else choice.add(told)
        if choice.finish:
            self._ends[place]()
        return piece
