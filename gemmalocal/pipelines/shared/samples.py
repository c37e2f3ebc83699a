"""What a run asks its own model before training, on the way, and after it: prompts, and held-out calls of tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gemmalocal.backends.protocol import Trainer
from gemmalocal.engine.span import Span
from gemmalocal.jobs.events import Event, Notice, Sample
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.pipelines.shared.held_out_calls import held_out_calls
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.recipe.schema import SampleSpec
from gemmalocal.records import Message


@dataclass(frozen=True)
class Samples:
    """The model in training, what it is asked, how long the run is, and whether somebody wishes it to stop."""

    trainer: Trainer
    prepared: Prepared
    spec: SampleSpec
    length: Span
    wished: Callable[[], bool]

    def answers(self, step: int, when: str) -> Iterator[Event]:
        """Answer the prompts, as far as there is time for it; none any more once a stop is wished."""
        for number, prompt in enumerate(self.spec.prompts):
            reply = self._reply(prompt) if number < self.length.answers(len(self.spec.prompts)) else None
            if reply is None:
                if not self.wished():
                    were = plural(number, "was", "were")
                    prompts = counted(len(self.spec.prompts), "prompt")
                    yield Notice(f"{number} of {prompts} {were} answered, to keep to the time")
                return
            yield Sample(step, when, prompt, *reply)

    def calls(self, when: str) -> Iterator[Event]:
        """How many held-out calls are right."""
        with self.length.spend("calls"):
            yield from held_out_calls(self.trainer, self.prepared, self.spec.calls, when, self._ends)

    def during(self, step: int) -> Iterator[Event]:
        """At an evaluation: the first prompt, and calls, as the recipe wishes."""
        if self.spec.during and self.spec.prompts and (reply := self._reply(self.spec.prompts[0])):
            yield Sample(step, "during", self.spec.prompts[0], *reply)
        if self.spec.calls_during:
            yield from self.calls(f"at step {step}")

    def _reply(self, prompt: str) -> tuple[str, bool] | None:
        """Answer a prompt in the shape of the rows: plain text goes on, a conversation is replied to. None if stopped.

        The text, and whether the model ended it by itself.
        """
        tokenizer = self.prepared.tokenizer
        assert tokenizer is not None
        text = self.prepared.layout.prompt_text(tokenizer, [Message("user", prompt)])
        ids = []
        with self.length.spend("answer"):
            for number in self.trainer.stream(tokenizer.encode(text), self.spec.max_tokens, tokenizer.stop_ids):
                if self._ends():
                    return None
                ids.append(number)
        return tokenizer.decode(ids), ids[-1] in tokenizer.stop_ids

    def _ends(self) -> bool:
        return self.wished() or self.length.is_used_up()
