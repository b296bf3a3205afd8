from os.path import splitext

import yaml
from snakemake.exceptions import WorkflowError

from transferlaws import records
from transferlaws.config import overlay
from transferlaws.errors import UserError
from transferlaws.fingerprint import fingerprint
from transferlaws.plan.costs import Costs
from transferlaws.study import Plan, folders, names_pattern

# `configfile:` would merge a mixture's weights with those of the default's mixture of that name.
config = overlay(
    yaml.safe_load((Path(workflow.basedir) / "config.yaml").read_text()), config
)

try:
    plan = Plan(config)
    costs = Costs(plan)
except UserError as error:
    raise WorkflowError(str(error)) from None
environment.hand_over(plan.resolved(), plan.study.store)

if workflow.is_main_process:
    records.restore(plan.root)


wildcard_constraints:
    bitext=names_pattern(plan.study.bitexts),
    corpus=names_pattern(plan.study.corpora),
    model=names_pattern(plan.study.models),
    mixture=names_pattern(["scratch", *plan.study.mixtures]),
    task=names_pattern(plan.study.tasks),
    law=names_pattern(plan.study.laws),
    figure=names_pattern(plan.study.figures),
    seed=r"\d+",
    size=r"\d+",


localrules:
    all,
    plan,
    study,


rule study:
    output:
        f"{plan.root}/study.json",
    log:
        f"{plan.logs}/study.log",
    conda:
        "../../envs/transferlaws.yaml"
    params:
        identity=plan.identity(),
    shell:
        "printf '%s\\n' \"$TRANSFERLAWS_STUDY\" > {output:q} 2> {log:q}"


rule plan:
    input:
        f"{plan.root}/study.json",
    output:
        table=f"{plan.root}/plan.csv",
        text=f"{plan.root}/plan.txt",
    log:
        f"{plan.logs}/plan.log",
    conda:
        "../../envs/transferlaws.yaml"
    params:
        code=fingerprint("transferlaws.plan.stage"),
    shell:
        "python -m transferlaws plan {input:q} --csv {output.table:q} --text {output.text:q} --log {log:q} && cat {output.text:q}"
