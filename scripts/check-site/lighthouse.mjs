// Lighthouse on four pages, as mobile or as desktop: performance, which depends on the machine, is said; the rest must be 100.
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";
import { FLAGS, address, chromium, finish, form, four } from "./browser.mjs";

const ASSERTED = ["accessibility", "best-practices", "seo"];
const LONGEST_SHIFT = 0.01;
const chrome = await launch({ chromePath: chromium, chromeFlags: ["--headless=new", ...FLAGS] });
const faults = [];

async function audit(path, config) {
  const onlyCategories = ["performance", ...ASSERTED];
  const flags = { port: chrome.port, logLevel: "error", onlyCategories, disableFullPageScreenshot: true };
  const { lhr } = await lighthouse(address + path, flags, config);
  if (lhr.runtimeError) throw new Error(`${path}: ${lhr.runtimeError.message}`);
  return lhr;
}

const score = (category) => Math.round(category.score * 100);

const config = form === "desktop" ? desktopConfig : undefined;
for (const path of four) {
  const { categories, audits } = await audit(path, config);
  const shift = audits["cumulative-layout-shift"].numericValue;
  const scores = ["performance", ...ASSERTED].map((name) => `${name} ${score(categories[name])}`);
  console.log(`lighthouse: ${path || "home"} (${form}): ${scores.join(", ")}, shift ${shift.toFixed(4)}`);
  if (shift > LONGEST_SHIFT) faults.push(`${path || "home"} (${form}): layout shift ${shift}, and ${LONGEST_SHIFT} is the most`);
  for (const name of ASSERTED) {
    const lost = categories[name].auditRefs.filter(({ id, weight }) => weight && audits[id].score < 1);
    if (categories[name].score < 1)
      faults.push(`${path || "home"} (${form}): ${name}: ${lost.map(({ id }) => `${id} (${audits[id].title})`).join(", ")}`);
  }
}
await chrome.kill();
finish(faults);
