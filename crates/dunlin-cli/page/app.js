// app.js: the demo's page. It connects to one of the gates and goes to another one when that is gone; draws the pond
// and the cluster as the server tells them; and presses the lab's buttons. `?static=1` draws without animation.
import { connect } from "./dunlin.js";
import { Graph, leaderText, showButtons, showCounters, showEvents } from "./cluster.js";
import { Gates } from "./gates.js";
import { Mine, School } from "./school.js";
import { showSource } from "./source.js";
import { Water } from "./water.js";

const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const asked = new URLSearchParams(location.search);
const isStatic = asked.get("static") === "1";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const SWIM_EVERY = 80;
const PING_EVERY = 2_000;
const ROUTES = { "kill-leader": "Lab.kill_leader", drain: "Lab.drain", "slow-client": "Lab.slow_client" };

const school = new School();
const mine = new Mine();
const water = new Water($("water"), { still: isStatic || calm.matches });
const graph = new Graph($("graph"), toggleLink);
let client = null;
let key = null;
let last = null;
let refused = [];

document.documentElement.classList.toggle("static", isStatic);
// For tests and for the curious: the last snapshot of the cluster, and the pond as it is drawn.
window.__state = null;
window.__pond = () => ({ mine: { ...mine, key }, tadpoles: Object.fromEntries(school.tadpoles) });

// ---- The connection.

/** Connects to a gate, and to another one whenever that is gone, for as long as the page is open. */
async function live() {
  const gates = new Gates(await ports(), Number(location.port), tabNumber());
  for (;;) {
    try {
      await visit(gates);
    } catch (error) {
      console.debug(`the gate at port ${gates.port} is left: ${error.message}`);
    }
    leave();
    await wait(gates.handleLost());
  }
}

/** Stays at one gate until the connection ends. */
async function visit(gates) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const here = connect(`${scheme}://${location.hostname}:${gates.port}/`, { connectTimeout: 3_000 });
  try {
    here.on("onPond", ({ schools }) => school.handlePond(schools, key));
    here.on("onCluster", show);
    await here.ready();
    const entered = await here.request("Pond.enter", { at: mine.spot }, { timeout: 3_000 });
    client = here;
    key = `${entered.node}/${entered.id}`;
    mine.node = entered.node;
    gates.handleConnected();
    showYou("connected", `you swim at ${entered.node}`);
    show(await here.request("Lab.watch", {}, { timeout: 3_000 }));
    await ended(here);
  } finally {
    here.close();
  }
}

function ended(here) {
  return new Promise((resolve) => {
    if (here.state === "closed") resolve();
    here.on("state", ({ state }) => state === "closed" && resolve());
  });
}

function leave() {
  client = key = null;
  mine.node = null;
  showYou("connecting", "on the way to another node");
  if (last) showButtons(document, last, false);
}

async function ports() {
  const answer = await fetch("./gates.json");
  return (await answer.json()).ports;
}

/** Counts the tabs of this browser, so that each lands on another node; `?tab=1` says it instead. */
function tabNumber() {
  if (asked.has("tab")) return Number(asked.get("tab")) || 0;
  try {
    const number = Number(localStorage.getItem("dunlin-tab") ?? 0) || 0;
    localStorage.setItem("dunlin-tab", String((number + 1) % 3_000));
    return number;
  } catch {
    // Some browsers keep nothing in private windows.
    return Math.floor(Math.random() * 3);
  }
}

setInterval(() => client?.notify("Pond.swim", mine.spot), SWIM_EVERY);
setInterval(async () => {
  try {
    const rtt = await client?.ping({ timeout: PING_EVERY });
    if (rtt !== undefined) $("you-rtt").textContent = `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)} ms`;
  } catch {
    // The connection ends this moment, and that is told elsewhere.
  }
}, PING_EVERY);

// ---- What is shown.

function show(snapshot) {
  last = snapshot;
  window.__state = { ...snapshot, me: mine.node };
  school.handleNodes(snapshot.nodes);
  graph.show(snapshot);
  showCounters(document, snapshot.counters);
  refused = refused.filter(({ at_ms }) => snapshot.now_ms - at_ms < 10_000);
  showEvents($("events"), snapshot.events, refused);
  showButtons(document, snapshot, client !== null);
  $("leader").textContent = leaderText(snapshot);
  $("leader").dataset.leader = snapshot.leader ?? "";
  $("leader").dataset.term = snapshot.term;
  showAdmin(snapshot.admin_port);
  if (isStatic) draw();
}

/** The cluster page is on the machine of the demo alone. */
function showAdmin(port) {
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  $("admin").hidden = !(port && isHere);
  $("admin").href = `http://127.0.0.1:${port}/admin/`;
}

function showYou(state, text) {
  $("you").dataset.state = state;
  $("you").dataset.node = mine.node ?? "";
  $("you-text").textContent = text;
  if (state !== "connected") $("you-rtt").textContent = "";
}

function draw(seconds = 0) {
  if (isStatic) school.settle();
  water.draw(school, mine, seconds);
}

let before = performance.now();
function animate(now) {
  // After a pause, such as that of a hidden tab, nobody jumps; the first picture may be dated before its script.
  const seconds = Math.min(Math.max(0, now - before) / 1000, 0.1);
  before = now;
  school.swim(seconds);
  mine.swim(seconds);
  draw(now / 1000);
  requestAnimationFrame(animate);
}

new ResizeObserver(() => {
  water.resize();
  draw(before / 1000);
}).observe($("water"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  water.readColors();
  draw(before / 1000);
});
if (!isStatic) requestAnimationFrame(animate);

$("legend").replaceChildren(
  ...["n1", "n2", "n3"].map((node) => {
    const name = document.createElement("span");
    name.textContent = node;
    name.dataset.color = node;
    return name;
  }),
);

// ---- What is done.

$("water").addEventListener("pointermove", ({ offsetX, offsetY }) => {
  mine.follow(offsetX / $("water").clientWidth, offsetY / $("water").clientHeight);
  $("hint").hidden = true;
});
$("water").addEventListener("pointerdown", ({ pointerId }) => $("water").setPointerCapture(pointerId));

async function press(route, body = {}) {
  try {
    await client?.request(route, body, { timeout: 5_000 });
  } catch (error) {
    refused.push({ at_ms: last?.now_ms ?? 0, text: `${error.code}: ${error.message}` });
    if (last) showEvents($("events"), last.events, refused);
  }
}

function toggleLink(one, other) {
  if (last?.under_way.includes("cut-link")) press("Lab.mend");
  else press("Lab.cut", { one, other });
}

/** The link to cut: the leader's to the next node, which is the one that Raft needs most. */
function linkToCut() {
  const names = last?.nodes.map(({ name }) => name) ?? [];
  const at = Math.max(0, names.indexOf(last?.leader));
  return [names[at], names[(at + 1) % names.length]];
}

for (const button of document.querySelectorAll("[data-action]")) {
  const { action, node } = button.dataset;
  button.disabled = true;
  button.addEventListener("click", () => {
    if (action === "cut-link") toggleLink(...linkToCut());
    else press(ROUTES[action], node ? { node } : {});
  });
}

const tabs = [...document.querySelectorAll("[role=tab]")];
for (const tab of tabs) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", ({ key: pressed }) => {
    if (pressed !== "ArrowLeft" && pressed !== "ArrowRight") return;
    const other = tabs[(tabs.indexOf(tab) + 1) % tabs.length];
    select(other);
    other.focus();
  });
}

function select(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
  if (chosen.id === "tab-source" && $("source-lines").childElementCount === 0) showSource($("source-lines"), "./pond.rs");
}

live();
