// cluster.js: draws a snapshot of the cluster: nodes and links as a graph, counters, events and which buttons may be pressed.

const SVG = "http://www.w3.org/2000/svg";
const PLACES = { n1: [200, 78], n2: [322, 268], n3: [78, 268] };
const CROWN = "M-13 6-16-7-7-1 0-11 7-1 16-7 13 6Z";
const PHASES = { starting: "starting", up: "up", draining: "draining", down: "down" };

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The radius of a node by its sessions: its area grows with them. */
export function radiusOf(sessions) {
  return Math.min(44, 25 + Math.sqrt(sessions) * 3.4);
}

/** What stands on a link. */
export function linkText({ phase, rtt_ms }) {
  if (phase === "cut") return "cut";
  if (phase === "down") return "–";
  if (rtt_ms === null) return "…";
  return `${rtt_ms < 10 ? rtt_ms.toFixed(1) : Math.round(rtt_ms)} ms`;
}

/** What stands above the graph. */
export function leaderText({ leader, term, nodes }) {
  if (leader) return `${leader} leads · term ${term}`;
  return nodes.some(({ phase }) => phase === "up") ? "no leader · traffic goes on" : "nobody is there";
}

/** The graph of nodes and links, in an SVG element. */
export class Graph {
  #nodes = new Map();
  #links = new Map();

  /** `onCut` is told which link was clicked. */
  constructor(svg, onCut) {
    for (const [one, other] of [["n1", "n2"], ["n2", "n3"], ["n1", "n3"]]) this.#addLink(svg, one, other, onCut);
    for (const name of Object.keys(PLACES)) this.#addNode(svg, name);
  }

  #addLink(svg, one, other, onCut) {
    const [[x1, y1], [x2, y2]] = [PLACES[one], PLACES[other]];
    const ends = { x1, y1, x2, y2 };
    const text = element("text", { y: 4 });
    const label = element("g", { class: "link-label", transform: `translate(${(x1 + x2) / 2} ${(y1 + y2) / 2})` });
    label.append(element("rect", { x: -30, y: -12, width: 60, height: 24, rx: 12 }), text);
    const title = element("title");
    title.textContent = `Cut or mend the link between ${one} and ${other}`;
    const group = element("g", { class: "link", role: "button", tabindex: 0, "data-link": `${one}-${other}` }, title);
    group.setAttribute("aria-label", title.textContent);
    group.append(element("line", { class: "hit", ...ends }), element("line", { class: "wire", ...ends }));
    group.append(element("line", { class: "pulse", ...ends }), label);
    group.addEventListener("click", () => onCut(one, other));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      onCut(one, other);
    });
    this.#links.set(`${one}-${other}`, { group, text });
    svg.append(group);
  }

  #addNode(svg, name) {
    const [x, y] = PLACES[name];
    const group = element("g", { class: "node", transform: `translate(${x} ${y})`, "data-node": name });
    const disc = element("circle", { class: "disc", r: 30 });
    const crown = element("path", { class: "crown", d: CROWN });
    const title = element("text", { class: "node-name", y: 6 });
    title.textContent = name;
    const side = name === "n1" ? " beside" : "";
    const [sessions, rate] = ["node-line", "node-line faint"].map((line) => element("text", { class: line + side }));
    group.append(element("circle", { class: "back", r: 30 }), disc, title, crown, sessions, rate);
    this.#nodes.set(name, { group, disc, crown, sessions, rate });
    svg.append(group);
  }

  /** Draws what the cluster is now. */
  show({ nodes, links }) {
    for (const { one, other, phase, ...link } of links) {
      const known = this.#links.get(`${one}-${other}`) ?? this.#links.get(`${other}-${one}`);
      if (!known) continue;
      known.group.dataset.phase = phase;
      known.text.textContent = linkText({ phase, ...link });
    }
    for (const node of nodes) this.#showNode(node);
  }

  #showNode({ name, phase, is_leader, term, sessions, rate, port }) {
    const known = this.#nodes.get(name);
    if (!known) return;
    const radius = phase === "up" || phase === "draining" ? radiusOf(sessions) : 25;
    Object.assign(known.group.dataset, { phase, role: is_leader ? "leader" : "follower", term, sessions });
    known.disc.setAttribute("r", radius);
    known.group.querySelector(".back").setAttribute("r", radius + 5);
    known.crown.setAttribute("transform", `translate(0 ${-radius - 12})`);
    // Below the upper node its links go down, so its lines stand beside it.
    const isBeside = name === "n1";
    for (const [line, y] of [[known.sessions, 0], [known.rate, 17]]) {
      line.setAttribute("x", isBeside ? radius + 14 : 0);
      line.setAttribute("y", isBeside ? y - 2 : y + radius + 22);
    }
    known.sessions.textContent = phase === "up" ? `${sessions} ${sessions === 1 ? "session" : "sessions"}` : PHASES[phase];
    known.rate.textContent = phase === "up" ? `${rate} msg/s · :${port}` : `:${port}`;
  }
}

/** Shows what must stay 0, and what stands beside it. */
export function showCounters(root, counters) {
  for (const [name, value] of Object.entries(counters)) {
    const shown = root.querySelector(`[data-counter="${name}"]`);
    if (!shown) continue;
    shown.dataset.value = value;
    shown.classList.toggle("bad", value > 0);
    shown.querySelector("dd").textContent = value.toLocaleString("en");
  }
}

/** Shows the last events, the newest first; `own` are what the buttons of this page were refused. */
export function showEvents(list, events, own) {
  const all = [...events, ...own].sort((one, other) => other.at_ms - one.at_ms).slice(0, 8);
  const keys = all.map(({ number, at_ms, text }) => `${number ?? "own"}/${at_ms}/${text}`).join("\n");
  if (list.dataset.keys === keys) return;
  list.dataset.keys = keys;
  list.replaceChildren(
    ...all.map(({ at_ms, text, number }) => {
      const [item, time, words] = ["li", "time", "span"].map((name) => document.createElement(name));
      time.textContent = clock(at_ms);
      words.textContent = text;
      item.classList.toggle("refused", number === undefined);
      item.append(time, words);
      return item;
    }),
  );
}

/** Minutes and seconds since the demo began. */
export function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Says which buttons may be pressed. */
export function showButtons(root, { under_way, leader, nodes }, isConnected) {
  const is_up = (name) => nodes.some((node) => node.name === name && node.phase === "up");
  for (const button of root.querySelectorAll("[data-action]")) {
    const { action, node } = button.dataset;
    const is_busy = under_way.includes(action);
    button.setAttribute("aria-busy", is_busy);
    if (action === "cut-link") {
      button.textContent = is_busy ? "Mend the link" : "Cut a link";
      button.disabled = !isConnected;
    } else {
      const is_possible = action === "kill-leader" ? leader !== null : action !== "drain" || is_up(node);
      button.disabled = !isConnected || is_busy || !is_possible;
    }
  }
}
