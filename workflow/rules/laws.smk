from transferlaws.laws.settings import LAWS


rule fit:
    input:
        table=layout.measurements,
        sentences=layout.sentences,
    output:
        report(
            layout.law,
            caption="../report/law.rst",
            category="Laws",
            labels={"law": "{law}"},
        ),
    log:
        f"{layout.logs}/fit/{{law}}.log",
    benchmark:
        f"{layout.logs}/fit/{{law}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("fit"),
        runtime=jobs.runtime("fit"),
    params:
        code=code("fit"),
        settings=lambda wildcards: layout.settings("laws", wildcards.law),
    shell:
        "python -m transferlaws fit --measurements {input.table:q} --law {wildcards.law} --sentences {input.sentences:q}"
        " --settings {params.settings:q} --output {output:q} --log {log:q}"


rule advise:
    input:
        table=layout.measurements,
        sentences=layout.sentences,
        laws=expand(layout.law, law=layout.study.laws),
    output:
        json=f"{layout.root}/laws/advice.json",
        markdown=f"{layout.root}/laws/advice.md",
    log:
        f"{layout.logs}/advise.log",
    benchmark:
        f"{layout.logs}/advise.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("advise"),
        runtime=jobs.runtime("advise"),
    params:
        code=code("advise"),
        settings=layout.settings("advice"),
        epochs=layout.epochs_option,
    shell:
        "python -m transferlaws advise --measurements {input.table:q} --laws {input.laws:q} --sentences {input.sentences:q}"
        " {params.epochs} --settings {params.settings:q} --output {output.json:q} --markdown {output.markdown:q} --log {log:q}"


rule coverage_of_law:
    output:
        f"{layout.root}/coverage/{{any_law}}.csv",
    log:
        f"{layout.logs}/coverage/{{any_law}}.log",
    benchmark:
        f"{layout.logs}/coverage/{{any_law}}.tsv"
    wildcard_constraints:
        any_law=names_pattern(LAWS),
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        code=code("coverage"),
    shell:
        "OMP_NUM_THREADS=1 python -m transferlaws coverage --laws {wildcards.any_law} --output {output:q} --log {log:q}"


rule coverage:
    input:
        expand(f"{layout.root}/coverage/{{any_law}}.csv", any_law=LAWS),
    output:
        f"{layout.root}/coverage.csv",
    log:
        f"{layout.logs}/coverage.log",
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 5 * attempt,
    shell:
        "awk 'FNR > 1 || NR == 1' {input:q} > {output:q} 2> {log:q}"
