"""A pretraining run's next batch, made by a thread while the last one is trained on: a GPU has no batch to wait for."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from transferlaws.tokens.batches import MixtureStream, TextBatch
from transferlaws.tokens.objectives import Example


class Prefetcher:
    """Takes batches from `stream`, which runs one batch ahead, and masks them: `mask(batch, step)`.

    `place` is the stream's state behind the batch that was taken last, as if nothing ran ahead.
    """

    def __init__(self, stream: MixtureStream, mask: Callable[[TextBatch, int], Example]) -> None:
        self.stream, self.mask = stream, mask
        self.place = stream.state()
        self._thread = ThreadPoolExecutor(1)
        self._coming: tuple[int, Future] | None = None

    def take(self, step: int) -> tuple[TextBatch, Example]:
        """The batch of a step; steps count up by one between rewinds."""
        if self._coming is None:
            self._start(step)
        number, coming = self._coming
        assert number == step, (number, step)
        batch, example, self.place = coming.result()
        self._start(step + 1)
        return batch, example

    def rewind(self, place: dict) -> None:
        """Go on from a `place`."""
        if self._coming is not None:
            self._coming[1].result()
            self._coming = None
        self.stream.restore(place)
        self.place = place

    def _start(self, step: int) -> None:
        self._coming = step, self._thread.submit(self._make, step)

    def _make(self, step: int) -> tuple[TextBatch, Example, dict]:
        batch = self.stream.next()
        return batch, self.mask(batch, step), self.stream.state()
