// app.js: the demo's page at work: connects, joins, feeds the room, and draws when something changed.
//
// Read next: room.js (what is known), view.js (how it looks), dunlin.js (the connection).
import { connect } from "./dunlin.js";
import { startFlock } from "./flock.js";
import { Room, Samples, randomName } from "./room.js";
import { showSource } from "./source.js";
import * as view from "./view.js";

const PING_EVERY = 1_000;
const FIRST_PINGS = 5;
const FIRST_PING_EVERY = 150;
const TYPING_EVERY = 2_000;
const JOIN_ATTEMPTS = 6;

const parameters = new URLSearchParams(location.search);
const frozen = parameters.get("static") === "1" || matchMedia("(prefers-reduced-motion: reduce)").matches;
const roomName = parameters.get("room") ?? "lobby";

const room = new Room();
const heartbeats = new Samples();
const requests = new Samples();
const echoes = new Samples();
const now = () => performance.now();
const byId = (id) => document.getElementById(id);

document.documentElement.classList.toggle("static", parameters.get("static") === "1");
const flock = startFlock(byId("flock"), { frozen });
const client = connect("/", { reconnect: { minDelay: 300, maxDelay: 8_000 } });

// A tab keeps its name over a reload, and every tab has its own.
let name = parameters.get("name") ?? sessionStorage.getItem("name") ?? randomName();
let retryAt = null;
let joined = false;
let lastTyping = -Infinity;
let drawing = false;

view.drawMe(name);
snapshot();

client.on("state", ({ state, retryIn }) => {
  retryAt = retryIn === null ? null : now() + retryIn;
  joined = false;
  if (state === "dropped") room.handleDropped();
  if (state === "connected") join();
  changed();
});
client.on("kick", ({ reason }) => view.drawNotice(`The server closed this session: ${reason}`, { bad: true }));
client.on("onJoin", (event) => heard(() => room.handleJoin(event, Date.now())));
client.on("onLeave", (event) => heard(() => room.handleLeave(event, Date.now())));
client.on("onRename", (event) => heard(() => room.handleRename(event, Date.now())));
client.on("onTyping", (event) => heard(() => room.handleTyping(event, now())));
client.on("onLine", (event) => {
  heard(() => {
    const tripTime = room.handleLine(event, now());
    if (tripTime !== null) echoes.add(tripTime);
  });
  flock.startle();
});

async function join() {
  let notice = "";
  for (let attempt = 1; attempt <= JOIN_ATTEMPTS; attempt += 1) {
    try {
      const answer = await timed("Chat.join", { room: roomName, name });
      room.handleJoined(answer);
      joined = true;
      keepName(answer.you);
      view.drawNotice(notice);
      changed();
      measureSoon();
      return;
    } catch (error) {
      if (error.code !== 409) {
        // A dropped connection is joined anew when it is back; anything else is worth reading.
        if (client.state === "connected") view.drawNotice(`Could not join: ${error.message}`, { bad: true });
        return;
      }
      const taken = name;
      name = randomName(Math.random, attempt);
      notice = `The name ${taken} is taken here, so you are ${name}. Change it at the top.`;
    }
  }
  view.drawNotice("Could not find a free name. Choose one at the top and reload.", { bad: true });
}

async function rename(wanted) {
  const input = byId("me");
  if (wanted === "" || wanted === name || client.state !== "connected") {
    input.value = name;
    return;
  }
  try {
    const answer = await timed("Chat.rename", { name: wanted });
    room.handleRename({ from: name, to: answer.name }, Date.now());
    keepName(answer.name);
    view.drawNotice("");
  } catch (error) {
    const text = error.code === 409 ? `The name ${wanted} is taken here. You are still ${name}.` : error.message;
    view.drawNotice(text, { bad: true });
    input.value = name;
  }
  changed();
}

async function timed(route, body) {
  const start = now();
  const answer = await client.request(route, body);
  requests.add(now() - start);
  return answer;
}

function keepName(given) {
  name = given;
  room.me = given;
  sessionStorage.setItem("name", given);
  view.drawMe(given);
}

function say(text) {
  if (text === "" || !joined) return false;
  try {
    if (!client.notify("Chat.say", { text })) return false;
  } catch (error) {
    view.drawNotice(error.message, { bad: true });
    return false;
  }
  room.say(text, now(), Date.now());
  changed();
  return true;
}

// Pushes may come before the answer to joining; that answer then says it all anew.
function heard(change) {
  if (room.me !== null) change();
  changed();
}

function changed() {
  snapshot();
  if (drawing) return;
  drawing = true;
  // A hidden page gets no frames, but it shall be right when it is looked at.
  if (document.hidden) setTimeout(draw, 200);
  else requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  drawConnection();
  view.drawMembers(room);
  view.drawLines(room);
  drawFigures();
}

function drawConnection() {
  const retryIn = retryAt === null ? null : retryAt - now();
  view.drawState({ state: client.state, reason: client.reason, retryIn });
}

function drawFigures() {
  view.drawLatency(heartbeats, requests, echoes);
  view.drawRate(room.rate(now()), room);
  view.drawTyping(room.typing(now()));
}

/** What tests look at: the last known state as plain data. */
function snapshot() {
  window.__state = {
    state: client.state,
    reason: client.reason?.code ?? null,
    room: roomName,
    me: room.me,
    joined,
    members: room.members.map((member) => ({ ...member })),
    lines: room.lines.filter(({ kind }) => kind === "line").map(({ from, text, at, mine, pending = false }) => ({ from, text, at, mine, pending })),
    received: room.received,
    rate: room.rate(now()).perSecond,
    rtt: client.rtt,
    requestTime: requests.last,
    echoTime: echoes.last,
  };
}

// The first measurements wait until the page is drawn, or else they would measure the drawing; then a few come
// quickly, so that the figure says something at once.
function measureSoon() {
  if (window.requestIdleCallback) requestIdleCallback(measureOften, { timeout: 800 });
  else setTimeout(measureOften, 300);
}

async function measureOften() {
  for (let count = 0; count < FIRST_PINGS; count += 1) {
    await measure();
    await new Promise((resolve) => setTimeout(resolve, FIRST_PING_EVERY));
  }
}

async function measure() {
  if (client.state !== "connected" || document.hidden) return;
  try {
    heartbeats.add(await client.ping({ timeout: 5_000 }));
  } catch {
    // A lost answer shows in the state; the next measurement tells more.
    return;
  }
  snapshot();
  drawFigures();
}

function selectTab(chosen) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const selected = tab === chosen;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !selected;
  }
  if (chosen.id === "tab-room") view.showLatest();
}

function wireTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => selectTab(tab));
    tab.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const next = tabs[(index + 1) % tabs.length];
      selectTab(next);
      next.focus();
    });
  }
  if (parameters.get("tab") === "source") selectTab(byId("tab-source"));
}

function wireForms() {
  const input = byId("input");
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (say(input.value.trim())) input.value = "";
    input.focus();
  });
  input.addEventListener("input", () => {
    if (!joined || input.value === "" || now() - lastTyping < TYPING_EVERY) return;
    lastTyping = now();
    client.notify("Chat.typing", {});
  });
  const me = byId("me");
  byId("me-form").addEventListener("submit", (event) => {
    event.preventDefault();
    me.blur();
  });
  me.addEventListener("focus", () => me.select());
  me.addEventListener("change", () => rename(me.value.trim()));
  me.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    me.value = name;
    me.blur();
  });
  byId("latest").addEventListener("click", view.showLatest);
}

function wireCopy() {
  const button = byId("copy");
  // Without a secure context there is no clipboard, and the command can be selected by hand.
  if (!navigator.clipboard) {
    button.hidden = true;
    return;
  }
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("command").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1_500);
  });
}

wireTabs();
wireForms();
wireCopy();
view.watchScroll();
byId("second").href = roomName === "lobby" ? "./" : `./?room=${encodeURIComponent(roomName)}`;
showSource(byId("source-lines"), "./chat.rs");
setInterval(measure, PING_EVERY);
setInterval(() => {
  drawConnection();
  drawFigures();
}, 250);
document.addEventListener("visibilitychange", () => !document.hidden && changed());
