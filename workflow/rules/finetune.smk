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
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        code=fingerprint("transferlaws.training.finetune"),
        settings=plan.settings("finetuning"),
        task=plan.task_settings,
        model=lambda wildcards: plan.settings("models", wildcards.model),
        seeds=plan.settings("pretraining", "seeds"),
        state=plan.state,
        folder=plan.finetune,
    shell:
        "OMP_NUM_THREADS={threads} python -m transferlaws finetune --trajectories {input.trajectories:q} --tokens {input.tokens:q}"
        " --vocabulary {input.vocabulary:q} --name-model {wildcards.model} --name-mixture {wildcards.mixture} --name-task {wildcards.task}"
        " --size {wildcards.size} --seeds {params.seeds:q} --task {params.task:q} --model {params.model:q} --settings {params.settings:q}"
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
        mem_mb=4000,
        runtime=120,
    params:
        code=fingerprint("transferlaws.evaluation.evaluate"),
        settings=plan.settings("evaluation"),
        task=plan.task_settings,
        folder=plan.evaluate,
    shell:
        "OMP_NUM_THREADS={threads} python -m transferlaws evaluate --curve {input.curve:q} --tokens {input.tokens:q}"
        " --vocabulary {input.vocabulary:q} --task {params.task:q} --settings {params.settings:q} --output {params.folder:q} --log {log:q}"


rule score:
    input:
        evaluations=plan.each_curve(f"{plan.evaluate}/evaluation.json"),
        curves=plan.each_curve(f"{plan.finetune}/curve.json"),
        trajectories=plan.trajectory_manifests(),
        tokens=plan.task_manifests(),
    output:
        table=plan.measurements,
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
        languages=plan.languages(),
        tasks=plan.settings("tasks"),
        settings=plan.settings("scoring"),
    shell:
        "python -m transferlaws score --study {params.study} --evaluations {input.evaluations:q} --curves {input.curves:q}"
        " --trajectories {input.trajectories:q} --tokens {input.tokens:q} --languages {params.languages:q} --tasks {params.tasks:q}"
        " --settings {params.settings:q} --output {output.table:q} --sentences {output.sentences:q} --log {log:q}"
