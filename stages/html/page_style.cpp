#include "stages/html/page.hpp"

namespace stylescope::html {

const char* const kStyle = R"css(
:root {
  color-scheme: light dark;
  --bg: #f5f7f7; --panel: #ffffff; --ink: #17211f; --soft: #55656a; --line: #dbe3e4;
    --wash: #eaf3f4;
  --c0: #0b7285; --c1: #c2550c; --c2: #6741b5; --c3: #2b8a3e; --warn: #8a4b00; --warn-wash: #fdf3e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0f1517; --panel: #182023; --ink: #e4ecee; --soft: #9db0b6; --line: #2b383c;
      --wash: #1a2c31;
    --c0: #4cc4d8; --c1: #ff9e57; --c2: #b49cf5; --c3: #74c985; --warn: #ffc069;
      --warn-wash: #2b2216;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 16px/1.6 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 0 0 .8rem; }
h3 { font-size: 1.05rem; margin: 0; }
table + h3, .wide + h3, p + h3, .pair + h3 { margin-top: 1.5rem; }
p { max-width: 72ch; margin: .5rem 0; }
a { color: var(--c0); }
.lead { font-size: 1.12rem; color: var(--soft); }
nav { margin: 1.2rem 0 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .92rem; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.4rem 1.5rem; margin: 1.5rem 0; }
section.plain { background: none; border: 0; padding: 0; }
.findings { margin: .4rem 0 0; padding: 0 0 0 1.2rem; max-width: 76ch; }
.findings li { margin: .45rem 0; }
.limits { background: var(--warn-wash); border-left: 4px solid var(--warn);
  border-radius: 0 8px 8px 0; padding: .7rem 1.1rem; margin-top: 1.1rem; }
.limits h3 { color: var(--warn); }
.absent { color: var(--soft); font-style: italic; }
.note { color: var(--soft); font-size: .92rem; }
figure { margin: 0; }
figcaption { font-size: .86rem; color: var(--soft); margin-top: .35rem; line-height: 1.4; }
img { display: block; max-width: 100%; }
.picture img, .frame img, .stack img { width: 100%; border-radius: 6px; background: #000; }
.pixels img { image-rendering: pixelated; }
.walk { border-top: 1px solid var(--line); padding: 1.5rem 0; }
.walk:first-of-type { border-top: 0; padding-top: .4rem; }
.walk header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem;
  margin-bottom: .8rem; }
.chip { font-size: .86rem; padding: .1rem .6rem; border-radius: 99px; background: var(--wash);
  color: var(--ink); white-space: nowrap; }
.chip b { font-variant-numeric: tabular-nums; }
.stage { display: grid; grid-template-columns: 1fr 1fr 1.55fr; gap: 1.2rem; align-items: start; }
.stack { position: relative; }
.stack img.cam { position: absolute; inset: 0; }
.control { display: grid; grid-template-columns: auto 1fr auto; gap: .2rem .9rem;
  align-items: center; margin: 1rem 0 .3rem; font-size: .92rem; }
.control input[type=range] { width: 100%; accent-color: var(--c0); height: 1.6rem; cursor: pointer;
  }
.now { font-size: .95rem; font-variant-numeric: tabular-nums; margin: 0 0 .6rem; max-width: none; }
.now b { font-size: 1.1rem; }
.film { display: flex; gap: 3px; overflow-x: auto; padding: 3px; }
.frame { flex: 1 1 0; min-width: 40px; padding: 0; border: 0; background: none; cursor: pointer;
  border-radius: 7px; color: var(--soft); font: inherit; font-size: .72rem;
  font-variant-numeric: tabular-nums; }
.frame img { border-radius: 5px; }
.frame[aria-pressed=true] { outline: 3px solid var(--c0); outline-offset: -1px; color: var(--ink);
  font-weight: 600; }
:focus-visible { outline: 3px solid var(--c1); outline-offset: 2px; }
.side { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 1rem;
  margin-top: 1rem; }
.missing { display: grid; place-items: center; aspect-ratio: 1; border: 1px dashed var(--line);
  border-radius: 6px; color: var(--soft); font-size: .82rem; text-align: center; padding: .5rem; }
.chart { width: 100%; height: auto; display: block; }
.chart text { fill: var(--soft); font-size: 11.5px; font-family: inherit; }
.chart .grid { stroke: var(--line); }
.chart .axis { stroke: var(--soft); }
.chart .rule { stroke: var(--soft); stroke-dasharray: 3 4; }
.chart .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.line.series-0 { stroke: var(--c0); } .line.series-1 { stroke: var(--c1); stroke-dasharray: 6 4; }
.line.series-2 { stroke: var(--c2); } .line.series-3 { stroke: var(--c3); }
.dot.series-0 { fill: var(--c0); } .dot.series-1 { fill: var(--c1); }
.dot.series-2 { fill: var(--c2); } .dot.series-3 { fill: var(--c3); }
.marker-line { stroke: var(--c0); stroke-opacity: .35; stroke-width: 2; }
.marker-dot { fill: var(--c0); stroke: var(--panel); stroke-width: 2.5; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .84rem; color: var(--soft);
  padding-left: 3rem; }
.legend i { display: inline-block; width: 1.5rem; height: 0; border-top: 3px solid var(--c0);
  vertical-align: middle; margin-right: .4rem; }
.legend .series-1 { border-top-style: dashed; border-color: var(--c1); } .legend .series-2 {
  border-color: var(--c2); } .legend .series-3 { border-color: var(--c3); }
.charts { margin: .6rem 0 1.2rem; display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1.1rem;
  }
.charts h4 { margin: 0 0 .2rem; font-size: .92rem; font-weight: 600; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 1.3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem;
  font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; font-size: .86rem; }
td.n, th.n { text-align: right; white-space: nowrap; }
details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; background: var(--bg); border: 1px solid var(--line); border-radius: 8px;
  padding: .8rem 1rem; font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
code { font: .92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; word-break: break-all; }
footer { color: var(--soft); font-size: .88rem; margin-top: 2rem; }
@media (max-width: 820px) { .stage { grid-template-columns: 1fr 1fr; } .stage .curve {
  grid-column: 1 / -1; } }
@media print { body { background: #fff; } section { break-inside: avoid-page; } .control, nav {
  display: none; } }
)css";

}  // namespace stylescope::html
