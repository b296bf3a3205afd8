rule finetune:
    input:
        trajectories=layout.curve_trajectories,
        tokens=layout.task_tokens,
        vocabulary=f"{layout.vocabulary}/vocabulary.json",
        checked=ancient(layout.checked),
    output:
        f"{layout.finetune}/curve.json",
    log:
        f"{layout.logs}/finetune/{{model}}/{{mixture}}/{{task}}/{{finetuning_size}}.log",
    benchmark:
        f"{layout.logs}/finetune/{{model}}/{{mixture}}/{{task}}/{{finetuning_size}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    threads: jobs.threads("finetune")
    resources:
        mem_mb=jobs.mem_mb("finetune"),
        runtime=jobs.runtime("finetune"),
    params:
        code=code("finetune"),
        settings=layout.settings("finetuning"),
        model=lambda wildcards: layout.settings("models", wildcards.model),
        seeds=layout.settings("pretraining", "seeds"),
        trajectories=lambda wildcards, input: [
            f"--trajectory {path}" for path in input.trajectories
        ],
        tokens=lambda wildcards, input: folders(input.tokens),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        state=layout.state,
        folder=lambda wildcards, output: folders(output),
    shell:
        "OMP_NUM_THREADS=1 python -m transferlaws finetune {params.trajectories} --tokens {params.tokens:q} --processes {threads}"
        " --vocabulary {params.vocabulary:q} --model-name {wildcards.model} --mixture {wildcards.mixture} --task {wildcards.task}"
        " --finetuning-size {wildcards.finetuning_size} --seeds {params.seeds:q} --model {params.model:q} --settings {params.settings:q}"
        " --code {params.code} --state {params.state:q} --output {params.folder:q} --log {log:q}"


rule evaluate:
    input:
        curve=f"{layout.finetune}/curve.json",
        tokens=layout.task_tokens,
        vocabulary=f"{layout.vocabulary}/vocabulary.json",
    output:
        f"{layout.evaluate}/evaluation.json",
    log:
        f"{layout.logs}/evaluate/{{model}}/{{mixture}}/{{task}}/{{finetuning_size}}.log",
    benchmark:
        f"{layout.logs}/evaluate/{{model}}/{{mixture}}/{{task}}/{{finetuning_size}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    threads: 1
    resources:
        mem_mb=jobs.mem_mb("evaluate"),
        runtime=jobs.runtime("evaluate"),
    params:
        code=code("evaluate"),
        settings=layout.settings("evaluation"),
        tokens=lambda wildcards, input: folders(input.tokens),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        folder=lambda wildcards, output: folders(output),
    shell:
        "OMP_NUM_THREADS={threads} python -m transferlaws evaluate --curve {input.curve:q} --tokens {params.tokens:q}"
        " --vocabulary {params.vocabulary:q} --settings {params.settings:q} --output {params.folder:q} --log {log:q}"


rule score:
    input:
        evaluations=layout.each_curve(f"{layout.evaluate}/evaluation.json"),
        reports=layout.data_reports(),
    output:
        table=report(
            layout.measurements,
            caption="../report/measurements.rst",
            category="Measurements",
        ),
        sentences=layout.sentences,
    log:
        f"{layout.logs}/score.log",
    benchmark:
        f"{layout.logs}/score.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("score"),
        runtime=jobs.runtime("score"),
    params:
        code=code("score"),
        study=layout.study.study,
        evaluations=lambda wildcards, input: folders(input.evaluations),
        expected=layout.expected_curves(),
        mixtures=layout.scored_mixtures(),
        tasks=layout.scored_tasks(),
        settings=layout.settings("scoring"),
    shell:
        "python -m transferlaws score --study {params.study} --evaluations {params.evaluations:q} --mixtures {params.mixtures:q}"
        " --tasks {params.tasks:q} --expected {params.expected:q} --settings {params.settings:q} --output {output.table:q} --sentences {output.sentences:q}"
        " --log {log:q}"
