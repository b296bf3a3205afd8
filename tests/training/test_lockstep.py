"""Replicas trained together are the replicas trained alone."""

import numpy as np
import pytest
import torch

from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.tokens.batches import Ragged
from transferlaws.training.examples import Examples
from transferlaws.training.lockstep import Lockstep, Replica
from transferlaws.training.optimisers import Optimiser
from transferlaws.training.settings import FinetuningSettings, OptimiserSettings
from transferlaws.training.step import Step

SHAPE = ModelSettings(size="tiny", encoder_layers=1, decoder_layers=1)
SIZE = 128


def examples(count, seed):
    random = np.random.default_rng(seed)
    sources = [random.integers(3, SIZE - 10, random.integers(2, 9)) for _ in range(count)]
    return Examples(Ragged.of(sources), Ragged.of([ids[::-1] for ids in sources]))


def train(replicas, optimiser="adamw-scaled", dropout=0.0, dtype=torch.float32, **changes):
    """Best weights and records of replicas (seed, learning rate), each seed with data and initial weights of its own."""
    settings = FinetuningSettings(
        batch=16, max_steps=24, evaluations=6, patience=2, dropout=dropout, optimiser=OptimiserSettings(name=optimiser), **changes
    )
    model = Transformer(SHAPE, SIZE, len(replicas))
    for index, (seed, _) in enumerate(replicas):
        model.initialise(index, seed)
    model.dtype = dtype
    records = [Replica(seed, 0, rate) for seed, rate in replicas]
    data = {seed: examples(64, seed) for seed in dict(replicas)}
    lockstep = Lockstep(model, records, data, examples(20, 99), settings, 4)
    sizes = []
    lockstep.run(lambda _: sizes.append(model.replicas))
    return lockstep.best, records, sizes


def difference(together, index, alone):
    return max(float((together[name][index] - alone[name][0]).abs().max() / alone[name][0].abs().max()) for name in alone)


@pytest.mark.parametrize("optimiser", ["adamw-scaled", "adamw", "adafactor", "muon"])
def test_four_replicas_equal_each_alone(optimiser):
    rate = 1e-3 if optimiser == "adamw" else 1e-2
    chosen = [(1, rate), (1, 2 * rate), (2, rate), (2, 2 * rate)]
    together, records, _ = train(chosen, optimiser)
    for index, replica in enumerate(chosen):
        alone, record, _ = train([replica], optimiser)
        assert record[0].best == pytest.approx(records[index].best, rel=1e-4)
        assert record[0].best_step == records[index].best_step
        assert difference(together, index, alone) < 2e-3


def test_dropout_masks_do_not_depend_on_company():
    chosen = [(1, 1e-2), (2, 1e-2)]
    together, _, _ = train(chosen, dropout=0.3)
    for index, replica in enumerate(chosen):
        alone, _, _ = train([replica], dropout=0.3)
        assert difference(together, index, alone) < 2e-3


def test_a_diverged_replica_is_marked_and_touches_no_other():
    with_bad, records, sizes = train([(1, 1e-2), (1, 1e30)])
    alone, _, _ = train([(1, 1e-2)])
    assert [r.status for r in records] == ["ok", "diverged"]
    assert difference(with_bad, 0, alone) < 2e-3
    assert sizes[-1] == 1  # it left the model


def test_bf16_trains_fp32_masters_and_drops_a_diverged_replica():
    best, records, sizes = train([(1, 1e30), (1, 1e-2)], dtype=torch.bfloat16)
    _, record, _ = train([(1, 1e-2)])
    assert [r.status for r in records] == ["diverged", "ok"]
    assert sizes[-1] == 1
    assert all(weight.dtype == torch.float32 for weight in best.values())
    assert not torch.equal(best["embedding"][1], best["embedding"][1].bfloat16().float())
    assert records[1].best == pytest.approx(record[0].best, rel=0.02)


def test_early_stopping_keeps_the_best_state():
    best, records, _ = train([(1, 0.5), (1, 1e-2)])
    assert records[0].best_step < records[0].steps
    model = Transformer(SHAPE, SIZE, 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter[0].copy_(best[name][0])
    check = Lockstep(model, [Replica(1, 0, 1.0)], {1: examples(64, 1)}, examples(20, 99), FinetuningSettings(), 4)
    assert float(check.dev_losses()[0]) == pytest.approx(records[0].best, rel=1e-5)


def test_out_of_memory_halves_the_batch_with_the_same_result(monkeypatch):
    """The first passes of more than 5 rows fail as a GPU would; the step is taken in parts."""
    data = examples(16, 1)
    source, target = data.batch(np.arange(16))
    results = {}
    for limit in (16, 5):
        model = Transformer(SHAPE, SIZE, 1)
        model.initialise(0, 1)
        plain = Transformer.forward

        def failing(self, source, inputs, dropout, limit=limit, plain=plain):
            if inputs.layout.starts.shape[1] > limit:
                raise torch.cuda.OutOfMemoryError("planted")
            return plain(self, source, inputs, dropout)

        monkeypatch.setattr(Transformer, "forward", failing)
        step = Step(model, Optimiser(model, OptimiserSettings()), 0.2)
        one = torch.zeros(1, dtype=torch.long)
        loss, _ = step(source[None], target[None], streams=one, rates=torch.tensor([1e-2]), seeds=[1], step=0)
        monkeypatch.setattr(Transformer, "forward", plain)
        results[limit] = (float(loss), {n: p.detach().clone() for n, p in model.named_parameters()}, step.parts)
    assert results[16][2] == 1
    assert results[5][2] == 4
    assert results[5][0] == pytest.approx(results[16][0], rel=1e-5)
    assert difference(results[5][1], 0, {n: p for n, p in results[16][1].items()}) < 1e-3
