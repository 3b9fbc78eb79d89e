// claims.mjs: what checks in a browser share: the browser, claims that are printed one by one, and the end of it all.
import { chromium } from "playwright-core";

/** How long anything on a page may take. */
export const WAIT_MS = 40_000;
const OVERALL_MS = 300_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const failures = [];

// Whatever hangs, the check ends; the browser's process ends with this one.
setTimeout(() => {
  console.log(`FAILED  the check ends within ${OVERALL_MS / 1000} s`);
  process.exit(1);
}, OVERALL_MS).unref();

/** Says whether a claim holds. What the check returns is said beside it. */
export async function claim(text, check) {
  try {
    const found = await check();
    console.log(`ok      ${text}${found ? ` (${found})` : ""}`);
  } catch (error) {
    failures.push(text);
    console.log(`FAILED  ${text}: ${String(error.message).split("\n")[0]}`);
  }
}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** Starts $CHROMIUM or /usr/bin/chromium, with a new, empty profile that goes with it. */
export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });

/** Ends the process: with 0 when every claim holds. */
export function verdict() {
  console.log(failures.length === 0 ? "every claim holds" : `${failures.length} claims failed`);
  process.exit(failures.length === 0 ? 0 : 1);
}
