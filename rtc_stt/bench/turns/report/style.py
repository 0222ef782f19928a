"""How the page looks: a phone first, a wide screen as the extra; light, dark, and paper.

Colours of series keep 3 to 1 to their ground; lines differ in dash as well, and marks in form. There is no
script and no style in the document but this one, and its policy says so.
"""

__all__ = ["STYLE"]

_LIGHT = """
  --ground: #faf9f6; --surface: #ffffff; --sunken: #f1f0ec; --ink: #1d2327; --soft: #5c656b; --rule: #e4e3de;
  --axis: #8d959a; --accent: #0b5f73; --bad: #a3291f; --bad-wash: #fcebe8; --wave: #9fb4bd; --wash: #e9eff1;
  --s0: #0b6e86; --s1: #b4690e; --s2: #6a4c93; --s3: #3f7d3a; --s4: #b23a5b; --s5: #5f6a70; --on: #ffffff;
"""
_DARK = """
  --ground: #12171a; --surface: #191f23; --sunken: #20282c; --ink: #e8ecee; --soft: #a4afb5; --rule: #2d363b;
  --axis: #6f7b82; --accent: #6cc5d9; --bad: #ff9f94; --bad-wash: #3a1c1a; --wave: #4f6670; --wash: #232d32;
  --s0: #58b9d1; --s1: #e0a24a; --s2: #b498de; --s3: #86c07f; --s4: #ec8aa5; --s5: #a9b3b8; --on: #10181b;
"""

_PAGE = """
*, *::before, *::after { box-sizing: border-box; }
html { background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial,
  sans-serif; }
body { max-width: 1180px; margin: 0 auto; padding: 28px 16px 64px; overflow-wrap: anywhere; }
h1 { margin: 4px 0 10px; max-width: 26em; font-size: clamp(1.55rem, 1.1rem + 2vw, 2.3rem); line-height: 1.16;
  font-weight: 680; letter-spacing: -0.015em; text-wrap: balance; overflow-wrap: break-word; }
h2 { margin: 48px 0 4px; font-size: 1.2rem; line-height: 1.3; font-weight: 660; letter-spacing: -0.005em; }
h3 { margin: 0; font-size: 0.95rem; line-height: 1.35; font-weight: 640; }
p { margin: 0 0 8px; max-width: 46em; }
.eyebrow { margin: 0; color: var(--accent); font-size: 0.8125rem; font-weight: 640; }
.soft, figcaption p, caption, .note { color: var(--soft); font-size: 0.875rem; }
.alarm { max-width: none; margin: 8px 0 12px; padding: 10px 14px; border-left: 5px solid var(--bad);
  background: var(--bad-wash); color: var(--bad); font-weight: 600; }
ul.key { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 14px 0 0; padding: 0; list-style: none;
  font-size: 0.9rem; }
ul.key li { display: flex; align-items: center; gap: 8px; }
ul.key svg { width: 34px; height: 12px; flex: none; }
dl.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(136px, 1fr)); margin: 24px 0 0;
  border-top: 1px solid var(--rule); border-bottom: 1px solid var(--rule); }
dl.tiles div { padding: 12px 12px 12px 0; }
dl.tiles dt { color: var(--soft); font-size: 0.8125rem; }
dl.tiles dd { margin: 0; font-size: 1.7rem; line-height: 1.25; font-weight: 640; letter-spacing: -0.015em;
  font-variant-numeric: tabular-nums; }
dl.tiles dd small { font-size: 0.875rem; font-weight: 450; color: var(--soft); letter-spacing: 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: 16px;
  margin-top: 14px; }
figure { margin: 0; padding: 14px 14px 10px; min-width: 0; background: var(--surface);
  border: 1px solid var(--rule);
  border-radius: 8px; }
figure.turn { margin-top: 16px; }
figcaption { margin-bottom: 10px; }
figcaption p { margin: 2px 0 0; line-height: 1.4; max-width: none; }
figcaption q { color: var(--ink); }
figure svg { display: block; width: 100%; height: auto; max-width: 620px; overflow: visible; }
figure.turn svg { max-width: none; }
figure.turn svg.narrow { display: none; }

svg text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial,
  sans-serif;
  fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .tick, svg .lane { fill: var(--soft); font-size: 10px; }
svg .label { font-weight: 560; }
svg .figure { fill: var(--ink); }
svg .halo { paint-order: stroke; stroke: var(--surface); stroke-width: 4px; stroke-linejoin: round;
  font-weight: 600; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .axis { stroke: var(--axis); stroke-width: 1; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .mark { stroke: var(--surface); stroke-width: 1.2; }
svg .dot { fill-opacity: 0.5; }
svg .median { stroke: var(--ink); stroke-width: 2.4; }
svg .p95 { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 3 2; }
svg .lost { fill: none; stroke: var(--bad); stroke-width: 1.8; }
svg .part-hangover { fill: url(#hatch); stroke: var(--axis); stroke-width: 1; }
svg .part-late { fill: var(--s1); }
svg .part-final { fill: var(--s0); }
svg .on-part-hangover { font-weight: 600; paint-order: stroke; stroke: var(--surface); stroke-width: 4px; }
svg .on-part-late, svg .on-part-final { fill: var(--on); font-weight: 600; }
svg .hatch-ground { fill: var(--wash); }
svg .hatch-line { stroke: var(--axis); stroke-width: 1; opacity: 0.55; }
svg .wave { fill: var(--wave); }
svg .word { stroke: var(--axis); stroke-width: 1.4; }
svg .said { fill: var(--soft); }
svg .stable { font-weight: 600; }
svg .open { fill: var(--soft); }
svg .changed { fill: var(--bad); font-style: italic; text-decoration: underline dashed; }
svg .final, svg .eager { fill: var(--ink); }
svg .final { font-weight: 680; }
svg .resumed, svg .dropped, svg .failed { fill: var(--bad); font-style: italic; }
svg .shown { paint-order: stroke; stroke: var(--surface); stroke-width: 3px; stroke-linejoin: round;
  stroke-opacity: 0.85; }
svg .told { fill: var(--accent); }
svg .told.hollow { fill: var(--surface); stroke: var(--accent); stroke-width: 1.4; }
svg .final-mark { fill: var(--ink); }
svg .hangover { fill: var(--wash); opacity: 0.75; }
svg .bound { stroke: var(--accent); stroke-width: 1.2; stroke-dasharray: 2 2; }
svg .bound-name { fill: var(--accent); font-size: 10px; }
svg .arrow { fill: none; stroke: var(--accent); stroke-width: 1.3; }
svg .measured { fill: var(--accent); font-weight: 660; }

.scroll { overflow-x: auto; margin-top: 14px; background: var(--surface); border: 1px solid var(--rule);
  border-radius: 8px; }
.scroll:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
caption { padding: 12px 14px 6px; text-align: left; }
th, td { padding: 5px 10px; text-align: right; white-space: nowrap; font-weight: 400; vertical-align: top; }
th { color: var(--soft); }
tbody th:first-child, thead tr:first-child th:first-child { position: sticky; left: 0;
  background: var(--surface); }
tbody th, th.left, td.left { text-align: left; }
tbody th { color: var(--ink); font-weight: 560; }
thead tr:last-child th { border-bottom: 1px solid var(--axis); }
thead th[colspan] { text-align: center; }
th.starts, td.starts { padding-left: 22px; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
tbody tr.first > * { border-top: 1px solid var(--axis); }
td.words { white-space: normal; min-width: 20em; }
td.words p { margin: 0; }
td.words del { color: var(--soft); text-decoration: none; }
dl.facts { display: grid; grid-template-columns: minmax(96px, max-content) minmax(0, 1fr); gap: 4px 16px;
  margin: 10px 0 0;
  font-size: 0.875rem; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; }
.facts-of { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr));
  gap: 24px; }
dl.words dt { font-weight: 620; color: var(--ink); }

@media (max-width: 640px) {
  figure.turn svg.wide { display: none; }
  figure.turn svg.narrow { display: block; }
  figure { padding: 12px 10px 8px; }
  th, td { padding: 5px 8px; }
  tbody th { white-space: normal; min-width: 6.5em; }
}
@page { margin: 14mm; }
@media print {
  html { background: none; font-size: 12px; }
  body { max-width: none; padding: 0; }
  h2 { margin-top: 24px; break-after: avoid; }
  figure, tr, dl.tiles, .alarm { break-inside: avoid; }
  .grid { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; border: 0; }
  th, td { padding: 2px 4px; font-size: 0.72rem; }
  th.starts, td.starts { padding-left: 10px; }
  td.words { min-width: 12em; }
  figure, .alarm { border-color: var(--axis); }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

STYLE = (
    f":root {{ color-scheme: light dark;{_LIGHT}}}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{{_DARK}}} }}\n"
    + "".join(
        f"svg .s{n} {{ fill: var(--s{n}); }} svg .s{n}.curve {{ fill: none; stroke: var(--s{n}); }}\n"
        for n in range(6)
    )
    + _PAGE
)
"""A style sheet."""
