/** The page brings all that it shows: nothing is fetched, and no script runs. */
export const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

export const STYLE = `
:root { color-scheme: light dark; --text: #1d2430; --dim: #5b6675; --line: #c4cbd6; --card: #f5f7fa; --page: #fff;
  --disk: #dcebff; --snapshot: #e4f5e1; --base: #eceff3; --odd: #fff3d6; --wrong: #ffdfdc; --error: #b3261e; --warning: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --dim: #9aa6b5; --line: #465062; --card: #1f2530; --page: #161a21;
  --disk: #1d3a5f; --snapshot: #214428; --base: #2b323d; --odd: #4d3d12; --wrong: #5c2320; --error: #ff8a80; --warning: #f2bd5a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px; max-width: 1400px; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 10px; }
p { margin: 6px 0; overflow-wrap: anywhere; }
.dim { color: var(--dim); }
.finding { border-left: 4px solid var(--warning); background: var(--card); padding: 8px 12px; margin: 8px 0; }
.finding.error { border-color: var(--error); }
.finding strong { color: var(--warning); }
.finding.error strong { color: var(--error); }
.chain { overflow-x: auto; margin: 10px 0; }
.line { fill: none; stroke: var(--line); stroke-width: 1.5; }
.node rect { fill: var(--disk); stroke: var(--line); }
.node.snapshot rect { fill: var(--snapshot); }
.node.base-copy rect { fill: var(--base); }
.node.hidden rect, .node.set-aside rect, .node.foreign rect { fill: var(--odd); }
.node.wrong rect { fill: var(--wrong); stroke: var(--error); }
.box { padding: 6px 9px; font-size: 12px; line-height: 17px; }
.box b, .box span { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.box b { font-size: 13px; }
.bar { display: flex; height: 18px; border: 1px solid var(--line); border-radius: 4px; overflow: hidden; }
.bar i { display: block; }
.bar .disks { background: #4b87d6; } .bar .copies { background: #8792a3; } .bar .rest { background: #c99a2e; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; }
`;
