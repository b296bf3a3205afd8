rule bitext:
    input:
        files=lambda wildcards: plan.local_inputs("bitexts", wildcards.bitext),
    output:
        f"{plan.bitext}/report.json",
    log:
        f"{plan.logs}/bitext/{{bitext}}.log",
    benchmark:
        f"{plan.logs}/bitext/{{bitext}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=costs.mem_mb("bitext"),
        runtime=costs.runtime("bitext"),
    params:
        code=fingerprint("transferlaws.corpora.bitext"),
        settings=lambda wildcards: plan.settings("bitexts", wildcards.bitext),
        cache=plan.cache_option,
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws bitext --name {wildcards.bitext} --settings {params.settings:q} {params.cache}"
        " --output {params.folder:q} --log {log:q}"


rule corpus:
    input:
        files=lambda wildcards: plan.local_inputs("corpora", wildcards.corpus),
        bitexts=plan.corpus_inputs,
    output:
        f"{plan.corpus}/report.json",
    log:
        f"{plan.logs}/corpus/{{corpus}}.log",
    benchmark:
        f"{plan.logs}/corpus/{{corpus}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=costs.mem_mb("corpus"),
        runtime=costs.runtime("corpus"),
    params:
        code=fingerprint("transferlaws.corpora.corpus"),
        settings=lambda wildcards: plan.settings("corpora", wildcards.corpus),
        against=plan.against,
        side=plan.corpus_side,
        cache=plan.cache_option,
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws corpus --name {wildcards.corpus} --settings {params.settings:q} --against {params.against:q}"
        " {params.side} {params.cache} --output {params.folder:q} --log {log:q}"
