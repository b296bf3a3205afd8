# The workflow itself is workflow/Snakefile, where the workflow catalogue and `module` look for it.


include: "workflow/Snakefile"


# An include does not hand on the default target.
rule default:
    default_target: True
    input:
        rules.all.input,
