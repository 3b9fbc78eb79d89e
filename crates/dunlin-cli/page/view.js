// view.js: draws the room into the document. Text goes in as text, never as markup.
//
// Knows nothing of sockets. Read next: room.js for what is drawn, app.js for when.
import { SAMPLES_MAX, hueOf, initialsOf } from "./room.js";

const SVG = "http://www.w3.org/2000/svg";
const GROUP_WITHIN = 120_000;
const SAMPLE_WIDTH = 120 / (SAMPLES_MAX - 1);

const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const elements = new Map();
let unseen = 0;
let following = true;

/** Keeps the newest line in sight when the room's size changes, unless the reader scrolled up. */
export function watchScroll() {
  const scroll = byId("scroll");
  scroll.addEventListener("scroll", () => {
    following = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
    if (following) showLatest();
  });
  new ResizeObserver(() => following && showLatest()).observe(scroll);
}

/** Draws lines that came, went or changed; keeps the newest in sight unless the reader scrolled up. */
export function drawLines(room) {
  const list = byId("messages");
  const present = new Set(room.lines.map(({ key }) => key));
  const first = elements.size === 0;
  for (const [key, element] of elements) {
    if (present.has(key)) continue;
    element.remove();
    elements.delete(key);
  }
  let previous = null;
  for (const [index, line] of room.lines.entries()) {
    let element = elements.get(line.key);
    if (!element) {
      element = line.kind === "line" ? newLine(line, room) : newEvent(line);
      if (!first) animateArrival(element);
      elements.set(line.key, element);
      if (!following && line.kind === "line" && !line.mine) unseen += 1;
    }
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    element.classList.toggle("more", continues(previous, line));
    element.classList.toggle("pending", Boolean(line.pending));
    previous = line;
  }
  if (following || room.lines.at(-1)?.pending) showLatest();
  drawUnseen();
}

// The class goes when it has played, or else it would play again whenever the tab is shown.
function animateArrival(element) {
  element.classList.add("fresh");
  element.addEventListener("animationend", () => element.classList.remove("fresh"), { once: true });
}

/** Scrolls to the newest line. */
export function showLatest() {
  const scroll = byId("scroll");
  scroll.scrollTop = scroll.scrollHeight;
  following = true;
  unseen = 0;
  drawUnseen();
}

function drawUnseen() {
  const button = byId("latest");
  button.hidden = unseen === 0;
  button.textContent = unseen === 1 ? "1 new message" : `${unseen} new messages`;
}

function continues(previous, line) {
  if (previous?.kind !== "line" || line.kind !== "line") return false;
  return previous.from === line.from && previous.mine === line.mine && line.at - previous.at < GROUP_WITHIN;
}

function newLine({ from, text, at, mine }, room) {
  const item = node("li", mine ? "line mine" : "line");
  const head = node("div", "line-head");
  const name = node("b", "", from);
  name.style.setProperty("--hue", hueOf(from));
  const time = node("time", "", clock.format(at));
  time.dateTime = new Date(at).toISOString();
  head.append(name, time);
  const said = node("div");
  said.append(head, node("div", "bubble", text));
  item.append(avatar(from, room.isBot(from)), said);
  return item;
}

function newEvent({ text }) {
  return node("li", "event", text);
}

export function drawMembers(room) {
  const order = ({ name, bot }) => (name === room.me ? 0 : bot ? 2 : 1);
  const sorted = [...room.members].sort(
    (a, b) => order(a) - order(b) || a.name.localeCompare(b.name),
  );
  byId("count").textContent = String(room.members.length);
  byId("members").replaceChildren(
    ...sorted.map(({ name, bot }) => {
      const row = node("li", name === room.me ? "me-row" : "");
      row.dataset.member = name;
      row.dataset.bot = String(Boolean(bot));
      row.append(avatar(name, bot), node("span", "name", name));
      if (name === room.me) row.append(node("span", "tag", "you"));
      else if (bot) row.append(node("span", "tag", "bot"));
      return row;
    }),
  );
}

export function drawMe(name) {
  const input = byId("me");
  if (document.activeElement !== input) input.value = name;
  byId("me-avatar").replaceWith(Object.assign(avatar(name, false), { id: "me-avatar" }));
}

export function drawTyping(names) {
  const some = names.length > 2 ? "several are" : `${names.join(" and ")} ${names.length > 1 ? "are" : "is"}`;
  byId("typing").textContent = names.length > 0 ? `${some} typing…` : "";
}

/** Says what the connection is and, where it is not there, why and what follows. */
export function drawState({ state, reason, retryIn }) {
  const pill = byId("state");
  pill.dataset.state = state;
  const wait = state === "dropped" && retryIn !== null ? `, again in ${seconds(retryIn)}` : "";
  byId("state-text").textContent = `${state}${wait}`;
  pill.title = reason ? reason.message : "";
  const usable = state === "connected";
  byId("send").disabled = !usable;
  const input = byId("input");
  input.disabled = !usable;
  input.placeholder = usable ? "Say something to the room" : "Waiting for the gate";
}

export function drawNotice(text, { bad = false } = {}) {
  const notice = byId("notice");
  notice.hidden = text === "";
  notice.textContent = text;
  notice.classList.toggle("bad", bad);
}

export function drawLatency(heartbeats, requests, echoes) {
  byId("rtt").textContent = millis(heartbeats.last);
  const [fill, line] = byId("rtt-spark").children;
  const { values } = heartbeats;
  const top = Math.max(1, ...values) * 1.15;
  const points = values.map((value, index) => {
    const x = 120 - (values.length - 1 - index) * SAMPLE_WIDTH;
    return `${x.toFixed(1)} ${(31 - (value / top) * 29).toFixed(1)}`;
  });
  line.setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
  const left = 120 - (values.length - 1) * SAMPLE_WIDTH;
  fill.setAttribute("d", points.length > 1 ? `M${left} 32L${points.join("L")}L120 32Z` : "");
  byId("rtt-median").textContent = millis(heartbeats.median);
  byId("rtt-worst").textContent = millis(heartbeats.worst);
  byId("rtt-room").textContent = millis(echoes.last);
  byId("request-time").textContent = millis(requests.last);
}

export function drawRate({ perSecond, seconds: counts }, { received, sent }) {
  byId("rate").textContent = perSecond.toFixed(1);
  const top = Math.max(2, ...counts);
  const width = 120 / counts.length;
  const bars = counts.map((count, index) => {
    const height = Math.max(0.6, (count / top) * 31);
    return `M${(index * width + 0.5).toFixed(1)} 32v${(-height).toFixed(1)}h${(width - 1).toFixed(1)}V32Z`;
  });
  byId("rate-spark").firstElementChild.setAttribute("d", bars.join(""));
  byId("received").textContent = String(received);
  byId("sent").textContent = String(sent);
}

function avatar(name, bot) {
  const circle = node("span", bot ? "avatar bot" : "avatar", bot ? "" : initialsOf(name));
  circle.style.setProperty("--hue", hueOf(name));
  circle.setAttribute("aria-hidden", "true");
  if (bot) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 60 48");
    const use = document.createElementNS(SVG, "use");
    use.setAttribute("href", "#dunlin");
    svg.append(use);
    circle.append(svg);
  }
  return circle;
}

function node(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function millis(value) {
  if (value === null) return "–";
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

function seconds(value) {
  return `${Math.max(0, value / 1000).toFixed(1)} s`;
}
