rule figure:
    input:
        table=plan.measurements,
        laws=expand(plan.law, law=plan.study.laws),
    output:
        svg=report(
            f"{plan.figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        png=f"{plan.figure}.png",
    log:
        f"{plan.logs}/figure/{{figure}}.log",
    benchmark:
        f"{plan.logs}/figure/{{figure}}.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=fingerprint("transferlaws.figures.stage"),
        settings=lambda wildcards: plan.settings("figures", wildcards.figure),
        prefix=lambda wildcards, output: splitext(output.svg)[0],
    shell:
        "python -m transferlaws figure {wildcards.figure} --measurements {input.table:q} --laws {input.laws:q}"
        " --settings {params.settings:q} --output-prefix {params.prefix:q} --log {log:q}"


rule summary:
    input:
        table=plan.measurements,
        sentences=plan.sentences,
        laws=expand(plan.law, law=plan.study.laws),
        advice=f"{plan.root}/laws/advice.json",
        study=f"{plan.root}/study.json",
        reports=plan.data_reports(),
    output:
        report(
            f"{plan.root}/summary.html",
            caption="../report/summary.rst",
            category="Answer",
        ),
    log:
        f"{plan.logs}/summary.log",
    benchmark:
        f"{plan.logs}/summary.tsv"
    conda:
        "../../envs/transferlaws.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=fingerprint("transferlaws.figures.summary"),
    shell:
        "python -m transferlaws summary --measurements {input.table:q} --laws {input.laws:q} --advice {input.advice:q}"
        " --sentences {input.sentences:q} --study {input.study:q} --reports {input.reports:q} --output {output:q} --log {log:q}"
