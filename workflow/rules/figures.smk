rule figure:
    input:
        table=layout.measurements,
        laws=expand(layout.law, law=layout.study.laws),
    output:
        svg=report(
            f"{layout.figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        png=f"{layout.figure}.png",
    log:
        f"{layout.logs}/figure/{{figure}}.log",
    benchmark:
        f"{layout.logs}/figure/{{figure}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("figure"),
        runtime=jobs.runtime("figure"),
    params:
        code=code("figure"),
        settings=lambda wildcards: layout.settings("figures", wildcards.figure),
        prefix=lambda wildcards, output: splitext(output.svg)[0],
    shell:
        "python -m transferlaws figure {wildcards.figure} --measurements {input.table:q} --laws {input.laws:q}"
        " --settings {params.settings:q} --output-prefix {params.prefix:q} --log {log:q}"


rule summary:
    input:
        table=layout.measurements,
        sentences=layout.sentences,
        laws=expand(layout.law, law=layout.study.laws),
        advice=f"{layout.root}/laws/advice.json",
        study=f"{layout.root}/study.json",
        reports=layout.data_reports(),
    output:
        report(
            f"{layout.root}/summary.html",
            caption="../report/summary.rst",
            category="Answer",
        ),
    log:
        f"{layout.logs}/summary.log",
    benchmark:
        f"{layout.logs}/summary.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=jobs.mem_mb("summary"),
        runtime=jobs.runtime("summary"),
    params:
        code=code("summary"),
    shell:
        "python -m transferlaws summary --measurements {input.table:q} --laws {input.laws:q} --advice {input.advice:q}"
        " --sentences {input.sentences:q} --study {input.study:q} --reports {input.reports:q} --output {output:q} --log {log:q}"
