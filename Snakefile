import json
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.14")

PACKAGE = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(PACKAGE))

from transferlaws import environment

environment.prepare(PACKAGE)


include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/tokens.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/laws.smk"
include: "workflow/rules/figures.smk"


scheduling.run_beside(workflow, jobs.beside_snakemake(local_minutes))
scheduling.give_up_on_refusals()


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        layout.targets(),


# The report needs a finished run, so it is no rule: it is made when all is there.
onsuccess:
    records.keep(layout.root)
    if all(Path(target).exists() for target in layout.targets()):
        merged = Path(layout.state) / "report-config.json"
        merged.parent.mkdir(exist_ok=True)
        merged.write_text(json.dumps(config))
        shell(
            "python -m snakemake --report {layout.root:q}/report.html --snakefile {workflow.main_snakefile:q} --configfile {merged:q}"
            " > {layout.logs:q}/report.log 2>&1 && echo report: {layout.root:q}/report.html"
        )


onerror:
    records.keep(layout.root)
    for line in last_words(layout.logs, STARTED):
        logger.error(line)
