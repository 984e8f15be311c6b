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
