"""The choices of one request, asked of an engine at the same time: what comes of each, until all have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType

from gemmalocal.serving.answers import Response
from gemmalocal.serving.engine import Begun, Engine, GeneratedPiece, GenerationRequest, GenerationUpdate, Refused

LOOK = 0.25  # seconds between two looks whether the client is there


class RunningRequest:
    """The choices of one request while an engine answers them; leaving its block ends the engine's work on them."""

    def __init__(
        self, engine: Engine, requests: Sequence[GenerationRequest], answer: Response, gone: Callable[[], bool]
    ) -> None:
        self._engine, self._requests, self._answer, self._gone = engine, requests, answer, gone
        self._updates: SimpleQueue[tuple[int, GenerationUpdate]] = SimpleQueue()
        self._ends: list[Callable[[], None]] = []

    def __enter__(self) -> RunningRequest:
        for index, request in enumerate(self._requests):
            self._ends.append(self._engine.start(request, partial(self._tell, index)))
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
                index, update = self._updates.get(timeout=LOOK)
            except Empty:
                yield None
            else:
                if (piece := self._accept(index, update)) is not None:
                    yield index, piece
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                if self._gone():
                    raise ConnectionError("the client has gone")

    def _tell(self, index: int, update: GenerationUpdate) -> None:
        self._updates.put((index, update))

    def _accept(self, index: int, update: GenerationUpdate) -> GeneratedPiece | None:
        choice = self._answer.choices[index]
        if choice.finish:
            return None
        if isinstance(update, Refused):
            raise update
        piece = choice.begin(update) if isinstance(update, Begun) else choice.add(update)
        if choice.finish:
            self._ends[index]()
        return piece
