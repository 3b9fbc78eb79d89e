// admin.mjs: opens the cluster page of the demo in a real browser, asks for things on it, and checks what an operator would see.
//
// Usage: node admin.mjs URL [FOLDER]. As check.mjs, whose demo it may follow on.
import { join } from "node:path";
import { assert, claim, commandLine, launch, newPage, verdict, WAIT_MS } from "./claims.mjs";

const [url, folder] = commandLine();
const complaints = [];

async function openPage(browser, options, query = "") {
  const page = await newPage(browser, options, url, complaints);
  await page.goto(url + query);
  await page.waitForFunction(() => window.__state);
  return page;
}

const text = (page, id) => page.locator(`[data-testid=${id}]`).innerText();
const until = (page, fn, argument) => page.waitForFunction(fn, argument, { timeout: WAIT_MS });

async function ask(page, node, action) {
  await page.locator(`#nodes [data-node="${node}"] [data-action="${action}"]`).click();
  await page.locator("#sure [value=yes]").click();
}

async function checkState(page) {
  await claim("three nodes with a leader, all links, and a quorum", async () => {
    await until(page, () => window.__state.quorum === "ok" && window.__state.nodes.filter(({ state }) => state === "up").length === 3);
    assert((await page.locator("#graph .node").count()) === 3, "not three nodes in the picture");
    const leader = await text(page, "leader");
    assert((await page.locator('#graph [data-role="leader"]').getAttribute("data-node")) === leader, "the crown is not the leader's");
    assert((await page.locator('#links [data-state="up"]').count()) >= 6, "not all links are up");
    return `${leader}, term ${await text(page, "term")}`;
  });
  await claim("rates and latencies of the services are there, each with the name of its metric", async () => {
    await until(page, () => /[1-9]/.test(document.querySelector('[data-metric="dunlin_calls_total"] b').textContent));
    await until(page, () => /[µm]s/.test(document.querySelector('#routes [data-route="Pond.swim"]')?.textContent));
    const unnamed = await page.locator("#routes th.number:not([title]), #nodes th.number:not([title])").count();
    assert(unnamed === 0, `${unnamed} columns of numbers name no metric`);
  });
}

async function checkLead(page) {
  await claim("another node is let lead: the crown moves, the term grows, and it is told", async () => {
    const [leader, term] = [await text(page, "leader"), Number(await text(page, "term"))];
    const next = ["n1", "n2", "n3"].find((name) => name !== leader);
    await ask(page, next, "lead");
    await until(page, (name) => document.querySelector("#leader").textContent === name, next);
    const after = Number(await text(page, "term"));
    assert(after > term, `the term was ${term} and is ${after}`);
    await page.locator("#events").getByText(`lead: ${next} is to lead`).first().waitFor();
    await page.locator("#events").getByText(`${next} leads in term ${after}`).first().waitFor();
    return `${leader} in term ${term}, then ${next} in term ${after}`;
  });
}

async function checkLooks(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, viewport] of [["desktop", { width: 1280, height: 900 }], ["phone", { width: 390, height: 844 }]]) {
      await claim(`${name}, ${colorScheme}: nothing overflows`, async () => {
        const page = await openPage(browser, { viewport, colorScheme }, "?static=1");
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (folder) await page.screenshot({ path: join(folder, `admin-${name}-${colorScheme}.png`), fullPage: true });
        await page.context().close();
        assert(width <= viewport.width, `the page is ${width} wide`);
      });
    }
  }
}

const browser = await launch();
try {
  const page = await openPage(browser, { viewport: { width: 1280, height: 900 } });
  await checkState(page);
  await checkLooks(browser);
  await checkLead(page);
  await claim("the console stayed silent and nothing came from elsewhere", () => {
    assert(complaints.length === 0, complaints.slice(0, 3).join(" | "));
  });
} catch (error) {
  await claim("the check runs to its end", () => Promise.reject(error));
} finally {
  await browser.close();
}
verdict();
