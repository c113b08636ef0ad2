"""The style sheet of the HTML report; light and dark as the reader's system is, and fit for printing."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#667085;--line:#d9dee7;--ground:#fff;--card:#f7f8fa;
--ok:#2563eb;--calm:#8aa0b8;--warn:#b7791f;--bad:#d03030;--good:#17803d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#333b49;--ground:#12161d;
--card:#1a2029;--ok:#6ea0ff;--calm:#7d8ea3;--warn:#e0a840;--bad:#ff7070;--good:#4cc07a}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1360px;margin:0 auto;padding:24px}
h1 small{font-size:14px;font-weight:400;color:var(--soft)}
h2{margin:0 0 4px}h3{margin:20px 0 6px;font-size:15px}
article{border:1px solid var(--line);border-radius:10px;padding:20px;margin:20px 0;background:var(--card)}
.lead{font-size:17px;margin:4px 0 10px}.fine{color:var(--soft);font-size:13px}
.pull{font-weight:600}.contents{padding-left:18px}
.badge{font-size:12px;font-weight:600;padding:2px 8px;border-radius:99px;border:1px solid currentColor;
white-space:nowrap;vertical-align:middle;color:var(--soft)}
.badge.code,.badge.configuration,.badge.critical,.badge.failed{color:var(--bad)}
.badge.warning,.badge.refused,.badge.bad_deploy{color:var(--warn)}
.badge.healthy,.badge.pull_request{color:var(--good)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:12px}
svg{width:100%;height:auto;background:var(--ground);border:1px solid var(--line);border-radius:8px}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}svg .title{font-weight:600;fill:var(--ink)}
svg path{fill:none}.grid{stroke:var(--line)}.limit{stroke:var(--soft);stroke-dasharray:5 4}
.line{stroke-width:1.8;stroke-linejoin:round}
.ok{stroke:var(--ok)}.calm{stroke:var(--calm)}.warn{stroke:var(--warn)}.bad{stroke:var(--bad)}
path.onset{stroke:var(--bad);stroke-dasharray:3 3}text.onset{fill:var(--bad)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:6px 10px 6px 0;
border-bottom:1px solid var(--line);vertical-align:top}th{font-size:13px;color:var(--soft)}
pre{overflow-x:auto;white-space:pre-wrap;background:var(--ground);
border:1px solid var(--line);border-radius:8px;padding:10px;font:12px/1.45 ui-monospace,monospace}
details{margin:6px 0}summary{cursor:pointer}details:target{outline:2px solid var(--ok);border-radius:6px}
a{color:var(--ok)}.cite{font:12px ui-monospace,monospace}
@media print{article{break-inside:avoid-page}body{background:#fff}}
""".replace("\n", "")
