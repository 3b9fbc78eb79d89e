// The cluster page: follows the state, draws it, and asks for what is clicked.

import { Figures, short, time } from "./figures.js";
import { act, follow, Locked, read, unlock } from "./feed.js";
import { draw } from "./graph.js";
import { events, groups, leases, links, make, nodes, routes, sessions } from "./tables.js";

/** Rates are of this many looks, so that they do not jump. */
const LOOKS = 5;
const RETRY_MS = 2000;

const $ = (id) => document.getElementById(id);
const looks = [];
const isStatic = new URLSearchParams(location.search).has("static");

function show(state) {
  window.__state = state;
  const now = new Figures(state.metrics, Date.now());
  const before = looks.at(0);
  looks.push(now);
  if (looks.length > LOOKS) looks.shift();

  $("login").hidden = true;
  $("main").hidden = false;
  head(state);
  tiles(state, now, before);
  draw($("graph"), state, now);
  // What is clicked must not go away under the finger.
  if (!$("nodes").matches(":active")) nodes($("nodes"), state, now, before);
  routes($("routes"), state, now, before);
  links($("links"), state, now);
  groups($("groups"), state);
  leases($("leases"), state);
  events($("events"), state.events);
}

const QUORUM = { ok: "quorum", none: "no leader: traffic goes on, changes wait", unknown: "no voter here" };

function head(state) {
  const quorum = $("quorum");
  quorum.dataset.quorum = state.quorum;
  quorum.textContent = state.nodes.length === 1 && state.quorum === "unknown" ? "one node" : QUORUM[state.quorum];
  $("leader").textContent = state.leader ?? "–";
  $("term").textContent = state.term || "–";
  $("updated").textContent = new Date().toLocaleTimeString();
}

function tiles(state, now, before) {
  const up = state.nodes.flatMap(({ look }) => look?.links ?? []);
  const figures = [
    ["nodes", `${state.nodes.filter((node) => node.state === "up").length} / ${state.nodes.length}`, "dunlin_ready"],
    ["sessions", short(now.sum("dunlin_sessions")), "dunlin_sessions"],
    ["calls /s", short(now.rate(before, "dunlin_calls_total")), "dunlin_calls_total"],
    ["p99", time(now.quantile(before, "dunlin_call_seconds", 0.99), "≤ "), "dunlin_call_seconds"],
    ["errors /s", short(now.rate(before, "dunlin_errors_total")), "dunlin_errors_total"],
    ["links up", `${up.filter((link) => link.is_up).length} / ${up.length}`, "dunlin_link_up"],
  ];
  const tile = ([words, value, metric]) =>
    make("div", { class: "tile", title: metric, "data-metric": metric }, make("b", {}, value), make("span", {}, words));
  $("tiles").replaceChildren(...figures.map(tile));
}

async function run() {
  for (;;) {
    try {
      if (isStatic) return show(await read("api/state"));
      await follow(show);
    } catch (error) {
      if (error instanceof Locked) return lock();
    }
    looks.length = 0;
    $("quorum").dataset.quorum = "none";
    $("quorum").textContent = "this node does not answer";
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

function lock() {
  $("main").hidden = true;
  $("login").hidden = false;
  $("quorum").textContent = "locked";
  if (sessionStorage.length) $("login-said").textContent = "That is not the token.";
  $("token").focus();
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  unlock($("token").value);
  run();
});

const find = async () => sessions($("sessions"), await read(`api/sessions?uid=${encodeURIComponent($("uid").value)}`));

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find().catch((error) => say(String(error)));
});

$("log").addEventListener("submit", async (event) => {
  event.preventDefault();
  say(await act("log", { level: $("level").value }));
});

function say(text) {
  $("said").textContent = text;
}

const QUESTIONS = {
  drain: ({ node }) => `Drain ${node}? It finishes what it has, sends its clients elsewhere, and stops.`,
  lead: ({ node }) => `Let ${node} lead the voters?`,
  kick: ({ uid }) => `Disconnect ${uid}?`,
};

async function sure(text) {
  $("sure-text").textContent = text;
  const dialog = $("sure");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "yes";
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action } = button.dataset;
  const about = JSON.parse(button.dataset.about);
  if (!(await sure(QUESTIONS[action](about)))) return;
  say(await act(action, about));
  if (action === "kick") await find();
});

run();
find().catch(() => {});
