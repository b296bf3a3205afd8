rule vocabulary:
    input:
        corpora=layout.vocabulary_corpora,
        bitexts=layout.vocabulary_bitexts,
        cover=layout.vocabulary_cover,
    output:
        f"{layout.vocabulary}/vocabulary.json",
    log:
        f"{layout.logs}/vocabulary.log",
    benchmark:
        f"{layout.logs}/vocabulary.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("vocabulary"),
        runtime=jobs.runtime("vocabulary"),
    params:
        code=code("vocabulary"),
        settings=layout.settings("vocabulary", leave_out=("corpora",)),
        corpora=lambda wildcards, input: folders(input.corpora),
        bitexts=lambda wildcards, input: folders(input.bitexts),
        cover=lambda wildcards, input: folders(input.cover),
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws vocabulary --settings {params.settings:q} --corpora {params.corpora:q} --bitexts {params.bitexts:q}"
        " --cover {params.cover:q} --output {params.folder:q} --log {log:q}"


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
        mem_mb=jobs.mem_mb("corpus_tokens"),
        runtime=jobs.runtime("corpus_tokens"),
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
        mem_mb=jobs.mem_mb("bitext_tokens"),
        runtime=jobs.runtime("bitext_tokens"),
    params:
        code=code("tokens"),
        text=lambda wildcards, input: folders(input.text),
        vocabulary=lambda wildcards, input: folders(input.vocabulary),
        folder=lambda wildcards, output: folders(output),
