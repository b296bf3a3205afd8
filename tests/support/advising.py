"""Tables with a known law, and the advice on them."""

import json

import numpy as np

from transferlaws.cli import main
from transferlaws.laws.registry import LAWS
from transferlaws.laws.simulate import Noise, measurements
from transferlaws.seeding import generator

RUNGS = np.geomspace(1e6, 1e9, 6).round()
QUIET = Noise(0.005, 0.005)


def table(parameters=(-6.9, 0.9, 1.6), mixtures=("en+de",), scratch=4.0, noise=QUIET, law="score-log", metric="bleu", **more):
    return measurements(
        form=LAWS[law].form,
        parameters=np.array(parameters),
        metric=metric,
        pretraining_tokens=RUNGS,
        mixtures=mixtures,
        noise=noise,
        generator=generator(5, "advice", *mixtures),
        scratch=scratch,
        **more,
    )


def advise(folder, frame, laws=("score-log",), fit=None, options=(), change=None, **settings):
    path = folder / "measurements.csv"
    frame.to_csv(path, index=False)
    files = []
    for law in laws:
        files.append(str(folder / f"{law}.json"))
        procedure = json.dumps({"bootstraps": 400, **(fit or {})})
        assert main(["fit", "--measurements", str(path), "--law", law, "--settings", procedure, "--output", files[-1]]) == 0
        if change:
            document = json.loads((folder / f"{law}.json").read_text())
            document["fits"] = [fit | change for fit in document["fits"]]
            (folder / f"{law}.json").write_text(json.dumps(document))
    out, page = folder / "advice.json", folder / "advice.md"
    arguments = ["--settings", json.dumps(settings), "--output", str(out), "--markdown", str(page)]
    assert main(["advise", "--measurements", str(path), "--laws", *files, *arguments, *options]) == 0
    return json.loads(out.read_text()), page.read_text()
