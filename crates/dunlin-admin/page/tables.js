// The tables of the page. Texts are put in as text, never as HTML.

import { short, span, time } from "./figures.js";

/** An element with children; attributes whose value is null are left out. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Fills a table. A head is a text, or a text and the metric that its column shows. */
function fill(table, heads, rows, empty) {
  const head = (text) => {
    const [words, metric = null] = [text].flat();
    return make("th", { scope: "col", title: metric, class: metric ? "number" : null }, words);
  };
  const cell = (content, at) => {
    const isNumber = Array.isArray(heads[at]);
    return make("td", { class: isNumber ? "number" : null }, content ?? "–");
  };
  const lines = rows.map(({ attributes = {}, cells }) => make("tr", attributes, ...cells.map(cell)));
  if (!lines.length) lines.push(make("tr", {}, make("td", { colspan: heads.length, class: "quiet" }, empty)));
  const parts = [make("thead", {}, make("tr", {}, ...heads.map(head))), make("tbody", {}, ...lines)];
  table.replaceChildren(...parts);
}

const button = (words, action, about) =>
  make("button", { type: "button", "data-action": action, "data-about": JSON.stringify(about) }, words);

export function nodes(table, state, now, before) {
  const heads = [
    "node", "state", "roles",
    ["sessions", "dunlin_sessions"], ["in /s", "dunlin_messages_in_total"], ["forwarded /s", "dunlin_forwarded_out_total"],
    ["too slow", "dunlin_slow_clients_total"], ["committed", "dunlin_raft_committed_index"], ["lag", "dunlin_raft_lag"],
    ["sync", "dunlin_raft_sync_seconds"], "version", "",
  ];
  const rows = state.nodes.map((node) => {
    const of = { node: node.name };
    const committed = now.sum("dunlin_raft_committed_index", of);
    const lag = now.sum("dunlin_raft_lag", of);
    const cells = [
      make("span", { class: "strong", title: `${node.id}\n${node.urls.join(" ")}` }, node.is_leader ? `♛ ${node.name}` : node.name),
      make("span", { class: "state", "data-state": node.state, title: node.silence }, node.silence ? `${node.state}, silent` : node.state),
      node.roles.join(", "),
      short(now.sum("dunlin_sessions", of)),
      short(now.rate(before, "dunlin_messages_in_total", of)),
      short(now.rate(before, "dunlin_forwarded_out_total", of)),
      short(now.sum("dunlin_slow_clients_total", of)),
      committed === null ? "–" : String(committed),
      lag === null ? "–" : String(lag),
      time(now.sum("dunlin_raft_sync_seconds", of)),
      node.look?.version,
      actions(node),
    ];
    return { attributes: { "data-node": node.name, "data-role": node.is_leader ? "leader" : "follower", "data-state": node.state }, cells };
  });
  fill(table, heads, rows, "no nodes");
}

function actions(node) {
  const row = make("span", { class: "row" });
  if (node.roles.includes("voter") && !node.is_leader) row.append(button("Lead", "lead", { node: node.name }));
  if (node.state === "up") row.append(button("Drain", "drain", { node: node.name }));
  return row;
}

export function routes(table, state, now, before) {
  const labels = new Map();
  for (const { labels: of } of now.of("dunlin_calls_total")) labels.set(of.route, null);
  for (const { look } of state.nodes) for (const route of look?.routes ?? []) labels.set(route.name, route);
  const serving = (name) => {
    const service = name.replace(/\.[^.]*$/, "");
    return state.nodes.filter((node) => node.services.includes(service) || node.look?.routes.some((route) => route.name === name));
  };
  const calls = (name) => now.sum("dunlin_calls_total", { route: name }) ?? 0;
  const busiest = [...labels].sort(([a], [b]) => calls(b) - calls(a) || a.localeCompare(b));
  const rows = busiest.map(([name, route]) => {
    const of = { route: name };
    const errors = now.rate(before, "dunlin_calls_total", { ...of, outcome: "error" });
    const cells = [
      make("span", { class: "strong", title: route?.docs || null }, name),
      route?.kind,
      serving(name).map((node) => node.name).join(", ") || null,
      short(now.sum("dunlin_calls_running", of)),
      short(now.rate(before, "dunlin_calls_total", of)),
      short(errors),
      time(now.quantile(before, "dunlin_call_seconds", 0.5, of), "≤ "),
      time(now.quantile(before, "dunlin_call_seconds", 0.99, of), "≤ "),
      short(now.sum("dunlin_calls_total", of)),
    ];
    return { attributes: { "data-route": name }, cells };
  });
  const heads = [
    "route", "kind", "served by", ["running", "dunlin_calls_running"], ["calls /s", "dunlin_calls_total"],
    ["errors /s", 'dunlin_calls_total{outcome="error"}'], ["p50", "dunlin_call_seconds"], ["p99", "dunlin_call_seconds"], ["in all", "dunlin_calls_total"],
  ];
  fill(table, heads, rows, "no services");
}

export function sessions(table, found) {
  const rows = found.map((session) => ({
    attributes: { "data-uid": session.uid },
    cells: [
      make("span", { class: "strong" }, session.uid ?? "–"), session.node, session.addr, session.transport, span(session.age_s), session.id,
      button("Kick", "kick", { node: session.node, uid: session.uid ?? "", reason: "disconnected by an operator" }),
    ],
  }));
  fill(table, ["uid", "gate", "address", "over", "age", "session", ""], rows, "nobody who has logged in has such a uid");
}

export function links(table, state, now) {
  const rows = state.nodes.flatMap(({ name, look }) =>
    (look?.links ?? []).map((link) => {
      const of = { node: name, to: link.name };
      const isUp = link.is_up;
      return {
        attributes: { "data-link": `${name}-${link.name}`, "data-state": isUp ? "up" : "down" },
        cells: [
          `${name} → ${link.name}`, make("span", { class: "state", "data-state": isUp ? "up" : "down" }, isUp ? "up" : "down"),
          isUp ? time(now.sum("dunlin_link_round_trip_seconds", of)) : "–", short(now.sum("dunlin_link_calls_in_flight", of)), short(now.sum("dunlin_links_total", of)),
        ],
      };
    }),
  );
  const heads = ["link", "state", ["round trip", "dunlin_link_round_trip_seconds"], ["in flight", "dunlin_link_calls_in_flight"], ["links so far", "dunlin_links_total"]];
  fill(table, heads, rows, "this node stands alone");
}

export function groups(table, state) {
  const all = state.nodes.flatMap(({ name, look }) => (look?.groups ?? []).map((group) => ({ node: name, ...group })));
  all.sort((a, b) => b.members - a.members || a.name.localeCompare(b.name));
  const rows = all.slice(0, 50).map((group) => ({ cells: [group.name, group.node, String(group.members)] }));
  fill(table, ["group", "node", ["members", "dunlin_group_members"]], rows, "no groups");
}

export function leases(table, state) {
  const rows = state.leases.map((lease) => ({
    cells: [lease.lease, lease.holds ? `lock ${lease.holds}` : null, lease.keys.join(", ")],
  }));
  fill(table, ["lease", "holds", "keys that go with it"], rows, "no leases");
}

export function events(list, all) {
  const lines = all.toReversed().map(({ number, at_ms, kind, text }) => {
    const at = new Date(at_ms);
    return make("li", { "data-kind": kind, "data-number": number }, make("time", { datetime: at.toISOString() }, at.toLocaleTimeString()), text);
  });
  list.replaceChildren(...(lines.length ? lines : [make("li", { class: "quiet" }, "nothing has happened yet")]));
}
