// What the checks share: the work that scripts/check_site.py hands over, and how Chromium is started.
import { readFileSync } from "node:fs";

export const { address, chromium, pages, four, form } = JSON.parse(readFileSync(0, "utf8"));

export const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Says what came out, a line each, and fails the process if anything is wrong. */
export function finish(faults) {
  for (const fault of faults) console.log(fault);
  process.exitCode = faults.length ? 1 : 0;
}
