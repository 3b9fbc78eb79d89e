// The cluster as a picture: nodes on a ring, sized by their sessions, a crown on the leader, links between them.

import { short, time } from "./figures.js";

const SVG = "http://www.w3.org/2000/svg";
/** A narrow picture is drawn narrower, so that its words stay readable. */
const sizes = (svg) => (svg.clientWidth < 480 ? { width: 400, height: 330, across: 130 } : { width: 640, height: 360, across: 215 });
const CROWN = "M-11 6 L-13 -6 L-6 0 L0 -9 L6 0 L13 -6 L11 6 Z";

function make(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const title = (text) => make("title", {}, text);

/** Where each node is: on a ring, in the order of their names. */
function places(nodes, { width, height, across }) {
  const at = new Map();
  nodes.forEach(({ name }, index) => {
    // Two stand side by side.
    const first = nodes.length === 2 ? Math.PI : -Math.PI / 2;
    const angle = (2 * Math.PI * index) / nodes.length + first;
    const reach = nodes.length === 1 ? 0 : 1;
    at.set(name, { x: width / 2 + reach * across * Math.cos(angle), y: height / 2 + 4 + reach * 100 * Math.sin(angle) });
  });
  return at;
}

/** Both directions of a link as one line. */
function pairs(nodes) {
  const links = new Map();
  for (const { name, look } of nodes) {
    for (const link of look?.links ?? []) {
      const key = [name, link.name].sort().join("\n");
      const known = links.get(key) ?? { ends: [name, link.name], isUp: true, roundTrips: [] };
      known.isUp &&= link.is_up;
      if (link.round_trip) known.roundTrips.push(link.round_trip.secs + link.round_trip.nanos / 1e9);
      links.set(key, known);
    }
  }
  return [...links.values()];
}

/** Draws it anew. */
export function draw(svg, state, figures) {
  const nodes = state.nodes;
  const size = sizes(svg);
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  const at = places(nodes, size);
  const lines = pairs(nodes).filter(({ ends }) => ends.every((end) => at.has(end)));
  const most = Math.max(1, ...nodes.map(({ name }) => figures.sum("dunlin_sessions", { node: name }) ?? 0));
  const parts = lines.map((link) => drawLink(link, at));
  for (const node of nodes) parts.push(drawNode(node, at.get(node.name), figures, most));
  svg.replaceChildren(...parts);
}

function drawLink({ ends: [one, other], isUp, roundTrips }, at) {
  const [a, b] = [at.get(one), at.get(other)];
  const slowest = roundTrips.length ? Math.max(...roundTrips) : null;
  const state = isUp ? "up" : "down";
  const label = make("text", { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 - 6, class: "rtt" }, isUp ? time(slowest) : "cut");
  const line = make("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y }, title("dunlin_link_round_trip_seconds"));
  return make("g", { class: "link", "data-link": `${one}-${other}`, "data-state": state }, line, label);
}

function drawNode(node, { x, y }, figures, most) {
  const sessions = figures.sum("dunlin_sessions", { node: node.name });
  const radius = 34 + 12 * Math.sqrt((sessions ?? 0) / most);
  const group = make("g", {
    class: "node",
    transform: `translate(${x} ${y})`,
    "data-node": node.name,
    "data-role": node.is_leader ? "leader" : "follower",
    "data-state": node.state,
  });
  group.append(title(`${node.name}: ${node.state}`), make("circle", { r: radius }));
  if (node.is_leader) group.append(make("path", { d: CROWN, class: "crown", transform: `translate(0 ${-radius - 8})` }));
  group.append(make("text", { y: -2, class: "name" }, node.name), make("text", { y: 13, class: "count" }, `${short(sessions)} sessions`));
  const role = node.state === "up" ? node.roles.join(", ") : node.state;
  group.append(make("text", { y: radius + 16, class: "roles" }, role));
  return group;
}
