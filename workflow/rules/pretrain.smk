rule pretrain:
    input:
        tokens=layout.mixture_tokens,
        vocabulary=f"{layout.vocabulary}/vocabulary.json",
        checked=ancient(layout.checked),
    output:
        f"{layout.pretrain}/trajectory.json",
    log:
        f"{layout.logs}/pretrain/{{model}}/{{mixture}}/seed_{{seed}}.log",
    benchmark:
        f"{layout.logs}/pretrain/{{model}}/{{mixture}}/seed_{{seed}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    threads: jobs.threads("pretrain")
    resources:
        mem_mb=jobs.mem_mb("pretrain"),
        runtime=jobs.runtime("pretrain"),
    params:
        code=code("pretrain"),
        settings=layout.settings("pretraining", leave_out=("ladder", "seeds")),
        ladder=layout.settings("pretraining", "ladder"),
        model=lambda wildcards: layout.settings("models", wildcards.model),
        weights=lambda wildcards: layout.settings("mixtures", wildcards.mixture),
        tokens=lambda wildcards, input: folders(input.tokens),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        state=layout.state,
        folder=lambda wildcards, output: folders(output),
    shell:
        "OMP_NUM_THREADS={threads} python -m transferlaws pretrain --tokens {params.tokens:q} --vocabulary {params.vocabulary:q}"
        " --model-name {wildcards.model} --mixture {wildcards.mixture} --seed {wildcards.seed} --weights {params.weights:q}"
        " --model {params.model:q} --settings {params.settings:q} --ladder {params.ladder:q} --code {params.code}"
        " --state {params.state:q} --output {params.folder:q} --log {log:q}"
