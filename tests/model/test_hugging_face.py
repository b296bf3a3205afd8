"""Our model, its checkpoints and its decoding are those of `transformers`' T5."""

import json

import numpy as np
import pytest
import torch

from transferlaws.errors import UserError
from transferlaws.evaluation.decode import beam_search, greedy
from transferlaws.model.checkpoint import load_checkpoint, read_settings, save_checkpoint
from transferlaws.model.packing import pack, unpack
from transferlaws.model.settings import SIZES, ModelSettings
from transferlaws.model.transformer import Transformer

transformers = pytest.importorskip("transformers")
VOCABULARY = 192


def model(replicas=1, **shape):
    shape = {"size": "tiny"} | shape
    result = Transformer(ModelSettings(**shape), VOCABULARY, replicas)
    for replica in range(replicas):
        result.initialise(replica, replica + 1)
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            if "norm" in name or "bias" in name:  # all equal at the start, so that exchanged ones would go unseen
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    return result


def batch(rows=6, source=21, target=17):
    random = np.random.default_rng(0)
    result = []
    for width in (source, target):
        ids = random.integers(3, VOCABULARY - 10, (rows, width))
        for row in range(rows):
            length = random.integers(2, width + 1)
            ids[row, length - 1] = 1
            ids[row, length:] = 0
        result.append(torch.from_numpy(ids))
    return result


def their_logits(theirs, source, target):
    """At the real positions of the targets, row after row."""
    with torch.no_grad():
        return theirs.eval()(input_ids=source, attention_mask=(source != 0).long(), labels=target).logits[target != 0]


def our_logits(ours, source, target):
    """The same of every replica."""
    form, table = pack(None if source is None else source[None].numpy(), target[None].numpy(), groups=2)
    packed = unpack(form, torch.from_numpy(table).expand(ours.replicas, -1))
    with torch.no_grad():
        logits = ours.logits(ours(packed.source, packed.inputs))
    return torch.empty_like(logits).index_copy_(1, packed.inputs.layout.index[0], logits)


@pytest.mark.parametrize("activation", ["gated-gelu", "relu"])
def test_exported_checkpoint_gives_equal_logits(tmp_path, activation):
    ours = model(2, activation=activation)
    save_checkpoint(ours, 1, tmp_path)
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path)
    source, target = batch()
    torch.testing.assert_close(our_logits(ours, source, target)[1], their_logits(theirs, source, target), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["T5", "MT5"])
@pytest.mark.parametrize("projection", ["gated-gelu", "relu"])
@pytest.mark.parametrize("tied", [True, False])
def test_their_checkpoint_loads_with_equal_logits(tmp_path, kind, projection, tied):
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        feed_forward_proj=projection,
        tie_word_embeddings=tied,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=40,
        decoder_start_token_id=0,
        pad_token_id=0,
    )
    torch.manual_seed(1)
    theirs = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    if not tied:
        theirs.lm_head.weight = torch.nn.Parameter(torch.randn(VOCABULARY, 32) / 6)
    theirs.save_pretrained(tmp_path)
    settings, size = read_settings(tmp_path)
    ours = Transformer(settings, size)
    load_checkpoint(ours, 0, tmp_path)
    source, target = batch(source=60)
    expected = their_logits(theirs, source, target)
    torch.testing.assert_close(our_logits(ours, source, target)[0], expected, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two replicas that have learned to reverse, so that hypotheses end; and the folder of each."""
    from transferlaws.tokens.batches import Ragged
    from transferlaws.training.examples import Examples
    from transferlaws.training.lockstep import Lockstep, Replica
    from transferlaws.training.settings import FinetuningSettings

    random = np.random.default_rng(3)
    texts = [random.integers(3, 23, random.integers(1, 6)) for _ in range(600)]
    data = Examples(Ragged.of(texts), Ragged.of([ids[::-1] for ids in texts]))
    ours = model(2)
    replicas = [Replica(1, 0, 1e-2), Replica(1, 0, 3e-2)]
    settings = FinetuningSettings(batch=32, max_steps=150, max_epochs=50, patience=9)
    lockstep = Lockstep(ours, replicas, {1: data}, data.subset(np.arange(50)), settings, 19)
    lockstep.run(lambda _: None)
    best = Transformer(ours.settings, VOCABULARY, 2)
    with torch.no_grad():
        for name, parameter in best.named_parameters():
            parameter.copy_(lockstep.best[name])
    folders = [tmp_path_factory.mktemp(f"trained{replica}") for replica in range(2)]
    for replica, folder in enumerate(folders):
        save_checkpoint(best, replica, folder)
    source, _ = data.batch(np.arange(40))
    return best, folders, torch.from_numpy(source)


def theirs_generate(folder, source, **arguments):
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
    with torch.no_grad():
        found = theirs.generate(input_ids=source, attention_mask=(source != 0).long(), max_new_tokens=12, **arguments)
    return [strip(row) for row in found[:, 1:].tolist()]


def strip(row):
    return row[: row.index(1) + 1] if 1 in row else [token for token in row if token]


@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("penalty", [1.0, 0.0, 2.0])
def test_decoding_equals_generate(trained, beam, penalty):
    ours, folders, source = trained
    if beam == 1 and penalty != 1.0:
        pytest.skip("greedy search has no length penalty")
    found = greedy(ours, source, 12) if beam == 1 else beam_search(ours, source, 12, beam, penalty)
    lengths = set()
    for replica, folder in enumerate(folders):
        expected = theirs_generate(folder, source, num_beams=beam, do_sample=False, length_penalty=penalty)
        assert [strip(row) for row in found[replica].tolist()] == expected
        lengths |= {len(row) for row in expected}
    assert len(lengths) > 3  # rows did end at different times


def test_cached_decoding_follows_the_whole_model(trained):
    ours, _, source = trained
    found = greedy(ours, source, 12)
    for replica, target in enumerate(found):
        assert torch.equal(our_logits(ours, source, target)[replica].argmax(-1), target[target != 0])


def test_clear_errors(tmp_path):
    save_checkpoint(model(), 0, tmp_path)
    with pytest.raises(UserError, match="d_model"):
        load_checkpoint(model(d_model=64), 0, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_checkpoint(model(), 0, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no such file"):
        load_checkpoint(model(), 0, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="model_type is 'bert'"):
        read_settings(tmp_path)


@pytest.mark.parametrize("size", [name for name in SIZES if not name.startswith("T5")])
def test_documented_parameter_counts(size):
    settings = ModelSettings(size=size)
    built = Transformer(settings, 64)
    count = sum(parameter.numel() for parameter in built.parameters())
    assert count == settings.parameters_total(64)
    biases = 2 * settings.relative_buckets * settings.heads
    assert count - 2 * 64 * settings.d_model - biases == settings.parameters_non_embedding


def test_sizes_of_the_paper():
    assert 700e6 < ModelSettings(size="T5-770M").parameters_non_embedding < 740e6
    assert 2.8e9 < ModelSettings(size="T5-3B").parameters_non_embedding < 2.9e9


def test_decoder_only_round_trip_and_causality(tmp_path):
    ours = model(encoder_layers=0)
    save_checkpoint(ours, 0, tmp_path)
    settings, size = read_settings(tmp_path)
    assert settings.encoder_layers == 0
    loaded = Transformer(settings, size)
    load_checkpoint(loaded, 0, tmp_path)
    _, target = batch()
    logits = our_logits(loaded, None, target)
    torch.testing.assert_close(logits, our_logits(ours, None, target))
    changed = target.masked_fill(target == 1, 5)
    assert torch.equal(our_logits(loaded, None, changed), logits)  # the last token is only predicted
