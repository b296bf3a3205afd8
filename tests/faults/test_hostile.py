"""Input that means harm, through the whole workflow: refused with a clear message, or inert."""

import pickle
import zipfile

import pytest
import yaml

from support.study import prepare
from support.tiny import snakemake
from transferlaws.errors import UserError
from transferlaws.files import read_json, sha256, write_json
from transferlaws.model.checkpoint import hugging_face_config, load_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer

NASTY = "$(touch pwned) `touch pwned`; touch pwned & \"quoted\" 'single' {wildcards.corpus} {input} %s \\ <script>alert(1)</script>"
MARKUP = "<script>alert(2)</script><img/src=x/onerror=alert(3)>"


def change(folder, edit) -> None:
    study = yaml.safe_load((folder / "tiny.yaml").read_text())
    edit(study)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


def marked(lines: list[str]) -> str:
    """Every twentieth line with markup in each of its columns: more of it would be removed as an overlap with the test set."""
    return "".join(
        (line.replace("\t", f" {MARKUP}\t") + f" {MARKUP}" if number % 20 == 0 else line) + "\n"
        for number, line in enumerate(lines)
    )


@pytest.mark.slow
def test_values_and_sentences_reach_neither_a_shell_nor_the_pages_as_markup(tmp_path):
    """Licences, versions, a file's name and the text itself are data all the way to the summary and the report."""
    folder = prepare(tmp_path / "study")
    name = "data/$(touch pwned) `touch pwned` ; 'x' \"y\" & z.txt"
    (folder / name).write_text(marked((folder / "data/en.txt").read_text().splitlines()))
    (folder / "data/pairs.tsv").write_text(marked((folder / "data/pairs.tsv").read_text().splitlines()))

    def edit(study: dict) -> None:
        study["corpora"]["en"] |= {"paths": [name.replace("[", "[[]")], "licence": NASTY, "version": NASTY}
        study["bitexts"]["pairs"] |= {"licence": NASTY, "version": NASTY}
        study["mixtures"] = {"en+de": {"en": 0.5, "de": 0.5}}
        study["pretraining"] |= {"seeds": [1]}

    change(folder, edit)
    snakemake(folder)
    assert not list(folder.rglob("pwned"))
    assert read_json(folder / "results/corpora/en/report.json")["licence"] == NASTY
    for page in ("summary.html", "report.html"):
        text = (folder / "results" / page).read_text()
        assert "<script>alert" not in text
        assert "<img/src=x" not in text


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "-rf", "$(touch pwned)", "a b", "a;b", ".hidden", "a\nb", "{input}"])
@pytest.mark.slow
def test_names_that_could_leave_the_results_folder_are_refused(tmp_path, name):
    folder = prepare(tmp_path / "study")
    change(folder, lambda study: study["mixtures"].update({name: {"en": 1.0}}))
    done = snakemake(folder, "--dry-run", check=False)
    assert done.returncode
    said = done.stdout + done.stderr
    assert "the config is not valid" in said and "mixtures" in said
    assert not list(folder.rglob("pwned"))


class Harm:
    """What a pickle can do when it is read."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("disguise", ["pickle", "torch"])
def test_a_pickle_posing_as_a_checkpoint_is_not_opened(tmp_path, disguise):
    shape = ModelSettings(size="tiny")
    weights = tmp_path / "model.safetensors"
    harm = pickle.dumps(Harm(tmp_path / "pwned"))
    if disguise == "pickle":
        weights.write_bytes(harm)
    else:  # what torch.save writes: a zip file with a pickle in it
        with zipfile.ZipFile(weights, "w") as archive:
            archive.writestr("archive/data.pkl", harm)
    model = Transformer(shape, 384, 1)

    write_json(tmp_path / "config.json", hugging_face_config(shape, 384))
    assert len(sha256(weights)) == 64  # a right checksum helps nothing
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole safetensors file"):
        load_checkpoint(model, 0, tmp_path)
    assert not (tmp_path / "pwned").exists()
