// claims.mjs: what checks in a browser share: the browser, pages whose complaints are noted, claims that are printed one by one,
// and the end of it all.
import { mkdirSync } from "node:fs";
import { basename } from "node:path";
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

/** The URL and the folder of the command line; the folder is there. */
export function commandLine() {
  const [url, folder] = process.argv.slice(2);
  if (!url) {
    console.error(`usage: node ${basename(process.argv[1])} URL [FOLDER]`);
    process.exit(2);
  }
  if (folder) mkdirSync(folder, { recursive: true });
  return [url, folder];
}

/** A page that notes in `complaints` what its console says, and answers of others than `url`. `tolerates()`: not what the console says now. */
export async function newPage(browser, options, url, complaints, tolerates = () => false) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !tolerates()) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("response", (answer) => {
    if (new URL(answer.url()).origin !== new URL(url).origin) complaints.push(`foreign: ${answer.url()}`);
  });
  return page;
}

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
