import os
import time
from os.path import splitext

import yaml
from snakemake.logging import logger

from transferlaws import records, scheduling
from transferlaws.cli import code
from transferlaws.config import overlay
from transferlaws.earlier import check_sources, last_study, repeated
from transferlaws.errors import UserError
from transferlaws.failures import last_words
from transferlaws.costs.estimate import Costs
from transferlaws.costs.jobs import Jobs
from transferlaws.costs.requests import LOCAL, requests
from transferlaws.layout import Layout, folders, names_pattern

# `configfile:` would merge a mixture's weights with those of the default's mixture of that name.
local_minutes = float(config.pop(LOCAL, 0))
config = overlay(
    yaml.safe_load(Path(workflow.source_path("../../config.yaml")).read_text()), config
)


try:
    layout = Layout(config)
    asked = requests(workflow.resource_settings)
    jobs = Jobs(Costs(layout), asked)
except UserError as error:
    environment.refuse(error)
scheduling.grow(workflow.resource_settings, asked.growing())
environment.hand_over(layout.resolved(), layout.study.store)
os.environ[environment.DEVICE] = layout.study.compute.device
environment.mark_shared(not workflow.remote_exec)

if workflow.is_main_process:
    records.restore(layout.root)
    try:
        for line in check_sources(layout):
            logger.warning(line)
    except UserError as error:
        environment.refuse(error)
    for line in repeated(last_study(layout), layout):
        logger.info(line)


STARTED = time.time()


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
    check,
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
