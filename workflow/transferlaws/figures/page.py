"""The template of the summary page, and how it is filled in: everything escaped, nothing active.

The template is Python text, not a file beside it, so that the fingerprint of the stage's code covers it.
"""

import jinja2

from transferlaws.format import printable

# No script, no request to anywhere, whatever stands in the data.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

TEMPLATE = """\
{%- macro interval(value) -%}
{{ value.estimate }} <span class="interval">({{ value.low }} to {{ value.high }})</span>
{%- endmacro -%}
{%- macro name(text) -%}<bdi class="name">{{ text }}</bdi>{%- endmacro -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ study }}: which pretraining data helps which task</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 90em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #bbb; } h3 { font-size: 1em; }
table { border-collapse: collapse; margin: .6em 0; font-size: .88em; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25em .7em; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
.interval, .note { color: #555; } .name { font-weight: 600; } .answer { margin: .3em 0; }
code, .hash { font-family: ui-monospace, monospace; font-size: .85em; word-break: break-all; }
img { max-width: 100%; } details pre { white-space: pre-wrap; word-break: break-word; font-size: .8em; }
</style>
</head>
<body>
<h1>Which pretraining data helps which task: study {{ name(study) }}</h1>
<p class="note">transferlaws {{ version }}; {{ rows }} measurements, SHA-256 <span class="hash">{{ sha256 }}</span>.</p>

<h2>Answer</h2>
{% for block in blocks %}
<h3>{{ block.title }}</h3>
{% for sentence in block.sentences %}<p class="answer">{{ sentence }}</p>
{% endfor %}
<table>
<tr><th>mixture</th>{% if block.aligned %}<th class="number">alignment</th>{% endif %}<th class="number">pretraining tokens</th>
{% for metric in block.metrics %}<th class="number">{{ metric }}</th><th class="number">improvement over scratch</th>{% endfor %}
</tr>
{% for row in block.table %}
<tr><td>{{ name(row.mixture) }}</td>{% if block.aligned %}<td class="number">{{ row.alignment }}</td>{% endif %}
<td class="number">{{ row.tokens }}</td>
{% for cell in row.cells %}<td class="number">{{ cell.value }}<br><span class="interval">{{ cell.seeds }}</span></td>
<td class="number">{% if cell.gain %}{{ interval(cell.gain) }}<br><span class="note">{{ cell.gain.verdict }}</span>{% endif %}</td>
{% endfor %}</tr>
{% if row.laws %}
<tr><td></td><td class="note" colspan="{{ 1 + block.aligned | int + 2 * block.metrics | length }}">
Laws: {{ row.laws | join("; ") }}.</td></tr>
{% endif %}{% endfor %}
</table>
{% if block.advice %}
<table>
<tr><th>mixture</th><th>advice</th><th>because</th></tr>
{% for row in block.advice %}
<tr><td>{{ name(row.mixture) }}</td><td>{{ row.answer }}</td><td>{{ row.because }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% endfor %}
{% if image %}
<p><img alt="Score against pretraining tokens, and gains over training from scratch" src="data:image/png;base64,{{ image }}"></p>
{% endif %}
{% for text in remarks %}<p class="note">{{ text }}</p>
{% endfor %}

<h2>What was measured, on what, how often</h2>
<table>
<tr>{% for head in measured.head %}<th>{{ head }}</th>{% endfor %}</tr>
{% for row in measured.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% for text in measured.notes %}<p class="note">{{ text }}</p>
{% endfor %}
{% if mixtures %}
<h3>Mixtures</h3>
<table>
<tr><th>mixture</th><th>share of tokens</th></tr>
{% for row in mixtures %}<tr><td>{{ name(row.name) }}</td><td>{{ row.weights }}</td></tr>
{% endfor %}
</table>
{% endif %}

{% if data %}
<h2>Data</h2>
<table>
<tr><th>name</th><th>languages</th><th>source, version</th><th>licence</th><th class="number">read</th><th class="number">kept</th>
<th class="number">characters</th><th>removed, by reason</th><th>overlap with test and dev, removed</th></tr>
{% for row in data %}
<tr><td>{{ name(row.name) }}<br><span class="note">{{ row.kind }}</span></td><td>{{ row.languages }}</td>
<td>{{ row.source }}<br>{{ row.version }}</td><td>{{ row.licence }}</td><td class="number">{{ row.read }}</td>
<td class="number">{{ row.kept }}</td><td class="number">{{ row.characters }}</td><td>{{ row.removed }}</td>
<td>{{ row.contamination }}</td></tr>
{% endfor %}
</table>
<details><summary>Checksums</summary><table>
{% for row in data %}
{% for file, hash in row.files %}
<tr><td>{{ row.name }}</td><td>{{ file }}</td><td class="hash">{{ hash }}</td></tr>
{% endfor %}
{% endfor %}
</table></details>
{% endif %}

{% if laws %}
<h2>Laws</h2>
{% for law in laws %}
<h3>{{ law.name }}: <code>{{ law.equation }}</code></h3>
<p class="note">{{ law.source }}. {{ law.protocol }}</p>
<table>
<tr><th>group</th><th>metric</th><th>parameters</th><th class="number">points fitted, held out</th>
<th class="number">mean relative error on held-out points</th><th>verdict</th></tr>
{% for fit in law.fits %}
<tr><td>{{ fit.group }}</td><td>{{ fit.metric }}</td>
<td>{% for p in fit.parameters %}
{{ p.name }} = {{ interval(p) }}{{ "" if p.identified else " not identified" }}{% if not loop.last %}<br>{% endif %}
{% endfor %}</td>
<td class="number">{{ fit.points }}</td><td class="number">{{ fit.held_out }}</td><td>{{ fit.verdict }}</td></tr>
{% endfor %}
</table>
{% endfor %}
{% endif %}

{% if resolved %}
<h2>Configuration</h2>
<details><summary>The resolved study</summary><pre>{{ resolved }}</pre></details>
{% endif %}
</body>
</html>
"""


def render(context: dict) -> str:
    """The page; every value is made printable and escaped, a missing one is an error."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(TEMPLATE).render(policy=POLICY, **context)
