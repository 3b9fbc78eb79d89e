// check.mjs: opens the demo twice in a real browser and checks what a visitor would see.
//
// Usage: node check.mjs URL [FOLDER]. One line is printed per claim, screenshots go into FOLDER, and the
// exit code is 0 when every claim holds. The browser is $CHROMIUM or /usr/bin/chromium.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const WAIT_MS = 20_000;
const OVERALL_MS = 180_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const [url, folder] = process.argv.slice(2);
if (!url) {
  console.error("usage: node check.mjs URL [FOLDER]");
  process.exit(2);
}
if (folder) mkdirSync(folder, { recursive: true });

// Whatever hangs, the check ends; the browser's process ends with this one.
setTimeout(() => {
  console.log(`FAILED  the check ends within ${OVERALL_MS / 1000} s`);
  process.exit(1);
}, OVERALL_MS).unref();

const failures = [];

async function claim(text, check) {
  try {
    const found = await check();
    console.log(`ok      ${text}${found ? ` (${found})` : ""}`);
  } catch (error) {
    failures.push(text);
    console.log(`FAILED  ${text}: ${String(error.message).split("\n")[0]}`);
  }
}

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

const complaints = [];

async function openPage(browser, options, query = "") {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("response", (answer) => {
    if (answer.status() >= 400) complaints.push(`${answer.status()}: ${answer.url()}`);
    if (new URL(answer.url()).origin !== new URL(url).origin) complaints.push(`foreign: ${answer.url()}`);
  });
  const address = new URL(url);
  for (const [name, value] of new URLSearchParams(query)) address.searchParams.set(name, value);
  await page.goto(address.href);
  return page;
}

const at = (page, id) => page.locator(`[data-testid=${id}]`);
const state = (page) => page.evaluate(() => window.__state);
const waitFor = (page, fn, argument) => page.waitForFunction(fn, argument, { timeout: WAIT_MS });

async function shoot(page, name) {
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
}

async function say(page, text) {
  await at(page, "input").fill(text);
  await at(page, "send").click();
}

async function shown(page, text) {
  await at(page, "messages").getByText(text, { exact: true }).first().waitFor();
}

async function checkConnection(a, b) {
  for (const [name, page] of [["A", a], ["B", b]]) {
    await claim(`page ${name} is connected and joined`, async () => {
      await waitFor(page, () => window.__state?.state === "connected" && window.__state.joined);
      const text = await at(page, "state").innerText();
      assert(text.includes("connected"), `the page shows "${text}"`);
      return (await state(page)).me;
    });
  }
  await claim("the two pages have different names, and each sees the other", async () => {
    const [one, two] = [(await state(a)).me, (await state(b)).me];
    assert(one !== two, `both are ${one}`);
    await at(a, "members").locator(`[data-member="${two}"]`).waitFor();
    await at(b, "members").locator(`[data-member="${one}"]`).waitFor();
  });
  await claim("bots are in the room and marked as bots", async () => {
    await at(a, "members").locator("[data-bot=true]").first().waitFor();
    return `${await at(a, "members").locator("[data-bot=true]").count()} bots`;
  });
}

async function checkTalk(a, b) {
  await claim("lines of bots arrive by themselves", async () => {
    const { received } = await state(a);
    await waitFor(a, (before) => window.__state.received >= before + 2, received);
    const { lines, members } = await state(a);
    const bots = new Set(members.filter(({ bot }) => bot).map(({ name }) => name));
    assert(lines.some(({ from }) => bots.has(from)), "no line is from a bot");
  });
  const stamp = Date.now() % 100_000;
  for (const [from, to, names] of [[a, b, "A shows in page B"], [b, a, "B shows in page A"]]) {
    await claim(`a line with an emoji typed in page ${names}`, async () => {
      const text = `Grüße 🐦 ${stamp} from ${(await state(from)).me}`;
      await say(from, text);
      await shown(to, text);
      await waitFor(from, (said) => window.__state.lines.some((line) => line.text === said && line.mine && !line.pending), text);
    });
  }
  await claim("markup in a line is shown as text", async () => {
    const text = `<b id="injected">${stamp}</b>`;
    await say(a, text);
    await shown(b, text);
    assert((await b.locator("#injected").count()) === 0, "it became an element");
  });
  await claim("a new name typed in page A shows in page B", async () => {
    const name = `Renamed ${stamp}`;
    await at(a, "me").fill(name);
    await at(a, "me").press("Enter");
    await at(b, "members").locator(`[data-member="${name}"]`).waitFor();
    await waitFor(a, (wanted) => window.__state.me === wanted, name);
  });
  await claim("a name that is taken is refused with words", async () => {
    const before = (await state(b)).me;
    await at(b, "me").fill((await state(a)).me);
    await at(b, "me").press("Enter");
    await b.getByRole("alert").getByText("taken").waitFor();
    assert((await state(b)).me === before, "the name changed");
  });
}

async function checkFigures(a) {
  await claim("the round trip is measured and shown", async () => {
    await waitFor(a, () => typeof window.__state.rtt === "number");
    await waitFor(a, () => /\d/.test(document.querySelector("[data-testid=rtt]").textContent));
    const text = await at(a, "rtt").innerText();
    assert(Number(text) >= 0 && Number(text) < 5_000, `it shows "${text}"`);
    return `${text} ms`;
  });
  await claim("the message rate is above zero", async () => {
    await waitFor(a, () => Number(document.querySelector("[data-testid=rate]").textContent) > 0);
  });
  await claim("the source of the handlers is shown with line numbers", async () => {
    await a.getByRole("tab", { name: "Handler source" }).click();
    const lines = a.locator("#source-lines li");
    await lines.first().waitFor();
    const text = await a.locator("#source-lines").innerText();
    assert(/\bfn join\b/.test(text), "no handler of Chat.join in it");
    await shoot(a, "source");
    await a.getByRole("tab", { name: "Room" }).click();
    return `${await lines.count()} lines`;
  });
}

async function checkLooks(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
      await claim(`${name}, ${colorScheme}: nothing overflows and the input is in sight`, async () => {
        const page = await openPage(browser, { viewport, colorScheme }, "static=1");
        await waitFor(page, () => window.__state?.joined && window.__state.lines.length > 2);
        const { width, inputBottom } = await page.evaluate(() => ({
          width: document.documentElement.scrollWidth,
          inputBottom: document.querySelector("[data-testid=input]").getBoundingClientRect().bottom,
        }));
        await shoot(page, `${name}-${colorScheme}`);
        await page.context().close();
        assert(width <= viewport.width, `the page is ${width} wide`);
        assert(inputBottom <= viewport.height, `the input ends at ${inputBottom}`);
      });
    }
  }
  await claim("reduced motion is honoured", async () => {
    const page = await openPage(browser, { viewport: DESKTOP, reducedMotion: "reduce" });
    await waitFor(page, () => window.__state?.joined);
    const moving = await page.evaluate(() => document.getAnimations().length);
    await page.context().close();
    assert(moving === 0, `${moving} animations run`);
  });
}

async function checkLeaving(a, b) {
  await claim("a closed tab leaves the room", async () => {
    const { me } = await state(b);
    await b.context().close();
    await at(a, "members").locator(`[data-member="${me}"]`).waitFor({ state: "detached" });
  });
}

// Playwright makes a new, empty profile for each launch and removes it afterwards.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: FLAGS,
});
try {
  const a = await openPage(browser, { viewport: DESKTOP, colorScheme: "light" });
  const b = await openPage(browser, { viewport: DESKTOP, colorScheme: "dark" });
  await checkConnection(a, b);
  await checkTalk(a, b);
  await checkFigures(a);
  await shoot(a, "talk-a");
  await shoot(b, "talk-b");
  await checkLooks(browser);
  await checkLeaving(a, b);
  await claim("the console stayed silent and every resource came from the gate", () => {
    assert(complaints.length === 0, complaints.slice(0, 3).join(" | "));
  });
} catch (error) {
  failures.push("the check runs to its end");
  console.log(`FAILED  the check runs to its end: ${String(error.message).split("\n")[0]}`);
} finally {
  await browser.close();
}
console.log(failures.length === 0 ? "every claim holds" : `${failures.length} claims failed`);
process.exit(failures.length === 0 ? 0 : 1);
