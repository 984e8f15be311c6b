"""The frame of the report: style, script and skeleton of a page that needs nothing from elsewhere."""

from __future__ import annotations

from string import Template

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2733; --soft: #5b6875; --line: #e2e7ec; --grid: #e8ecf0;
  --accent: #0072b2; --good: #00734f; --warn: #9a5b00; --bad: #b03a00;
  --shadow: 0 1px 2px rgba(20,35,50,.06), 0 4px 16px rgba(20,35,50,.05); }
@media (prefers-color-scheme: dark) { :root {
  --page: #0f151b; --card: #171f27; --ink: #e6ebf0; --soft: #9aa7b3; --line: #27323d; --grid: #25303a;
  --accent: #56b4e9; --good: #3ccf9f; --warn: #f0b13f; --bad: #ff8a50; --shadow: none; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 4rem; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header > div, nav > div { max-width: 1280px; margin: 0 auto; padding: 0 28px; }
header { padding: 34px 0 20px; }
header p { margin: 6px 0 0; color: var(--soft); }
h1 { margin: 0; font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 44px 0 14px; font-size: 20px; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
.eyebrow { color: var(--soft); font-size: 12px; letter-spacing: .09em; text-transform: uppercase; margin-bottom: 6px; }
.pill { display: inline-block; vertical-align: middle; margin-left: 12px; padding: 3px 11px; border-radius: 99px;
  font-size: 12.5px; font-weight: 600; letter-spacing: 0; border: 1.5px solid currentColor; }
.complete { color: var(--good); } .running, .killed { color: var(--warn); } .failed { color: var(--bad); }
.note { border-left: 4px solid var(--warn); background: var(--card); padding: 10px 16px; border-radius: 6px;
  margin-top: 16px; }
nav { position: sticky; top: 0; z-index: 5; background: color-mix(in srgb, var(--page) 88%, transparent);
  backdrop-filter: blur(8px); border-bottom: 1px solid var(--line); }
nav > div { display: flex; gap: 22px; overflow-x: auto; padding-top: 10px; padding-bottom: 10px; white-space: nowrap; }
nav a { color: var(--soft); text-decoration: none; font-size: 14px; } nav a:hover { color: var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(196px, 1fr)); gap: 14px; margin-top: 24px; }
.card, .box { background: var(--card); border: 1px solid var(--line); border-radius: 12px; box-shadow: var(--shadow); }
.card { padding: 15px 17px 14px; }
.card b { display: block; font-size: 27px; line-height: 1.25; font-weight: 620; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.card b span { font-size: 15px; font-weight: 500; color: var(--soft); letter-spacing: 0; }
.card .label { font-size: 13.5px; color: var(--soft); }
.card .more { font-size: 12.5px; color: var(--soft); margin-top: 3px; }
.box { padding: 8px 10px; overflow: hidden; } .box.table { padding: 0; }
.scroll { max-height: 560px; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 16px; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; } tr:last-child td { border-bottom: 0; }
th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 600; font-size: 12.5px; }
td.n, th.n { text-align: right; white-space: nowrap; } td.t { white-space: nowrap; }
td.u { color: var(--soft); width: 1%; padding-left: 0; white-space: nowrap; }
tr.group td { padding-top: 16px; color: var(--soft); font-size: 12px; font-weight: 600; letter-spacing: .08em;
  text-transform: uppercase; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 12px; width: 280px; max-width: 100%; margin-bottom: 10px; }
pre { margin: 0; padding: 16px 18px; overflow: auto; max-height: 640px;
  font: 13px/1.55 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; padding: 12px 18px; font-weight: 600; } details.box { padding: 0; margin-bottom: 12px; }
.chart:focus-visible, a:focus-visible, summary:focus-visible, input:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; border-radius: 6px; }
footer { color: var(--soft); font-size: 13px; margin: 40px 0 48px; }
.wide { overflow-x: auto; } .wide table { min-width: max-content; }
.wide td:first-child, .wide th:first-child { position: sticky; left: 0; background: var(--card); max-width: 240px;
  z-index: 1; }
.runs { color: var(--soft); font-size: 13.5px; margin: 0 0 10px; }
.runs span { display: inline-block; color: var(--ink); margin-left: 14px; }
.runs i { display: inline-block; width: 18px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; }
.wide .u { color: var(--soft); font-size: 12.5px; }
#events td:last-child { min-width: 230px; }
tr.alarm td { color: var(--bad); } h3 { margin: 18px 0 8px; font-size: 15.5px; }
header p .pill { margin-left: 10px; padding: 0 9px; font-size: 11.5px; }
@media (max-width: 600px) { main, header > div, nav > div { padding: 0 14px; } th, td { padding: 6px 10px; }
  .wide td:first-child, .wide th:first-child { max-width: 132px; } h1 { font-size: 24px; } }
@media print { nav, input { display: none; } .box, .card { break-inside: avoid; box-shadow: none; }
  .scroll { max-height: none; } }
"""

SCRIPT = """
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const scales = {
  power: [[[0, '#dfe6ec'], [0.04, '#cfe0ec'], [0.5, '#3d93c6'], [1, '#073b5c']],
          [[0, '#2a3641'], [0.04, '#23465c'], [0.5, '#2f8fc8'], [1, '#a5dbff']]],
  both: [[[0, '#a34700'], [0.48, '#f3d3b5'], [0.5, '#dfe6ec'], [0.52, '#b9d7ea'], [1, '#073b5c']],
         [[0, '#ffb27a'], [0.48, '#5c3a22'], [0.5, '#2a3641'], [0.52, '#234a62'], [1, '#9fdcff']]]};
function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
const narrow = window.matchMedia('(max-width: 640px)').matches;
function paint(figure) {
  const ink = colour('--ink'), soft = colour('--soft'), grid = colour('--grid'), card = colour('--card');
  const layout = figure.layout;
  layout.paper_bgcolor = layout.plot_bgcolor = 'rgba(0,0,0,0)';
  layout.font = {family: getComputedStyle(document.body).fontFamily, size: 12.5, color: soft};
  layout.hoverlabel = {bgcolor: card, bordercolor: colour('--line'), font: {color: ink, size: 12.5}};
  layout.legend.font = {color: ink};
  layout.modebar = {bgcolor: 'rgba(0,0,0,0)', color: grid, activecolor: soft};
  for (const note of layout.annotations) note.font = {color: ink, size: narrow ? 12 : 13.5};
  for (const key of Object.keys(layout)) if (/^[xy]axis/.test(key))
    Object.assign(layout[key], {gridcolor: grid, zerolinecolor: soft, linecolor: grid, spikecolor: soft});
  for (const trace of figure.data) if (trace.meta) {
    trace.colorscale = scales[trace.meta][dark.matches ? 1 : 0];
    Object.assign(trace.colorbar, {outlinewidth: 0, tickfont: {color: soft, size: 11}});
  }
}
const drawn = new Map();
let whole = null, span = null, following = false;
const touch = window.matchMedia('(pointer: coarse)').matches;
// on a phone: the legend below, titles in two lines, the buttons above all of it
function fold(figure, box) {
  const layout = figure.layout, above = 30;
  const below = 20 * figure.data.filter(trace => trace.name && trace.showlegend !== false).length;
  Object.assign(layout.legend, {y: -64 / (layout.height - layout.margin.t - layout.margin.b), yanchor: 'top'});
  layout.margin = {...layout.margin, l: 46, r: 8, t: layout.margin.t + above, b: layout.margin.b + below};
  layout.height += above + below;
  box.style.height = layout.height + 'px';
  for (const note of layout.annotations)
    Object.assign(note, {text: note.text.replace('</b>  ', '</b><br>'), align: 'left', yshift: 8});
  for (const trace of figure.data) if (trace.colorbar) trace.showscale = false;
}
function draw(box) {
  if (drawn.has(box)) return;
  const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
  drawn.set(box, figure);
  paint(figure);
  if (narrow) fold(figure, box);
  if (touch) figure.layout.dragmode = false;  // a finger scrolls the page
  whole = whole || figure.layout.xaxis.range.slice();
  if (span) figure.layout.xaxis.range = span.slice();
  Plotly.newPlot(box, figure.data, figure.layout, {responsive: true, displaylogo: false,
    displayModeBar: touch || 'hover', modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d']});
  box.on('plotly_relayout', change => {
    if (!following && Object.keys(change).some(key => key.startsWith('xaxis'))) look(box._fullLayout.xaxis.range, box);
  });
}
// one time axis: what one chart shows, all show
function look(range, but) {
  span = range.slice();
  following = true;
  const others = [...drawn.keys()].filter(box => box !== but);
  Promise.all(others.map(box => Plotly.relayout(box, {'xaxis.range': span.slice()})))
    .finally(() => { following = false; });
}
// one chart at a time, so that the page stays responsive while they appear; folded ones when they are opened
const boxes = [...document.querySelectorAll('.chart')];
const folded = box => box.closest('details:not([open])');
(function next(i) {
  if (i < boxes.length) { if (!folded(boxes[i])) draw(boxes[i]); setTimeout(next, 0, i + 1); }
})(0);
for (const part of document.querySelectorAll('details'))
  part.addEventListener('toggle', () => { if (part.open) part.querySelectorAll('.chart').forEach(draw); });
window.addEventListener('beforeprint', () => boxes.filter(box => !folded(box)).forEach(draw));
// arrows move along time, + and - zoom, 0 shows all
for (const box of boxes) {
  box.tabIndex = 0;
  box.setAttribute('role', 'application');
  box.setAttribute('aria-label', 'chart over time: arrow keys move, plus and minus zoom, 0 shows all');
  box.addEventListener('keydown', event => {
    const step = {ArrowLeft: [-.2, -.2], ArrowRight: [.2, .2], '+': [.2, -.2], '-': [-.4, .4]}[event.key];
    if (!step && event.key !== '0') return;
    event.preventDefault();
    const axis = box._fullLayout.xaxis, [from, to] = axis.range.map(x => axis.r2l(x));
    if (step) look([axis.l2r(from + step[0] * (to - from)), axis.l2r(to + step[1] * (to - from))]);
    else look(whole);
  });
}
dark.addEventListener('change', () => drawn.forEach((figure, box) => { paint(figure); Plotly.react(box, figure); }));
for (const input of document.querySelectorAll('input[data-table]')) {
  const rows = [...document.querySelectorAll('#' + input.dataset.table + ' tbody tr')];
  input.addEventListener('input', () => {
    const wanted = input.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
"""

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
<script>$plotly</script>
<script>$script</script>
</body>
</html>
""")
