rule vocabulary:
    input:
        layout.vocabulary_inputs,
    output:
        f"{layout.vocabulary}/vocabulary.json",
    log:
        f"{layout.logs}/vocabulary.log",
    benchmark:
        f"{layout.logs}/vocabulary.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("vocabulary"),
        settings=layout.settings("vocabulary"),
        corpora=lambda wildcards, input: folders(input),
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws vocabulary --settings {params.settings:q} --corpora {params.corpora:q} --output {params.folder:q} --log {log:q}"


rule corpus_tokens:
    input:
        text=f"{layout.corpus}/report.json",
        vocabulary=f"{layout.vocabulary}/vocabulary.json",
    output:
        f"{layout.corpus_tokens}/index.json",
    log:
        f"{layout.logs}/tokens/{{corpus}}.log",
    benchmark:
        f"{layout.logs}/tokens/{{corpus}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=costs.mem_mb("corpus_tokens"),
        runtime=costs.runtime("corpus_tokens"),
    params:
        code=code("tokens"),
        text=lambda wildcards, input: folders(input.text),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws tokens --input {params.text:q} --vocabulary {params.vocabulary:q} --output {params.folder:q} --log {log:q}"


use rule corpus_tokens as bitext_tokens with:
    input:
        text=f"{layout.bitext}/report.json",
        vocabulary=f"{layout.vocabulary}/vocabulary.json",
    output:
        f"{layout.bitext_tokens}/index.json",
    log:
        f"{layout.logs}/tokens/{{bitext}}.log",
    benchmark:
        f"{layout.logs}/tokens/{{bitext}}.tsv"
    resources:
        mem_mb=costs.mem_mb("bitext_tokens"),
        runtime=costs.runtime("bitext_tokens"),
    params:
        code=code("tokens"),
        text=lambda wildcards, input: folders(input.text),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        folder=lambda wildcards, output: folders(output),
