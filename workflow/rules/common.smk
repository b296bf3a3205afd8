from os.path import splitext

import yaml

from transferlaws import records
from transferlaws.cli import code
from transferlaws.config import overlay
from transferlaws.errors import UserError
from transferlaws.costs.estimate import Costs
from transferlaws.layout import Layout, folders, names_pattern

# `configfile:` would merge a mixture's weights with those of the default's mixture of that name.
config = overlay(
    yaml.safe_load(Path(workflow.source_path("../../config.yaml")).read_text()), config
)

try:
    layout = Layout(config)
    costs = Costs(layout)
except UserError as error:
    raise WorkflowError(str(error)) from None
environment.hand_over(layout.resolved(), layout.study.store)

if workflow.is_main_process:
    records.restore(layout.root)


wildcard_constraints:
    bitext=names_pattern(layout.study.bitexts),
    corpus=names_pattern(layout.study.corpora),
    model=names_pattern(layout.study.models),
    mixture=names_pattern(["scratch", *layout.study.mixtures]),
    task=names_pattern(layout.study.tasks),
    law=names_pattern(layout.study.laws),
    figure=names_pattern(layout.study.figures),
    seed=r"\d+",
    finetuning_size=r"\d+",


localrules:
    all,
    default,
    plan,
    study,


rule study:
    output:
        f"{layout.root}/study.json",
    log:
        f"{layout.logs}/study.log",
    conda:
        "../../envs/transferlaws.yaml"
    params:
        identity=layout.identity(),
    shell:
        "printf '%s\\n' \"$TRANSFERLAWS_STUDY\" > {output:q} 2> {log:q}"


rule plan:
    input:
        f"{layout.root}/study.json",
    output:
        table=f"{layout.root}/plan.csv",
        text=f"{layout.root}/plan.txt",
    log:
        f"{layout.logs}/plan.log",
    conda:
        "../../envs/transferlaws.yaml"
    params:
        code=code("plan"),
    shell:
        "python -m transferlaws plan {input:q} --csv {output.table:q} --text {output.text:q} --log {log:q} && cat {output.text:q}"
