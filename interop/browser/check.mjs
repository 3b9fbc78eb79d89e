// check.mjs: opens the demo in a real browser, breaks its cluster by the buttons, and checks what a visitor would see.
//
// Usage: node check.mjs URL [FOLDER]. One line is printed per claim, screenshots go into FOLDER, and the
// exit code is 0 when every claim holds. The browser is $CHROMIUM or /usr/bin/chromium.
import { join } from "node:path";
import { assert, claim, commandLine, launch, newPage, verdict, WAIT_MS } from "./claims.mjs";

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const COUNTERS = ["lost", "duplicated", "reordered", "leaked"];

const [url, folder] = commandLine();
const complaints = [];
/** While a node is away on purpose, a browser complains of connections to it. */
let isBroken = false;

async function openPage(browser, options, query = "") {
  const page = await newPage(browser, options, url, complaints, () => isBroken);
  const complain = (text) => {
    if (!isBroken) complaints.push(text);
  };
  page.on("requestfailed", (request) => complain(`failed: ${request.url()}`));
  page.on("response", (answer) => {
    if (answer.status() >= 400) complain(`${answer.status()}: ${answer.url()}`);
  });
  const address = new URL(url);
  for (const [name, value] of new URLSearchParams(query)) address.searchParams.set(name, value);
  await page.goto(address.href);
  await waitFor(page, () => window.__state?.me);
  return page;
}

const state = (page) => page.evaluate(() => window.__state);
const waitFor = (page, fn, argument) => page.waitForFunction(fn, argument, { timeout: WAIT_MS });
const tadpoles = (page) => page.evaluate(() => window.__pond().tadpoles);
const action = (page, name, node) =>
  page.locator(`[data-action="${name}"]${node ? `[data-node="${node}"]` : ""}`);

async function shoot(page, name) {
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
}

async function waitWhole(page) {
  await waitFor(page, () => {
    const { leader, nodes, links, under_way } = window.__state ?? {};
    const isUp = ({ phase }) => phase === "up";
    return leader && nodes.every(isUp) && links.every(isUp) && under_way.length === 0;
  });
}

async function assertZeros(page) {
  for (const name of COUNTERS) {
    const shown = await page.locator(`[data-counter="${name}"] dd`).innerText();
    assert(shown === "0", `${name} shows ${shown}`);
  }
}

async function waitMoved(page) {
  const before = await tadpoles(page);
  await waitFor(
    page,
    (earlier) => {
      const now = window.__pond().tadpoles;
      const moved = Object.keys(now).filter((key) => earlier[key] && Math.hypot(now[key].x - earlier[key].x, now[key].y - earlier[key].y) > 0.01);
      return moved.length >= 10;
    },
    before,
  );
}

async function checkPond(a, b) {
  await claim("three nodes are drawn, one of them with the crown", async () => {
    await waitWhole(a);
    assert((await a.locator(".node[data-node]").count()) === 3, "not three nodes");
    const crowned = a.locator('.node[data-role="leader"]');
    assert((await crowned.count()) === 1, "not one leader");
    const { leader, term } = await state(a);
    assert((await crowned.getAttribute("data-node")) === leader, "the crown is not the leader's");
    assert((await a.locator("[data-testid=leader]").innerText()) === `${leader} leads · term ${term}`, "other words");
    return `${leader}, term ${term}`;
  });
  await claim("tadpoles of all three nodes swim by themselves", async () => {
    await waitFor(a, () => Object.keys(window.__pond().tadpoles).length >= 30);
    const nodes = new Set(Object.values(await tadpoles(a)).map(({ node }) => node));
    assert(nodes.size === 3, `only of ${[...nodes]}`);
    await waitMoved(a);
    return `${Object.keys(await tadpoles(a)).length} tadpoles`;
  });
  await claim("a second tab lands on another node and sees the same pond", async () => {
    const [one, other] = [(await state(a)).me, (await state(b)).me];
    assert(one !== other, `both are at ${one}`);
    const { key } = await a.evaluate(() => window.__pond().mine);
    await waitFor(b, (of) => window.__pond().tadpoles[of], key);
    return `${one} and ${other}`;
  });
  await claim("a tadpole follows its pointer, and the other tab sees it", async () => {
    const box = await a.locator("[data-testid=water]").boundingBox();
    await a.mouse.move(box.x + box.width * 0.8, box.y + box.height * 0.25);
    const { key } = await a.evaluate(() => window.__pond().mine);
    await waitFor(
      b,
      (of) => {
        const seen = window.__pond().tadpoles[of];
        return seen && Math.hypot(seen.x - 0.8, seen.y - 0.25) < 0.02;
      },
      key,
    );
  });
  await claim("links show a round trip", async () => {
    await waitFor(a, () => [...document.querySelectorAll(".link text")].every((text) => /^[\d.]+ ms$/.test(text.textContent)));
  });
  await claim("the source of the pond is shown with line numbers", async () => {
    await a.getByRole("tab", { name: "Source" }).click();
    await a.locator("#source-lines li").first().waitFor();
    assert(/\basync fn swim\b/.test(await a.locator("#source-lines").innerText()), "no handler in it");
    await shoot(a, "source");
    await a.getByRole("tab", { name: "Pond" }).click();
  });
}

async function checkLooks(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
      await claim(`${name}, ${colorScheme}: nothing overflows, and nothing moves where that is asked for`, async () => {
        const page = await openPage(browser, { viewport, colorScheme }, "static=1&tab=1");
        await waitFor(page, () => Object.keys(window.__pond().tadpoles).length >= 20 && window.__state.counters.answered > 0);
        const { width, moving } = await page.evaluate(() => ({
          width: document.documentElement.scrollWidth,
          moving: document.getAnimations().length,
        }));
        await shoot(page, `${name}-${colorScheme}`);
        if (folder && name === "phone") {
          await page.screenshot({ path: join(folder, `${name}-${colorScheme}-whole.png`), fullPage: true });
        }
        await page.context().close();
        assert(width <= viewport.width, `the page is ${width} wide`);
        assert(moving === 0, `${moving} animations run`);
      });
    }
  }
  await claim("reduced motion is honoured, and tadpoles still get where they go", async () => {
    const page = await openPage(browser, { viewport: DESKTOP, reducedMotion: "reduce" });
    await waitFor(page, () => Object.keys(window.__pond().tadpoles).length >= 20);
    await waitMoved(page);
    const moving = await page.evaluate(() => document.getAnimations().length);
    await page.context().close();
    assert(moving === 0, `${moving} animations run`);
  });
}

async function checkKill(a) {
  const before = await state(a);
  await claim("killing the leader: another one leads in a later term, and the page swims on", async () => {
    await action(a, "kill-leader").click();
    await waitFor(
      a,
      ({ leader, term }) => {
        const now = window.__state;
        return now.leader && now.leader !== leader && now.term > term && now.me && now.me !== leader;
      },
      before,
    );
    await waitFor(a, (old) => document.querySelector(`[data-node="${old}"][data-phase="down"]`), before.leader);
    await shoot(a, "killed");
    assert(await action(a, "kill-leader").isDisabled(), "it can be pressed again");
    await waitMoved(a);
    const { leader, term } = await state(a);
    return `${before.leader} in term ${before.term}, then ${leader} in term ${term}`;
  });
  await claim("requests go on, the node comes back, and its tadpoles with it", async () => {
    await waitFor(a, (answered) => window.__state.counters.answered > answered + 100, before.counters.answered);
    await waitWhole(a);
    await waitFor(a, (old) => Object.values(window.__pond().tadpoles).some(({ node }) => node === old), before.leader);
    await assertZeros(a);
    return `${(await state(a)).counters.answered} answered`;
  });
}

async function checkCut(a) {
  await claim("a link that is cut is red, and is mended by the same button", async () => {
    await action(a, "cut-link").click();
    await a.locator('.link[data-phase="cut"]').waitFor();
    await shoot(a, "cut");
    await a.getByRole("button", { name: "Mend the link" }).first().click();
    await waitWhole(a);
    await assertZeros(a);
  });
}

async function checkDrain(a) {
  await claim("a node that is drained goes and comes back, and what runs is finished", async () => {
    const { me } = await state(a);
    const node = ["n1", "n2", "n3"].find((name) => name !== me);
    await action(a, "drain", node).click();
    await a.locator(`.node[data-node="${node}"][data-phase="down"]`).waitFor();
    await shoot(a, "drained");
    await a.locator("[data-testid=events]").getByText(`${node} has stopped; nothing was cut short`).waitFor();
    await waitWhole(a);
    await assertZeros(a);
    return node;
  });
}

async function checkSlow(a) {
  await claim("the slow client is ended by its node, and this page is not", async () => {
    const { me } = await state(a);
    await action(a, "slow-client").click();
    await a.locator("[data-testid=events]").getByText(/ended the slow client/).waitFor();
    assert((await state(a)).me === me, "this page was ended too");
    await assertZeros(a);
    return a.locator("[data-testid=events]").getByText(/ended the slow client/).innerText();
  });
}

const browser = await launch();
try {
  const a = await openPage(browser, { viewport: DESKTOP, colorScheme: "light" }, "tab=0");
  const b = await openPage(browser, { viewport: DESKTOP, colorScheme: "dark" }, "tab=1");
  await checkPond(a, b);
  await checkLooks(browser);
  await claim("the console stayed silent and every resource came from the gate", () => {
    assert(complaints.length === 0, complaints.slice(0, 3).join(" | "));
  });
  isBroken = true;
  await checkKill(a);
  await checkCut(a);
  await checkDrain(a);
  await checkSlow(a);
  await claim("after all that nothing is lost, doubled, out of order or left behind", async () => {
    await assertZeros(b);
    assert(complaints.length === 0, complaints.slice(0, 3).join(" | "));
  });
} catch (error) {
  await claim("the check runs to its end", () => Promise.reject(error));
} finally {
  await browser.close();
}
verdict();
