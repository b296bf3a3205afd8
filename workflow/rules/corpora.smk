rule bitext:
    input:
        files=lambda wildcards: layout.local_inputs("bitexts", wildcards.bitext),
    output:
        f"{layout.bitext}/report.json",
    log:
        f"{layout.logs}/bitext/{{bitext}}.log",
    benchmark:
        f"{layout.logs}/bitext/{{bitext}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("bitext"),
        runtime=jobs.runtime("bitext"),
    params:
        code=code("bitext"),
        settings=lambda wildcards: layout.settings("bitexts", wildcards.bitext),
        others=lambda wildcards: layout.files_in_braces("bitexts", wildcards.bitext),
        cache=layout.cache_option,
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws bitext --name {wildcards.bitext} --settings {params.settings:q} {params.cache}"
        " --output {params.folder:q} --log {log:q}"


rule corpus:
    input:
        files=lambda wildcards: layout.local_inputs("corpora", wildcards.corpus),
        bitexts=layout.corpus_inputs,
    output:
        f"{layout.corpus}/report.json",
    log:
        f"{layout.logs}/corpus/{{corpus}}.log",
    benchmark:
        f"{layout.logs}/corpus/{{corpus}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("corpus"),
        runtime=jobs.runtime("corpus"),
    params:
        code=code("corpus"),
        settings=lambda wildcards: layout.settings("corpora", wildcards.corpus),
        others=lambda wildcards: layout.files_in_braces("corpora", wildcards.corpus),
        against=layout.against,
        side=layout.corpus_side,
        cache=layout.cache_option,
        folder=lambda wildcards, output: folders(output),
    shell:
        "python -m transferlaws corpus --name {wildcards.corpus} --settings {params.settings:q} --against {params.against:q}"
        " {params.side} {params.cache} --output {params.folder:q} --log {log:q}"


rule check:
    input:
        layout.data_reports(),
    output:
        layout.checked,
    log:
        f"{layout.logs}/check.log",
    conda:
        "../../envs/transferlaws.yaml"
    params:
        code=code("check"),
        needs=layout.needs(),
    shell:
        "python -m transferlaws check --needs {params.needs:q} --output {output:q} --log {log:q}"
