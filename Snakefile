import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.14")

# The package runs from this checkout, with the interpreter that runs Snakemake, whether or not it is installed.
PACKAGE = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(PACKAGE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ["TRANSFERLAWS_PROGRESS"] = "lines"


configfile: Path(workflow.basedir) / "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/tokens.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/laws.smk"
include: "workflow/rules/figures.smk"


report: "workflow/report/workflow.rst"


rule all:
    input:
        plan.targets(),
    default_target: True
