"""The config's promise, "every mistake is reported before any job starts": a table of values that cannot work together."""

import copy

import pytest
import yaml

from transferlaws.config import load_study
from transferlaws.config_checks import NEEDS_LAW, NEEDS_SCORES, SCORES, contradictions, crossings
from transferlaws.errors import UserError
from transferlaws.figures.settings import FIGURES
from transferlaws.laws.protocols import PROTOCOLS
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import LEAST_DISTINCT, PROTOCOL_LAWS, SCORE_LAWS
from transferlaws.measurements.columns import SCORES as SCORE_COLUMNS

# a study of each kind that nothing is wrong with
TRANSLATION = yaml.safe_load("""
study: small
corpora:
  novels: {source: files, language: en, paths: [en.txt]}
  sides: {source: bitext, language: de, bitext: talks}
bitexts:
  talks: {source: files, languages: [en, de], paths: [talks.tsv], monolingual: 0.2}
mixtures: {en: {novels: 1}, both: {novels: 0.5, sides: 0.5}}
models: {mini: {size: mini}, tiny: {size: tiny}}
pretraining: {ladder: [64k, 256k, 1M, 4M], seeds: [0, 1]}
tasks: {en-de: {kind: translation, bitext: talks, pairs: [1000, 2000, 4000, 8000]}}
laws: {cross-entropy-power: {}, score-log: {}, transfer-gap: {}, kaplan: {}, score-from-loss: {}}
figures: {downstream: {}, score-vs-loss: {}, alignment: {}, transfer-gap: {}}
""")
MODELLING = yaml.safe_load("""
study: small
corpora:
  novels: {source: files, language: en, paths: [en.txt]}
  verses: {source: files, language: en, paths: [verses.txt]}
mixtures: {novels: {novels: 1}}
models: {mini: {size: mini, encoder_layers: 0}, tiny: {size: tiny, encoder_layers: 0}}
pretraining: {objective: next-token, ladder: [64k, 256k, 1M, 4M]}
tasks: {verses: {kind: lm, corpus: verses, tokens: [1000, 2000, 4000, 8000]}}
laws: {cross-entropy-power: {}, effective-data: {}}
figures: {downstream: {}, effective-data: {}, upstream: {}}
""")
BITEXT, DOCUMENTS = "translation", "lm"
STUDIES = {BITEXT: TRANSLATION, DOCUMENTS: MODELLING}

TABLE = [
    # model form × task kind × objective
    (BITEXT, {"models/tiny/encoder_layers": 0}, ["tasks.en-de.kind", "translation", "models.tiny", "encoder_layers: 0"]),
    (BITEXT, {"models/tiny/encoder_layers": 0}, ["pretraining.objective: infilling", "models.tiny", "next-token"]),
    (BITEXT, {"pretraining/objective": "next-token"}, ["pretraining.objective: next-token", "models.mini", "2 encoder layers"]),
    (DOCUMENTS, {"models/mini/encoder_layers": 1}, ["tasks.verses.kind: lm", "models.mini", "1 encoder layer:", "leave_out"]),
    (DOCUMENTS, {"pretraining/objective": "span-corruption"}, ["pretraining.objective: span-corruption", "models.tiny"]),
    (
        BITEXT,
        {"models/mini/relative_buckets": 256},
        ["models.mini.relative_buckets: 256", "128", "fewer than 256"],
    ),
    # learning rates, seeds, numbers
    (BITEXT, {"finetuning/learning_rates": [0.01, 0.0]}, ["finetuning.learning_rates.1", "greater than 0", "0.0"]),
    (BITEXT, {"finetuning/learning_rates": [-0.01]}, ["finetuning.learning_rates.0", "greater than 0", "-0.01"]),
    (BITEXT, {"finetuning/learning_rates": [0.03, 0.03]}, ["finetuning.learning_rates", "twice"]),
    (BITEXT, {"finetuning/learning_rates": [float("nan")]}, ["finetuning.learning_rates.0", "nan"]),
    (BITEXT, {"finetuning/learning_rates": []}, ["finetuning.learning_rates", "at least 1"]),
    (BITEXT, {"pretraining/seeds": [-1, 2]}, ["pretraining.seeds.0", "greater than or equal to 0", "-1"]),
    (BITEXT, {"pretraining/seeds": []}, ["pretraining.seeds", "at least 1"]),
    (BITEXT, {"pretraining/learning_rate": float("inf")}, ["pretraining.learning_rate", "inf", "finite"]),
    (BITEXT, {"finetuning/max_epochs": float("inf")}, ["finetuning.max_epochs", "inf", "finite"]),
    (BITEXT, {"evaluation/length_penalty": float("nan")}, ["evaluation.length_penalty", "nan", "finite"]),
    (BITEXT, {"pretraining/ladder": [1000, 64000, 256000]}, ["pretraining.ladder: rung 1000", "2048", "the start"]),
    (BITEXT, {"pretraining/ladder": [64000, 65000, 256000]}, ["pretraining.ladder: rung 65000", "2048", "64000"]),
    # splits that hold nothing
    (BITEXT, {"bitexts/talks/dev": 0.0}, ["bitexts.talks.dev: 0", "dev_paths"]),
    (BITEXT, {"bitexts/talks/test": 0}, ["bitexts.talks.test: 0", "test_paths"]),
    (BITEXT, {"bitexts/talks/monolingual": 0}, ["bitexts.talks.monolingual: 0", "corpora.sides"]),
    (BITEXT, {"corpora/novels/valid": 0}, ["corpora.novels.valid: 0", "upstream loss"]),
    (BITEXT, {"corpora/novels/valid": 1}, ["corpora.novels.valid: 1", "train on"]),
    (DOCUMENTS, {"corpora/verses/valid": 0}, ["corpora.verses.valid: 0", "dev and test"]),
    # nothing to train, or twice
    (BITEXT, {"curves/models": []}, ["curves", "nothing is left to train"]),
    (BITEXT, {"curves/leave_out": [{}]}, ["curves", "nothing is left to train"]),
    (BITEXT, {"curves/leave_out": [{"task": "en-de"}]}, ["curves", "nothing is left to train"]),
    (BITEXT, {"curves/mixtures": ["en", "en"]}, ["curves.mixtures", "twice"]),
    # laws without the rows they need
    (DOCUMENTS, {"laws/score-log": {}}, ["laws.score-log", "no translation task"]),
    (DOCUMENTS, {"laws/score-from-loss": {}}, ["laws.score-from-loss", "no translation task"]),
    (BITEXT, {"laws/cross-entropy-power/metrics": ["bleu"]}, ["laws.cross-entropy-power.metrics: `bleu`", "cross_entropy"]),
    (BITEXT, {"laws/score-log/metrics": ["cross_entropy"]}, ["laws.score-log.metrics: `cross_entropy`", "bleu"]),
    (BITEXT, {"laws/score-log/metrics": ["comet"]}, ["laws.score-log.metrics: `comet`", "scoring.comet"]),
    (BITEXT, {"laws/score-log/metrics": ["rouge"]}, ["laws.score-log.metrics: `rouge`"]),
    (BITEXT, {"laws/score-log/protocol": "barnett"}, ["laws.score-log.protocol: barnett", "transfer-gap"]),
    (BITEXT, {"laws/transfer-gap/columns": ["pretraining_tokens"]}, ["laws.transfer-gap.columns", "2 columns", "found 1"]),
    (
        BITEXT,
        {"laws/transfer-gap": {"held_out_rungs": 1, "fitted_rungs": 3}},
        ["laws.transfer-gap", "fitted_rungs and"],
    ),
    (BITEXT, {"pretraining/ladder": [64000, 256000]}, ["laws.transfer-gap", "at least 3 rungs", "2 (pretraining.ladder)"]),
    (BITEXT, {"pretraining/ladder": [64000, 256000]}, ["laws.score-log", "at least 3 rungs", "2 (pretraining.ladder)"]),
    (BITEXT, {"tasks/en-de/pairs": [1000, 2000]}, ["laws.transfer-gap", "at least 3 fine-tuning sizes", "2 (tasks.en-de)"]),
    (
        BITEXT,
        {"laws/rectified": {}, "tasks/en-de/pairs": [1, 2, 3]},
        ["laws.rectified", "at least 4", "3 (tasks.en-de)"],
    ),
    (BITEXT, {"laws/chinchilla": {}}, ["laws.chinchilla", "at least 3 model sizes", "2 (models)"]),
    (BITEXT, {"curves/models": ["mini"]}, ["laws.kaplan", "at least 2 model sizes", "1 (models)"]),
    (DOCUMENTS, {"models/tiny/size": "mini"}, ["laws.effective-data", "at least 2 model sizes", "1 (models)"]),
    (BITEXT, {"laws/repeated-data": {}, "pretraining/ladder": [4000, 8000, 16000]}, ["laws.repeated-data", "at least 4 rungs"]),
    # figures without the rows they need
    (DOCUMENTS, {"figures/score-vs-loss": {}}, ["figures.score-vs-loss", "no translation task"]),
    (DOCUMENTS, {"figures/alignment": {}}, ["figures.alignment", "no translation task"]),
    (DOCUMENTS, {"figures/transfer-gap": {}}, ["figures.transfer-gap", "laws.transfer-gap"]),
    (BITEXT, {"figures/effective-data": {}}, ["figures.effective-data", "laws.effective-data"]),
    # advice
    (DOCUMENTS, {"advice/metric": "bleu"}, ["advice.metric: `bleu`", "translation"]),
    (BITEXT, {"advice/metric": "comet"}, ["advice.metric: `comet`", "scoring.comet"]),
    (BITEXT, {"advice/metric": "bleurt"}, ["advice.metric: `bleurt`", "bleu, chrf"]),
    (BITEXT, {"advice/budget": 10}, ["advice.budget", "advice.pretraining_token_price and advice.finetuning_unit_price"]),
    (DOCUMENTS, {"advice/budget": 10}, ["advice.budget", "laws.transfer-gap"]),
]


def changed(kind: str, changes: dict[str, object]) -> dict:
    config = copy.deepcopy(STUDIES[kind])
    for path, value in changes.items():
        *folders, key = path.split("/")
        section = config
        for folder in folders:
            section = section.setdefault(folder, {})
        section[key] = value
    return config


@pytest.mark.parametrize("kind", STUDIES)
def test_what_can_work_is_let_through(kind):
    study = load_study(STUDIES[kind])
    assert list(contradictions(study)) == []
    assert len(list(crossings(study))) == len(study.models) * len(study.mixtures) * len(study.tasks)


@pytest.mark.parametrize(("kind", "changes", "words"), TABLE, ids=lambda value: "" if isinstance(value, list) else str(value))
def test_what_cannot_work_is_refused_with_the_config(kind, changes, words):
    with pytest.raises(UserError) as error:
        load_study(changed(kind, changes))
    lines = str(error.value).splitlines()[1:]
    assert any(all(word in line for word in words) for line in lines), str(error.value)


def test_two_forms_of_model_may_share_a_study_where_they_do_not_meet():
    """A crossing that is left out is no contradiction, and a model that nothing trains may have any form."""
    config = changed(BITEXT, {"models/decoder": {"size": "mini", "encoder_layers": 0}, "curves/leave_out": [{"model": "decoder"}]})
    assert "decoder" in load_study(config).models
    config["curves"]["leave_out"] = [{"model": "decoder", "mixture": "en"}]
    with pytest.raises(UserError, match=r"models\.decoder"):
        load_study(config)


def test_one_task_with_enough_sizes_is_enough():
    config = changed(BITEXT, {"tasks/few": {"kind": "translation", "bitext": "talks", "pairs": [1000]}})
    assert "few" in load_study(config).tasks


def test_columns_of_ones_own_are_counted_too():
    columns = {"laws/zhang-multiplicative": {"columns": ["pretraining_tokens", "parameters_non_embedding"]}}
    with pytest.raises(UserError, match=r"laws.zhang-multiplicative: it takes at least 3 model sizes, and there are 2"):
        load_study(changed(BITEXT, columns))
    assert load_study(changed(BITEXT, columns | {"models/third": {"size": "1M"}})).laws


def test_scores_are_known_where_any_task_translates(monkeypatch):
    monkeypatch.setattr("transferlaws.config.scoring_problems", lambda *_: [])  # whether COMET is installed
    config = changed(BITEXT, {"scoring/comet": "some/model", "advice/metric": "comet", "laws/score-log/metrics": ["comet"]})
    assert load_study(config).advice.metric == "comet"


def test_contradictions_and_other_mistakes_are_told_together():
    config = changed(BITEXT, {"tasks/en-de/bitext": "talk", "figures/effective-data": {}, "mixtures/fr": {"novel": 1}})
    with pytest.raises(UserError) as error:
        load_study(config)
    text = str(error.value)
    assert "Did you mean `talks`" in text and "figures.effective-data" in text and "Did you mean `novels`" in text


def test_what_the_checks_know_of_laws_and_figures_is_what_these_are():
    """The config may not import laws, which are slow to import; its tables must not drift from theirs."""
    forms = {name: dict(zip(law.form.columns, law.form.minimum_distinct, strict=True)) for name, law in LAWS.items()}
    assert forms == LEAST_DISTINCT
    assert {name for name, law in LAWS.items() if law.kind == "score"} == set(SCORE_LAWS)
    assert {name: protocol.laws for name, protocol in PROTOCOLS.items() if protocol.laws} == PROTOCOL_LAWS
    assert set(SCORES) <= set(SCORE_COLUMNS)
    assert set(NEEDS_SCORES) | set(NEEDS_LAW) <= set(FIGURES)
