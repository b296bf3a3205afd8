"""The page alone must say what helps, by how much and how sure that is, and nothing on it may be active."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from support import simulated_study
from transferlaws import __version__
from transferlaws.advice.worth import cut_off
from transferlaws.cli import main
from transferlaws.figures import overview, style
from transferlaws.figures.inputs import read_advice, read_table
from transferlaws.figures.settings import FigureSettings

REPORT = {
    "name": "novels-en", "kind": "corpus", "languages": ["en"], "source": "packages", "version": "novels==1.2.3",
    "licence": "CC0-1.0", "read": 12345, "kept": 12000, "removed": {"duplicates": 300, "contamination": 45},
    "contamination": {"talks.test": {"documents": 45, "grams": 61}},
    "documents": 12000, "characters": 987654, "bytes": 999999, "files": {"documents.jsonl.zst": "cd" * 32},
}  # fmt: skip
STUDY = {"study": "simulated", "mixtures": {"en+de": {"novels-en": 0.5, "novels-de": 0.5}}}


class Reader(HTMLParser):
    """Text, and every tag with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags = [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


def page(folder, csv, laws=(), advice=None, **documents):
    """Advise, change the advice by `advice`, and run the stage; documents are written as JSON and passed as --<name>."""
    documents["advice"] = json.loads(simulated_study.advise(folder, csv, laws).read_text()) | (advice or {})
    arguments = ["summary", "--measurements", str(csv), "--laws", *map(str, laws), "--output", str(folder / "summary.html")]
    for name, value in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    status = main(arguments)
    return status or Reader((folder / "summary.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(curves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    answer = {"task": "en-de", "model": "mini", "mixture": "en", "finetuning_size": 8000.0, "finetuning_unit": "pairs"}
    answers = [answer | {"answer": "other data", "because": "en+de is predicted to be better there."}]
    return page(folder, *curves, advice={"answers": answers}, study=STUDY, reports=REPORT)


def test_the_answer_stands_first_with_intervals(whole):
    table = simulated_study.measurements()
    last = table[table["pretraining_tokens"] == table["pretraining_tokens"].max()].groupby("mixture")["bleu"].mean()
    gain = last["en+de"] - table[table["mixture"] == "scratch"]["bleu"].mean()
    assert f"en+de did best: BLEU +{gain:.1f} (90 % interval +" in whole.text
    assert "over training from scratch, after 16M pretraining tokens" in whole.text
    assert f"Against the next, en, that is +{last['en+de'] - last['en']:.1f}" in whole.text
    assert "surely better than it. en+de did best" in whole.text and "Surely better: the interval of the difference" in whole.text
    drop = table.groupby(["mixture", "pretraining_tokens"])["cross_entropy"].mean()
    drop = drop["scratch"].mean() - drop["en+de"].iloc[-1]
    assert f"en+de did best: cross-entropy (nats/token) +{drop:.3f} (90 % interval +" in whole.text
    assert whole.text.index("did best") < whole.text.index("What was measured")


def test_the_page_says_on_what_how_often_at_which_version(whole):
    for text in (
        *("nrefs:1|case:mixed", "abababab", "1 000", "0, 64k, 256k, 1M, 4M, 16M", "1, 2", "en-de (translation)", "410k"),
        *("novels==1.2.3", "CC0-1.0", "12 345", "duplicates 300, contamination 45", "talks.test 45", "cdcdcd"),
        *("novels-en 0.5, novels-de 0.5", f"transferlaws {__version__}", "other data", "en+de is predicted to be better"),
        *("f(D_p) = (ln(A * D_p^alpha))^beta", "L(D_p) = E + A / D_p^alpha"),
    ):
        assert text in whole.text, text


def test_the_page_is_one_file_that_loads_nothing(whole):
    assert {tag for tag, _ in whole.tags}.isdisjoint({"script", "link", "iframe", "object", "form", "base"})
    assert all(attributes["src"].startswith("data:image/png;base64,") for tag, attributes in whole.tags if tag == "img")
    policy = next(
        attributes["content"] for tag, attributes in whole.tags if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy


def test_equal_inputs_give_equal_pages(curves, tmp_path):
    pages = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        page(tmp_path / name, *curves)
        pages.append((tmp_path / name / "summary.html").read_bytes())
    assert pages[0] == pages[1]


def test_html_in_names_sentences_and_reports_is_inert(tmp_path):
    evil = "<img src=x onerror=alert(1)>'\"&\u202e"
    table = simulated_study.measurements()
    table["mixture"] = table["mixture"].replace("en", evil)
    for column in ("task", "model", "study", "bleu_signature", "test_sha256", "finetuning_unit"):
        table[column] = evil
    csv, laws = simulated_study.write(tmp_path, table, ("score-log",))
    report = REPORT | {"name": evil, "licence": evil, "version": evil, "removed": {evil: 3}, "files": {evil: evil}}
    answer = {"task": evil, "model": evil, "mixture": evil, "finetuning_size": 8000.0, "finetuning_unit": evil}
    advice = {"answers": [answer | {"answer": evil, "because": evil}]}
    found = page(tmp_path, csv, laws, advice=advice, study={"study": evil, "mixtures": {evil: {evil: 1}}}, reports=report)
    assert len([tag for tag, _ in found.tags if tag == "img"]) == 1  # the figure
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert evil[:-1] in found.text and "\u202e" not in found.text


def test_no_more_is_said_than_is_known(tmp_path):
    table = simulated_study.measurements()
    none = table.copy()
    none["bleu"] = 9 + none["seed"] / 10 + none.groupby("mixture").cumcount() * 1e-3
    assert ", not to be told apart from scratch (" in page(tmp_path, simulated_study.write(tmp_path, none, ())[0]).text
    one = table[table["seed"] == 1]
    text = page(tmp_path, simulated_study.write(tmp_path, one, ())[0]).text
    assert "With one seed this cannot be told from noise" in text and "surely better than" not in text
    unpaired = table[table["mixture"] != "scratch"]
    assert "Nothing was trained from scratch" in page(tmp_path, simulated_study.write(tmp_path, unpaired, ())[0]).text
    worse = table.copy()
    worse.loc[worse["mixture"] == "fr", "bleu"] *= 0.5
    assert "Surely worse than training from scratch: fr (−" in page(tmp_path, simulated_study.write(tmp_path, worse, ())[0]).text
    diverged = table.copy()
    diverged.loc[0, "status"] = "diverged"
    assert "1 of 32 runs diverged" in page(tmp_path, simulated_study.write(tmp_path, diverged, ())[0]).text


def test_a_mixture_whose_ladder_is_shorter_is_not_compared_in_silence(tmp_path):
    table = simulated_study.measurements()
    assert "Not every mixture" not in page(tmp_path, simulated_study.write(tmp_path, table, ())[0]).text
    short = table[(table["mixture"] != "en") | (table["pretraining_tokens"] <= 4_000_000)]
    text = page(tmp_path, simulated_study.write(tmp_path, short, ())[0]).text
    assert "Not every mixture goes as far as 16M pretraining tokens; these end earlier: en at 4M." in text
    assert "Against the next, en (both after 4M), that is" in text


def test_a_minimal_table_made_elsewhere_has_a_page(tmp_path):
    columns = ["task", "model", "mixture", "seed", "pretraining_tokens", "finetuning_size", "finetuning_unit", "bleu"]
    table = simulated_study.measurements()[columns]
    found = page(tmp_path, simulated_study.write(tmp_path, table, ())[0])
    assert "did best" in found.text and "not recorded" in found.text


@pytest.mark.parametrize(("name", "value"), [("advice", {"schema": 1}), ("reports", {"name": "x"})])
def test_a_broken_input_is_named(curves, tmp_path, capfd, name, value):
    if name == "advice":
        (tmp_path / "advice.json").write_text(json.dumps({"schema": 1}))
        files = ["--measurements", str(curves[0]), "--advice", str(tmp_path / "advice.json")]
        assert main(["summary", *files, "--output", str(tmp_path / "summary.html")]) == 1
    else:
        assert page(tmp_path, *curves, **{name: value}) == 1
    assert f"{name}.json" in capfd.readouterr().err


@pytest.mark.parametrize(("confidence", "middling"), [(0.9, 0.09), (0.99, 0.15)])
def test_the_page_and_the_advice_say_the_same_with_the_same_numbers(tmp_path, confidence, middling):
    """Leads of every size: the words and the interval of the page's sentence are those of the advice's comparison."""
    table, words = simulated_study.measurements(), set()
    for lead in (0.0, middling, 0.3):
        risen = table["mixture"].map({"en+de": 1 + lead}).fillna(1.0)
        means = table.groupby(["mixture", "pretraining_tokens"])["bleu"].transform("mean")
        level = table["pretraining_tokens"].map(lambda tokens: simulated_study.bleu("en", tokens) if tokens else 7.0)
        csv, laws = simulated_study.write(tmp_path, table.assign(bleu=table["bleu"] / means * level * risen), ())
        out = tmp_path / "advice.json"
        arguments = ["advise", "--measurements", csv, "--laws", "--settings", json.dumps({"confidence": confidence})]
        assert main([*map(str, arguments), "--output", str(out), "--markdown", str(tmp_path / "advice.md")]) == 0
        advice = json.loads(out.read_text())
        text = page(tmp_path, csv, laws, advice=advice).text
        best, other = re.search(r"(\S+) did best: BLEU.*? Against the next, (\S+), that is", text).groups()
        (pair,) = [p for p in advice["comparisons"] if p["metric"] == "bleu" and {p["mixture"], p["other"]} == {best, other}]
        by = {part: f"{pair['difference'][part]:+.1f}".replace("-", "−") for part in ("estimate", "low", "high")}
        interval = f"({100 * confidence:.3g} % interval {by['low']} to {by['high']})"
        than = {"not told apart": "not to be told apart from it"}.get(pair["sureness"], f"{pair['sureness']} better than it")
        assert f"Against the next, {other}, that is {by['estimate']} {interval}: {than}" in text
        words.add(pair["sureness"])
    assert words == {"surely", "probably", "not told apart"}


def test_the_page_says_what_was_cut_off_where_it_is_more_than_a_hundredth():
    table = pd.DataFrame(
        {
            "task": ["en-hi", "en-hi", "en-de"],
            "test_items": [20, 20, 200],
            "finetuning_pairs": [900, 900, 900],
            "test_targets_cut": [20, 0, 2],
            "test_hypotheses_cut": [3, 5, 2],
            "finetuning_targets_cut": [9, 9, 9],
        }
    )
    (said,) = cut_off(table)
    assert said.startswith("en-hi: cut off by the limits of length, at most: 100 % of test targets, 25 % of hypotheses. ")
    assert cut_off(table.drop(columns="test_items")) == []


def test_the_picture_has_the_intervals_and_the_level_of_the_text(tmp_path):
    csv, laws = simulated_study.write(tmp_path, simulated_study.measurements(), ())
    path = simulated_study.advise(tmp_path, csv, laws, confidence=0.6)
    advice = read_advice(path, csv)
    with style.styled():
        figure = overview.summary(read_table(csv), {}, FigureSettings(), advice)
    axes = figure.axes[-1]
    assert "with 60 % intervals" in " ".join(text.get_text() for text in axes.texts)
    drawn = {tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] < 0}
    gains = [mixture["values"]["bleu"]["gain"] for mixture in advice["worth"][0]["mixtures"]]
    assert drawn >= {(gain["low"], gain["high"]) for gain in gains}
    measured = {answer["mixture"]: answer["measured"]["gain"] for answer in advice["answers"]}
    for mixture in advice["worth"][0]["mixtures"]:
        gain = mixture["values"]["bleu"]["gain"]
        assert {end: gain[end] for end in ("estimate", "low", "high")} == measured[mixture["mixture"]]
