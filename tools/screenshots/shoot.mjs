// Takes the pictures of docs/images, and checks Railmend's own pages with axe-core: see `make screenshots`.
// Given --page, the address that `starter.py web` prints; --report FILE; --pull-request URL; and for the Temporal
// Web UI --ui URL --incident ID --run RUN. Each is left out where it is not given. CHROMIUM names another browser.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import puppeteer from "puppeteer-core";

const names = ["page", "report", "pull-request", "ui", "incident", "run", "to"];
const { values: given } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
const folder = given.to ?? "docs/images";
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // Containers forbid Chromium's own sandbox; it only opens pages of this machine.
  args: ["--no-sandbox", "--hide-scrollbars"],
});
let violations = 0;

async function shoot(name, address, { width = 1100, height = 1300, dark = false, check = false, settled = 500 } = {}) {
  const page = await browser.newPage();
  await page.setBypassCSP(true); // axe is a script, and these pages allow none
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  await page.goto(address, { waitUntil: "load" });
  await new Promise((done) => setTimeout(done, settled));
  const file = `${folder}/${name}.png`;
  await page.screenshot({ path: file });
  spawnSync("pngquant", ["--force", "--ext", ".png", "64", file]); // where it is installed: a third of the size
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (check && wide > width) console.error(`${name}: ${wide} pixels wide on a screen of ${width}`, ++violations);
  if (check) {
    await page.addScriptTag({ path: axe });
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    violations += found.violations.length;
    for (const each of found.violations) console.error(name, each.id, each.nodes.map((node) => node.html).slice(0, 5));
  }
  console.log(file);
  await page.close();
}

if (given.page) {
  const looks = { page: {}, "page-phone": { width: 390, height: 844 }, "page-dark": { dark: true, height: 900 } };
  for (const [name, look] of Object.entries(looks)) await shoot(name, given.page, { ...look, check: true });
}
if (given.report) await shoot("report", pathToFileURL(resolve(given.report)).href, { check: true });
if (given["pull-request"]) await shoot("pull-request", given["pull-request"]);
if (given.ui) {
  const runs = `${given.ui}/namespaces/default/workflows`;
  const drawn = { settled: 12_000 }; // it draws itself after it has loaded
  await shoot("runs", `${runs}?query=${encodeURIComponent("RailmendService = 'checkout'")}`, { width: 1300, height: 600, ...drawn });
  const run = `${encodeURIComponent(given.incident)}/${given.run}/user-metadata`;
  await shoot("incident", `${runs}/${run}`, { width: 1300, height: 1000, ...drawn });
}
await browser.close();
console.log(`${violations} accessibility problems`);
process.exit(violations ? 1 : 0);
