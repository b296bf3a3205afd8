"""Decoding 1,000 sentences for 8 rungs, beam 4: ours for all rungs at once against `generate` and CTranslate2, model after model.

The models have been trained a little on a cipher, so that sentences end and BLEU compares the systems.

    python benchmarks/engine_decode.py [--seconds 240]
"""

import argparse
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import sacrebleu
import torch
from engine_common import SHAPES, VOCABULARY, Results, device, natural_pairs, synchronise
from engine_curve import RUNGS, lockstep

from transferlaws.evaluation.decode import beam_search, greedy
from transferlaws.model.checkpoint import save_checkpoint
from transferlaws.training.examples import Examples

SENTENCES, MOST, BEAM = 1000, 40, 4
SHAPE = SHAPES[128]


def trained(steps: int):
    """Eight replicas of unlike quality: the learning rate falls from one to the next."""
    run = lockstep(SHAPE, natural_pairs(20000, MOST, 1))
    run.rates = torch.logspace(-1.7, -2.7, RUNGS, device=device())
    for _ in range(steps):
        run._step()
    synchronise()
    return run.model.requires_grad_(False)


def bleu(found: list[list[int]], data: Examples) -> float:
    references = [" ".join(map(str, ids)) for ids in data.target_ids()]
    return sacrebleu.corpus_bleu([" ".join(map(str, ids)) for ids in found], [references], tokenize="none", force=True).score


def strip(row: list[int]) -> list[int]:
    return [token for token in (row[: row.index(1)] if 1 in row else row) if token > 1]


def ours(model, data: Examples, batch: int, beam: int) -> tuple[float, list[float]]:
    """Seconds for all replicas, sentences sorted by length, and the BLEU of each."""
    hypotheses = [[[]] * len(data) for _ in range(model.replicas)]
    synchronise()
    start = time.perf_counter()
    for indices in data.sorted_batches(batch):
        source = torch.from_numpy(data.batch(indices)[0]).to(device())
        found = greedy(model, source, MOST) if beam == 1 else beam_search(model, source, MOST, beam, 1.0)
        for replica, rows in enumerate(found.tolist()):
            for index, row in zip(indices, rows, strict=True):
                hypotheses[replica][index] = strip(row)
    seconds = time.perf_counter() - start
    return seconds, [bleu(found, data) for found in hypotheses]


def generate(folder: Path, data: Examples, batch: int) -> tuple[float, float]:
    """Seconds and BLEU of `transformers`' beam search in bf16 for one model, sentences sorted by length."""
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.T5ForConditionalGeneration.from_pretrained(folder).to(device(), torch.bfloat16).eval()
    hypotheses = [[]] * len(data)
    for timed in (False, True):
        batches = data.sorted_batches(batch)
        synchronise()
        start = time.perf_counter()
        for indices in batches if timed else batches[:1]:
            source = torch.from_numpy(data.batch(indices)[0]).to(device())
            with torch.no_grad():
                found = model.generate(
                    input_ids=source, attention_mask=(source != 0).long(), num_beams=BEAM, do_sample=False, max_new_tokens=MOST
                )
            for index, row in zip(indices, found[:, 1:].tolist(), strict=True):
                hypotheses[index] = strip(row)
        synchronise()
        seconds = time.perf_counter() - start
    return seconds, bleu(hypotheses, data)


def ctranslate(folder: Path, data: Examples, compute: str, patience: int) -> tuple[float, float]:
    """Seconds and BLEU of CTranslate2 for one model, its best batch by tokens.

    With patience 1, its default, a sentence is finished when as many hypotheses have ended as the beam is wide; with 2 it goes on
    until twice as many have: in fp32 its hypotheses are then the same as ours.
    """
    import ctranslate2
    import transformers

    class Tokens:
        """As much of a tokenizer as the converter asks for: token i is called t<i>."""

        unk_token, eos_token, bos_token, pad_token = "t2", "t1", "t0", "t0"

        def get_vocab(self) -> dict[str, int]:
            return {f"t{i}": i for i in range(VOCABULARY)}

        def convert_ids_to_tokens(self, index: int) -> str:
            return f"t{index}"

        def __len__(self) -> int:
            return VOCABULARY

    class Loader(ctranslate2.converters.TransformersConverter):
        def load_model(self, *_: object, **__: object) -> torch.nn.Module:
            model = transformers.T5ForConditionalGeneration.from_pretrained(folder)
            model.config.tie_word_embeddings = (
                False  # transformers 5 says True whatever the checkpoint holds; outputs would be scaled
            )
            return model

        def load_tokenizer(self, *_: object, **__: object) -> Tokens:
            return Tokens()

    target = folder / "ctranslate2"
    Loader(str(folder)).convert(str(target), force=True)
    translator = ctranslate2.Translator(str(target), device=device().type, compute_type=compute)
    texts = [[f"t{i}" for i in ids if i] for ids in data.batch(np.arange(len(data)))[0]]
    settings = {"beam_size": BEAM, "patience": patience, "max_decoding_length": MOST}
    settings |= {"batch_type": "tokens", "max_batch_size": 16384}
    translator.translate_batch(texts[:64], **settings)
    start = time.perf_counter()
    found = translator.translate_batch(texts, **settings)
    seconds = time.perf_counter() - start
    return seconds, bleu([strip([int(t[1:]) for t in result.hypotheses[0]]) for result in found], data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200, help="start no part after this")
    parser.add_argument("--steps", type=int, default=600, help="training steps before decoding")
    arguments = parser.parse_args()
    results = Results("engine_decode", arguments.seconds)
    data = natural_pairs(SENTENCES, MOST, 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with results.part("train"):
            model = trained(arguments.steps)
            save_checkpoint(model, 0, folder)
        times: dict[int, float] = {}
        scores: list[float] = []
        for batch in (250, 500, 1000):
            with results.part(f"ours, batch {batch}"):
                ours(model, data, batch, BEAM)
                times[batch], scores = ours(model, data, batch, BEAM)
                results.add(f"1,000 sentences, 8 rungs, beam 4, batch {batch}", times[batch], "s")
        results.add("BLEU, rung 0, ours", scores[0], "BLEU")
        best = min(times.values())
        with results.part("ours, greedy"):
            ours(model, data, 1000, 1)
            results.add("1,000 sentences, 8 rungs, greedy", ours(model, data, 1000, 1)[0], "s")
        others = {f"generate at batch {batch}": partial(generate, folder, data, batch) for batch in (64, 1000, 250)}
        types = ("bfloat16", "float16", "float32") if device().type == "cuda" else ("float32",)
        for compute, patience in product(types, (1, 2)):
            others[f"CTranslate2, {compute}, patience {patience}"] = partial(ctranslate, folder, data, compute, patience)
        for label, call in others.items():
            if results.in_time:
                with results.part(label):
                    seconds, score = call()
                    results.add(f"8 rungs, beam 4, against {label}", best, "s", RUNGS * seconds, RUNGS * seconds / best)
                    results.add(f"BLEU difference to {label}, rung 0", scores[0] - score, "BLEU")


if __name__ == "__main__":
    main()
