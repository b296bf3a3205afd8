rule finetune:
    input:
        trajectories=plan.curve_trajectories,
        tokens=plan.task_tokens,
        vocabulary=f"{plan.vocabulary}/vocabulary.json",
    output:
        f"{plan.finetune}/curve.json",
    log:
        f"{plan.logs}/finetune/{{model}}/{{mixture}}/{{task}}/{{size}}.log",
    benchmark:
        f"{plan.logs}/finetune/{{model}}/{{mixture}}/{{task}}/{{size}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    threads: costs.threads("finetune")
    resources:
        mem_mb=costs.mem_mb("finetune"),
        runtime=costs.runtime("finetune"),
    params:
        code=fingerprint("transferlaws.training.finetune"),
        settings=plan.settings("finetuning"),
        model=lambda wildcards: plan.settings("models", wildcards.model),
        seeds=plan.settings("pretraining", "seeds"),
        trajectories=lambda wildcards, input: [
            f"--trajectory {path}" for path in input.trajectories
        ],
        tokens=lambda wildcards, input: folders(input.tokens),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        state=plan.state,
        folder=lambda wildcards, output: folders(output),
    shell:
        "OMP_NUM_THREADS=1 python -m transferlaws finetune {params.trajectories} --tokens {params.tokens:q} --processes {threads}"
        " --vocabulary {params.vocabulary:q} --name-model {wildcards.model} --mixture {wildcards.mixture} --task {wildcards.task}"
        " --size {wildcards.size} --seeds {params.seeds:q} --model {params.model:q} --settings {params.settings:q}"
        " --code {params.code} --state {params.state:q} --output {params.folder:q} --log {log:q}"


rule evaluate:
    input:
        curve=f"{plan.finetune}/curve.json",
        tokens=plan.task_tokens,
        vocabulary=f"{plan.vocabulary}/vocabulary.json",
    output:
        f"{plan.evaluate}/evaluation.json",
    log:
        f"{plan.logs}/evaluate/{{model}}/{{mixture}}/{{task}}/{{size}}.log",
    benchmark:
        f"{plan.logs}/evaluate/{{model}}/{{mixture}}/{{task}}/{{size}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    threads: 1
    resources:
        mem_mb=costs.mem_mb("evaluate"),
        runtime=costs.runtime("evaluate"),
    params:
        code=fingerprint("transferlaws.evaluation.evaluate"),
        settings=plan.settings("evaluation"),
        tokens=lambda wildcards, input: folders(input.tokens),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        folder=lambda wildcards, output: folders(output),
    shell:
        "OMP_NUM_THREADS={threads} python -m transferlaws evaluate --curve {input.curve:q} --tokens {params.tokens:q}"
        " --vocabulary {params.vocabulary:q} --settings {params.settings:q} --output {params.folder:q} --log {log:q}"


rule score:
    input:
        evaluations=plan.each_curve(f"{plan.evaluate}/evaluation.json"),
        reports=plan.data_reports(),
    output:
        table=report(
            plan.measurements,
            caption="../report/measurements.rst",
            category="Measurements",
        ),
        sentences=plan.sentences,
    log:
        f"{plan.logs}/score.log",
    benchmark:
        f"{plan.logs}/score.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=fingerprint("transferlaws.evaluation.score"),
        study=plan.study.study,
        evaluations=lambda wildcards, input: folders(input.evaluations),
        mixtures=plan.scored_mixtures(),
        tasks=plan.scored_tasks(),
        settings=plan.settings("scoring"),
    shell:
        "python -m transferlaws score --study {params.study} --evaluations {params.evaluations:q} --mixtures {params.mixtures:q}"
        " --tasks {params.tasks:q} --settings {params.settings:q} --output {output.table:q} --sentences {output.sentences:q}"
        " --log {log:q}"
