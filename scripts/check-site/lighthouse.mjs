// Lighthouse on four pages, as mobile or as desktop: performance is the median of three, the rest must be 100.
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";
import { FLAGS, address, chromium, finish, form, four } from "./browser.mjs";

const ASSERTED = ["accessibility", "best-practices", "seo"];
const LONGEST_SHIFT = 0.01;
const chrome = await launch({ chromePath: chromium, chromeFlags: ["--headless=new", ...FLAGS] });
const faults = [];

async function audit(path, config, onlyCategories) {
  const flags = { port: chrome.port, logLevel: "error", onlyCategories, disableFullPageScreenshot: true };
  const { lhr } = await lighthouse(address + path, flags, config);
  if (lhr.runtimeError) throw new Error(`${path}: ${lhr.runtimeError.message}`);
  return lhr;
}

const score = (category) => Math.round(category.score * 100);

const config = form === "desktop" ? desktopConfig : undefined;
for (const path of four) {
  const full = await audit(path, config, ["performance", ...ASSERTED]);
  const runs = [full, await audit(path, config, ["performance"]), await audit(path, config, ["performance"])];
  const speeds = runs.map((run) => score(run.categories.performance)).sort((a, b) => a - b);
  const shift = Math.max(...runs.map((run) => run.audits["cumulative-layout-shift"].numericValue));
  const rest = ASSERTED.map((name) => `${name} ${score(full.categories[name])}`);
  console.log(`lighthouse: ${path || "home"} (${form}): performance ${speeds[1]}, ${rest.join(", ")}, shift ${shift.toFixed(4)}`);
  if (shift > LONGEST_SHIFT) faults.push(`${path || "home"} (${form}): layout shift ${shift}, and ${LONGEST_SHIFT} is the most`);
  for (const name of ASSERTED) {
    const lost = full.categories[name].auditRefs.filter(({ id, weight }) => weight && full.audits[id].score < 1);
    if (full.categories[name].score < 1)
      faults.push(`${path || "home"} (${form}): ${name}: ${lost.map(({ id }) => `${id} (${full.audits[id].title})`).join(", ")}`);
  }
}
await chrome.kill();
finish(faults);
