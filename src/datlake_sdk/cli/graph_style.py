"""What the page of a lineage graph looks like, and the little it does: constants, so that no name gets into them."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ground: #f7f8fa; --surface: #ffffff; --border: #c9ced6; --line: #8b94a1;
  --text: #171b22; --muted: #58616e; --accent: #2557d6; --work: #edf2fd; --lit: #e3ebfc;
  --warn: #fdf3e0; --warned: #7a4d00;
  --completed: #1d7a4f; --failed: #c2312e; --aborted: #6b5fb5; --lost: #9a6200; }
@media (prefers-color-scheme: dark) { :root { --ground: #0e1116; --surface: #151a21; --border: #3a4350; --line: #6c7685;
  --text: #e8ecf2; --muted: #a3adbb; --accent: #7ea2ff; --work: #1a2436; --lit: #24334f;
  --warn: #2c2413; --warned: #e0a63a;
  --completed: #4cc38a; --failed: #ff7b72; --aborted: #a99cf0; --lost: #e0a63a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
header, main, footer { padding: 0 24px; }
header { padding-top: 20px; }
h1 { font-size: 20px; line-height: 1.3; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0; }
.muted { color: var(--muted); }
.banner { background: var(--warn); color: var(--warned); border-radius: 6px; padding: 8px 12px; margin: 12px 0 0; }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 20px; margin: 14px 0 8px; font-size: 13px; }
.bar span { color: var(--muted); display: inline-flex; align-items: center; gap: 6px; }
.bar svg { flex: none; }
.buttons { margin-left: auto; display: flex; gap: 4px; }
button { font: inherit; color: var(--text); background: var(--surface); border: 1px solid var(--border);
  border-radius: 6px; padding: 3px 10px; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.canvas { background: var(--surface); border: 1px solid var(--border); border-radius: 6px; overflow: auto;
  max-height: 78vh; }
.canvas > svg { display: block; margin: 0 auto; }
text { font: 13px system-ui, sans-serif; fill: var(--text); }
.name { font-weight: 600; }
.facts, .more { font-size: 12px; fill: var(--muted); }
.more { font-weight: 600; }
.card { fill: var(--surface); stroke: var(--border); }
.job .card, .run .card { fill: var(--work); }
.root > .card { stroke: var(--accent); stroke-width: 2.5; }
.icon { fill: none; stroke: var(--muted); stroke-width: 1.3; stroke-linejoin: round; }
.rule { stroke: var(--border); }
.row { fill: transparent; }
.start .row { fill: var(--lit); }
.start .field { font-weight: 600; fill: var(--accent); }
.node { cursor: pointer; }
.node:focus { outline: none; }
.node:focus-visible .card, .node:focus-visible .row { stroke: var(--accent); stroke-width: 2.5; }
.edge { fill: none; stroke: var(--line); stroke-width: 1.4; }
.edge.indirect { stroke-dasharray: 5 4; }
.edge.declared { stroke-dasharray: 1.5 4; stroke-linecap: round; }
.head { fill: var(--line); }
.head-lit { fill: var(--accent); }
.state { fill: var(--accent); }
.state.completed { fill: var(--completed); } .state.failed { fill: var(--failed); }
.state.aborted { fill: var(--aborted); } .state.lost { fill: var(--lost); }
.lighting .node:not(.lit), .lighting .edge:not(.lit) { opacity: .22; }
.lighting .edge.lit { stroke: var(--accent); stroke-width: 2; }
.lighting .column.lit .row { fill: var(--lit); }
@media (prefers-reduced-motion: no-preference) { .node, .edge { transition: opacity .12s; } }
details { margin: 16px 0; }
summary { cursor: pointer; font-weight: 600; }
table { border-collapse: collapse; font-size: 13px; margin: 12px 0; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--border); vertical-align: top;
  white-space: nowrap; }
th { font-weight: 600; color: var(--muted); font-size: 12px; }
td.number, th.number { text-align: right; }
code { font: 12px ui-monospace, monospace; }
footer { padding-bottom: 24px; font-size: 12px; color: var(--muted); }
@media print { .canvas { max-height: none; overflow: visible; border: 0; } .canvas > svg { width: 100%; height: auto; }
  .buttons { display: none; } }
"""

SCRIPT: Final = """
(() => {
  const svg = document.querySelector('.canvas > svg');
  const canvas = document.querySelector('.canvas');
  const nodes = [...svg.querySelectorAll('[data-node]')];
  const edges = [...svg.querySelectorAll('.edge')];
  const full = { width: svg.width.baseVal.value, height: svg.height.baseVal.value };
  let scale = 1, kept = null;

  const zoom = (to) => {
    scale = Math.min(2, Math.max(0.05, to));
    svg.setAttribute('width', full.width * scale);
    svg.setAttribute('height', full.height * scale);
  };
  const fit = () => zoom(Math.min(1, (canvas.clientWidth - 2) / full.width, window.innerHeight * 0.78 / full.height));

  const walk = (start, from, to, seen, lit) => {
    const waiting = [start];
    while (waiting.length) {
      const at = waiting.pop();
      for (const edge of edges) {
        if (edge.dataset[from] !== at) continue;
        lit.add(edge);
        const next = edge.dataset[to];
        if (!seen.has(next)) { seen.add(next); waiting.push(next); }
      }
    }
  };
  const light = (node) => {
    svg.classList.toggle('lighting', node !== null);
    const seen = new Set(), lit = new Set();
    if (node !== null) {
      const start = node.dataset.node, up = new Set([start]), down = new Set([start]);
      walk(start, 'to', 'from', up, lit);
      walk(start, 'from', 'to', down, lit);
      for (const each of [...up, ...down]) seen.add(each);
    }
    for (const each of nodes) each.classList.toggle('lit', seen.has(each.dataset.node));
    for (const each of edges) {
      each.classList.toggle('lit', lit.has(each));
      const head = lit.has(each) ? 'url(#head-lit)' : 'url(#head)';
      each.setAttribute(each.hasAttribute('marker-start') ? 'marker-start' : 'marker-end', head);
    }
  };
  for (const node of nodes) {
    node.addEventListener('pointerenter', () => light(node));
    node.addEventListener('pointerleave', () => light(kept));
    node.addEventListener('focus', () => { if (node.matches(':focus-visible')) light(node); });
    node.addEventListener('blur', () => light(kept));
    node.addEventListener('click', () => { kept = kept === node ? null : node; light(kept); });
  }
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') { kept = null; light(null); } });
  document.querySelector('#fit').addEventListener('click', fit);
  document.querySelector('#full').addEventListener('click', () => zoom(1));
  document.querySelector('#in').addEventListener('click', () => zoom(scale * 1.25));
  document.querySelector('#out').addEventListener('click', () => zoom(scale / 1.25));
  document.querySelector('.buttons').hidden = false;

  const fits = Math.min((canvas.clientWidth - 2) / full.width, window.innerHeight * 0.78 / full.height);
  if (fits < 1 && fits > 0.7) fit();
  const root = svg.querySelector('.start, .root');
  if (root) {
    const box = root.getBoundingClientRect(), frame = canvas.getBoundingClientRect();
    canvas.scrollLeft = box.left + box.width / 2 - frame.left - frame.width / 2;
    canvas.scrollTop = box.top + box.height / 2 - frame.top - frame.height / 2;
  }
})();
"""
