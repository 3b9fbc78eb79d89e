// room.js: what the page knows of the room, pure: events and a time in, a snapshot out.
//
// Knows nothing of sockets and of the document. Every list is bounded.
// Read next: view.js, which draws it, and app.js, which feeds it.

const LINES_MAX = 200;
/** How many round trips are kept. */
export const SAMPLES_MAX = 40;
const RATE_WINDOW = 5_000;
const RATE_SECONDS = 30;
const TYPING_SHOWN = 3_000;

export class Room {
  me = null;
  members = [];
  /** What was said, and joins, leaves and renames between, oldest first. */
  lines = [];
  /** How many lines came live, history not counted. */
  received = 0;
  sent = 0;
  #nextKey = 1;
  #arrivals = [];
  #typing = new Map();

  /** Takes the answer to joining. What was shown before and is older than the history stays. */
  handleJoined({ members = [], history = [], you }) {
    this.me = you;
    this.members = [];
    for (const member of members) this.#addMember(member);
    const oldest = history[0]?.at ?? Infinity;
    this.lines = this.lines.filter(({ at, pending }) => at < oldest && !pending);
    for (const line of history) this.#addLine({ kind: "line", ...line });
  }

  handleJoin({ name, bot }, now) {
    if (this.#addMember({ name, bot })) this.#addLine({ kind: "event", text: `${name} joined`, at: now });
  }

  handleLeave({ name }, now) {
    const before = this.members.length;
    this.members = this.members.filter((member) => member.name !== name);
    this.#typing.delete(name);
    if (this.members.length < before) {
      this.#addLine({ kind: "event", text: `${name} left`, at: now });
    }
  }

  handleRename({ from, to }, now) {
    const member = this.members.find(({ name }) => name === from);
    // The answer to our own renaming and the room's news of it say the same thing, in any order.
    if (!member) return;
    member.name = to;
    if (this.me === from) this.me = to;
    this.#typing.delete(from);
    // Lines said under the old name are still ours, and a pending one is confirmed under the new.
    for (const line of this.lines) if (line.pending && line.from === from) line.from = to;
    this.#addLine({ kind: "event", text: `${from} is now ${to}`, at: now });
  }

  handleTyping({ name }, now) {
    if (name !== this.me && this.members.length > 0) this.#typing.set(name, now + TYPING_SHOWN);
  }

  /** Takes a line and returns how long our own took to come back, or `null` for anybody else's. */
  handleLine({ from, text, at }, now) {
    this.received += 1;
    this.#arrivals.push(now);
    this.#typing.delete(from);
    const pending = this.lines.findIndex(
      (line) => line.pending && line.from === from && line.text === text,
    );
    if (pending < 0) {
      this.#addLine({ kind: "line", from, text, at });
      return null;
    }
    const [line] = this.lines.splice(pending, 1);
    this.#addLine({ ...line, at, pending: false });
    return now - line.sentAt;
  }

  /** Shows our own line at once; it is confirmed when it comes back from the room. */
  say(text, now, at) {
    this.sent += 1;
    this.#addLine({ kind: "line", from: this.me, text, at, pending: true, sentAt: now });
  }

  handleDropped() {
    this.#typing.clear();
  }

  isBot(name) {
    return this.members.some((member) => member.name === name && member.bot);
  }

  typing(now) {
    for (const [name, until] of this.#typing) if (until <= now) this.#typing.delete(name);
    return [...this.#typing.keys()];
  }

  /** Lines a second: the mean of the last seconds, and the count of each second, oldest first. */
  rate(now) {
    const seconds = new Array(RATE_SECONDS).fill(0);
    this.#arrivals = this.#arrivals.filter((at) => now - at < RATE_SECONDS * 1000);
    for (const at of this.#arrivals) seconds[RATE_SECONDS - 1 - Math.floor((now - at) / 1000)] += 1;
    const recent = this.#arrivals.filter((at) => now - at < RATE_WINDOW).length;
    return { perSecond: (recent * 1000) / RATE_WINDOW, seconds };
  }

  #addMember({ name, bot = false }) {
    if (this.members.some((member) => member.name === name)) return false;
    this.members.push({ name, bot });
    return true;
  }

  #addLine(line) {
    const mine = line.mine ?? (line.kind === "line" && line.from === this.me);
    this.lines.push({ key: this.#nextKey, ...line, mine });
    this.#nextKey += 1;
    if (this.lines.length > LINES_MAX) this.lines.splice(0, this.lines.length - LINES_MAX);
  }
}

/** The last round trips in milliseconds, with what a person wants to know of them. */
export class Samples {
  values = [];

  add(value) {
    this.values.push(value);
    if (this.values.length > SAMPLES_MAX) this.values.shift();
  }

  get last() {
    return this.values.at(-1) ?? null;
  }

  get median() {
    const sorted = [...this.values].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
  }

  get worst() {
    return this.values.length > 0 ? Math.max(...this.values) : null;
  }
}

const FIRST = ["Amber", "Brisk", "Calm", "Dusky", "Early", "Gentle", "Lively", "Misty", "Northern", "Quiet", "Ruddy", "Silver"];
const SECOND = ["Avocet", "Curlew", "Godwit", "Knot", "Lapwing", "Phalarope", "Plover", "Redshank", "Ruff", "Snipe", "Stint", "Whimbrel"];

/** A name of two words; with a number behind when earlier ones were taken. */
export function randomName(random = Math.random, attempt = 0) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const number = attempt > 0 ? ` ${2 + Math.floor(random() * 98)}` : "";
  return `${pick(FIRST)} ${pick(SECOND)}${number}`;
}

/** The hue a name is drawn in, the same on every page. */
export function hueOf(name) {
  let hash = 7;
  for (const unit of name) hash = (hash * 31 + unit.codePointAt(0)) % 100_003;
  return (hash * 47) % 360;
}

/** One or two capital letters that stand for a name. */
export function initialsOf(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "?";
}
