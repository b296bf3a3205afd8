rule pretrain:
    input:
        tokens=plan.mixture_tokens,
        vocabulary=f"{plan.vocabulary}/vocabulary.json",
    output:
        f"{plan.pretrain}/trajectory.json",
    log:
        f"{plan.logs}/pretrain/{{model}}/{{mixture}}/seed_{{seed}}.log",
    benchmark:
        f"{plan.logs}/pretrain/{{model}}/{{mixture}}/seed_{{seed}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    threads: 1
    resources:
        mem_mb=costs.mem_mb("pretrain"),
        runtime=costs.runtime("pretrain"),
    params:
        code=fingerprint("transferlaws.training.pretrain"),
        settings=plan.settings("pretraining", leave_out=("ladder", "seeds")),
        ladder=plan.settings("pretraining", "ladder"),
        model=lambda wildcards: plan.settings("models", wildcards.model),
        weights=lambda wildcards: plan.settings("mixtures", wildcards.mixture),
        tokens=lambda wildcards, input: folders(input.tokens),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        state=plan.state,
        folder=lambda wildcards, output: folders(output),
    shell:
        "OMP_NUM_THREADS={threads} python -m transferlaws pretrain --tokens {params.tokens:q} --vocabulary {params.vocabulary:q}"
        " --name-model {wildcards.model} --name-mixture {wildcards.mixture} --seed {wildcards.seed} --weights {params.weights:q}"
        " --model {params.model:q} --settings {params.settings:q} --ladder {params.ladder:q} --code {params.code}"
        " --state {params.state:q} --output {params.folder:q} --log {log:q}"
