// axe on one page of every kind, light and dark: WCAG 2.2 AA and best practice, no violation allowed.
import AxeBuilder from "@axe-core/playwright";
import { chromium as playwright } from "playwright-core";
import { FLAGS, address, chromium, finish, pages } from "./browser.mjs";

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const browser = await playwright.launch({ executablePath: chromium, args: FLAGS });
const faults = [];
let rules = 0;

async function check(colorScheme) {
  const context = await browser.newContext({ colorScheme, bypassCSP: true }); // axe is put into the page as a script
  const page = await context.newPage();
  for (const path of pages) {
    await page.goto(address + path);
    const found = await new AxeBuilder({ page }).withTags(TAGS).analyze();
    rules += found.passes.length;
    for (const { id, help, nodes } of found.violations)
      faults.push(`${path} (${colorScheme}): ${id}: ${help}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  }
  await context.close();
}

await Promise.all(["light", "dark"].map(check));
await browser.close();
console.log(`axe: ${pages.length} pages, light and dark, ${rules} rules passed, ${faults.length} violations`);
finish(faults);
