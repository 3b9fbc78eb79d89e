// dunlin.js: the client of a dunlin gate for browsers and Node, in one file without dependencies.
//
// Upper half: `connect`, `Client` and `DunlinError`, the only part that touches sockets and timers.
// Lower half: the codec, pure functions over bytes; it is exported so that tests and tools can use it.
//
// Invariants: one packet leaves per WebSocket message, what arrives is read as a stream of packets;
// every wait has a deadline and every queue a bound; a closed client never opens a socket again.
// It stays one file so that it can be copied beside a page and imported there without a build.

export const VERSION = "0.1.0";

const PACKET = { handshake: 1, ack: 2, heartbeat: 3, data: 4, kick: 5 };
const MESSAGE = { request: 0, notify: 1, response: 2, push: 3 };
const FLAG = { code: 0x01, compressed: 0x10, error: 0x20 };
const BODY_LENGTH_MAX = 0xff_ffff;
const REQUEST_ID_MAX = 0x7fff_ffff;
const VARINT_LENGTH_MAX = 10;
const TIMER_MAX = 0x7fff_ffff;

const DEFAULTS = {
  // Longer than the ten seconds after which a gate itself answers, so that its typed answer wins.
  timeout: 15_000,
  connectTimeout: 10_000,
  // A gate stops reading from a client with this many unanswered requests.
  maxInFlight: 128,
  maxBuffered: 1 << 20,
  // What a gate accepts unless it was configured otherwise. Failing here keeps the connection.
  sendLimit: 1 << 16,
  receiveLimit: BODY_LENGTH_MAX,
  now: () => performance.now(),
};
const RECONNECT = { minDelay: 500, maxDelay: 30_000, attempts: Infinity, minUptime: 5_000 };
/** No server sends us away for longer. */
const AWAY_MAX_MS = 60_000;
const TERMINAL = new Set(["closed", "kicked", "refused"]);

/** Why something failed: `code` is a number when the server said so and a string when this client did. */
export class DunlinError extends Error {
  constructor(code, message, { details, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DunlinError";
    this.code = code;
    this.details = details;
  }
}

/** Opens a connection and returns its client at once; `await client.ready()` waits for the handshake. */
export function connect(url, options) {
  return new Client(url, options);
}

/** One logical connection to a gate. Make it with `connect`. */
export class Client {
  /** "connecting", "connected", "dropped" (a new attempt is scheduled) or "closed" (for good). */
  state = "connecting";
  /** The error behind the state "dropped" or "closed", `null` in the other states. */
  reason = null;
  /** The last measured round trip of a heartbeat in milliseconds, `null` before the first. */
  rtt = null;
  /** The server's handshake answer of the present connection: `{ code, sys, user }`. */
  handshake = null;

  #url;
  #options;
  #retry;
  #listeners = new Map();
  #readyWaiters = [];
  #inFlight = new Map();
  #lastId = 0;
  #lastPing = 0;
  #attempt = null;
  #socket = null;
  #reader = null;
  #dictionary = null;
  #timers = { deadline: 0, watch: 0, retry: 0 };
  #beatInterval = 0;
  #period = 0;
  #heardAt = 0;
  #sentAt = 0;
  #pingedAt = null;
  #connectedAt = null;
  #droppedAt = null;
  #failures = 0;

  constructor(url, options = {}) {
    this.#url = socketUrl(url);
    this.#options = withDefaults(DEFAULTS, options);
    this.#options.WebSocket ??= globalThis.WebSocket;
    if (!this.#options.WebSocket) {
      throw new TypeError("this runtime has no WebSocket: hand a class in as options.WebSocket");
    }
    const { reconnect } = options;
    this.#retry = reconnect ? withDefaults(RECONNECT, reconnect === true ? {} : reconnect) : null;
    this.#open();
  }

  /** Resolves once connected (at once if it is), rejects when the client is closed for good. */
  ready() {
    if (this.state === "connected") return Promise.resolve(this);
    if (this.state === "closed") return Promise.reject(this.reason);
    return new Promise((resolve, reject) => this.#readyWaiters.push({ resolve, reject }));
  }

  /** Sends a request and resolves with the answer's body; rejects with a `DunlinError`, always. */
  async request(route, body, options = {}) {
    if (options.signal?.aborted) throw aborted(options.signal);
    const obstacle = this.#obstacle() ?? this.#overflow();
    if (obstacle) throw obstacle;
    const id = this.#nextId();
    const packet = this.#encode({ type: MESSAGE.request, id, route, body });
    const answer = this.#expect(id, options);
    this.#send(packet);
    return answer;
  }

  /** Sends a message that has no answer. False: not connected or too much unsent, nothing was sent. */
  notify(route, body) {
    const packet = this.#encode({ type: MESSAGE.notify, route, body });
    if (this.#obstacle()) return false;
    this.#send(packet);
    return true;
  }

  /** Measures the round trip now and resolves with it in milliseconds. */
  async ping(options = {}) {
    if (options.signal?.aborted) throw aborted(options.signal);
    const obstacle = this.#obstacle() ?? this.#overflow();
    if (obstacle) throw obstacle;
    this.#lastPing -= 1;
    const answer = this.#expect(this.#lastPing, options);
    if (this.#pingedAt === null) this.#beat();
    return answer;
  }

  /** Listens to pushes of a route or to an event of the client; returns a function that ends it. */
  on(name, fn, { binary = false } = {}) {
    const listener = { fn, binary };
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => {
      const set = this.#listeners.get(name);
      if (set?.delete(listener) && set.size === 0) this.#listeners.delete(name);
    };
  }

  /** Closes for good. Everything still waiting is rejected with the code "closed". */
  close() {
    if (this.state !== "closed") this.#lose(new DunlinError("closed", "the client was closed"));
  }

  async #open() {
    const { user, connectTimeout, receiveLimit, WebSocket } = this.#options;
    const attempt = (this.#attempt = {});
    this.#timers.deadline = after(connectTimeout, () =>
      this.#lose(new DunlinError("connect_timeout", `no handshake within ${connectTimeout} ms`)),
    );
    this.#setState("connecting", null);
    try {
      // The data is fetched before the socket opens, because the gate's deadline runs from there.
      const userData = typeof user === "function" ? await user() : user;
      if (this.#attempt !== attempt) return;
      const socket = new WebSocket(this.#url);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      this.#reader = new PacketReader(receiveLimit);
      socket.onopen = () => this.#greet(userData);
      socket.onmessage = (event) => this.#receive(socket, event.data);
      socket.onerror = () => {};
      socket.onclose = ({ code, reason }) => this.#lose(socketLost(this.state, code, reason));
    } catch (cause) {
      if (this.#attempt !== attempt) return;
      const message = `the connection could not be opened: ${cause?.message ?? cause}`;
      this.#lose(new DunlinError("unreachable", message, { cause }));
    }
  }

  #greet(user) {
    const sys = { type: "dunlin-js", version: VERSION, caps: ["away/1", "err/1", "utf8/1"] };
    try {
      this.#send(encodePacket(PACKET.handshake, toBytes({ sys, user })));
    } catch (cause) {
      this.#lose(new DunlinError("invalid", "the handshake's user data is not JSON", { cause }));
    }
  }

  #receive(socket, data) {
    this.#heardAt = this.#options.now();
    try {
      if (typeof data === "string") throw protocolError("a text message came, packets are binary");
      for (const packet of this.#reader.read(bytesOf(data))) {
        this.#handlePacket(packet);
        // A listener may have closed the client, or the packet ended the connection.
        if (this.#socket !== socket) return;
      }
    } catch (error) {
      if (this.#socket === socket) this.#lose(error);
    }
  }

  #handlePacket({ type, body }) {
    const connected = this.state === "connected";
    if (type === PACKET.heartbeat) {
      if (connected) this.#handleHeartbeat();
    } else if (type === PACKET.kick) {
      this.#handleKick(body);
    } else if (type === PACKET.handshake && !connected) {
      this.#handleHandshake(body);
    } else if (type === PACKET.data && connected) {
      this.#handleMessage(decodeMessage(body, this.#dictionary));
    } else {
      throw protocolError(`a packet of type ${type} came while ${this.state}`);
    }
  }

  #handleHandshake(body) {
    const answer = toJson(body);
    if (answer?.code !== 200) {
      const message = answer?.message ?? `the server refused the handshake with ${answer?.code}`;
      throw new DunlinError("refused", message, { details: answer });
    }
    clearTimeout(this.#timers.deadline);
    this.handshake = answer;
    this.#dictionary = new Dictionary(answer.sys?.dict);
    this.#send(encodePacket(PACKET.ack));
    this.#connectedAt = this.#heardAt;
    this.#startHeart(Number(answer.sys?.heartbeat) * 1000);
    const socket = this.#socket;
    this.#setState("connected", null);
    for (const waiter of this.#readyWaiters.splice(0)) waiter.resolve(this);
    if (this.#droppedAt === null || this.#socket !== socket) return;
    const event = { attempts: this.#failures, downtime: this.#heardAt - this.#droppedAt };
    this.#droppedAt = null;
    this.#emit("reconnect", event);
  }

  #startHeart(period) {
    this.#period = period > 0 ? Math.min(period, TIMER_MAX / 2) : 0;
    this.#beat();
    if (this.#period === 0) return;
    this.#beatInterval = setInterval(() => this.#beat(), this.#period);
    this.#watch();
  }

  #beat() {
    this.#pingedAt ??= this.#options.now();
    this.#send(encodePacket(PACKET.heartbeat));
  }

  #watch() {
    const left = 2 * this.#period - (this.#options.now() - this.#heardAt);
    if (left <= 0) {
      const message = `the server was silent for ${2 * this.#period} ms`;
      this.#lose(new DunlinError("silent", message));
    } else {
      this.#timers.watch = setTimeout(() => this.#watch(), Math.ceil(left));
    }
  }

  #handleHeartbeat() {
    if (this.#pingedAt !== null) {
      this.rtt = this.#heardAt - this.#pingedAt;
      this.#pingedAt = null;
      for (const id of [...this.#inFlight.keys()]) if (id < 0) this.#settle(id, null, this.rtt);
    } else if (this.#heardAt - this.#sentAt > this.#period * 0.75) {
      // Browsers slow down the timers of hidden pages but not their sockets: answering here keeps
      // the session alive. A client that has just sent stays silent, so no two sides can echo.
      this.#beat();
    }
  }

  #handleKick(body) {
    let details = {};
    try {
      details = toJson(body) ?? {};
    } catch {
      // A kick is a kick, whatever its reason looks like.
    }
    const { away_ms: away } = details;
    if (Number.isInteger(away) && away >= 0) {
      // The server stops, and says within which time it wants us to be back, elsewhere perhaps.
      this.#lose(new DunlinError("away", details.reason ?? "sent away by the server", { details }));
      return;
    }
    this.#lose(new DunlinError("kicked", details.reason ?? "kicked by the server", { details }));
  }

  #handleMessage({ type, id, route, flags, body }) {
    if (flags & FLAG.compressed) throw protocolError("a compressed body came, none was asked for");
    if (type === MESSAGE.push) {
      this.#handlePush(route, body);
    } else if (type === MESSAGE.response) {
      this.#handleResponse(id, flags, body);
    } else {
      throw protocolError(`a message of type ${type} came from the server`);
    }
  }

  #handleResponse(id, flags, body) {
    // An answer may come after its request timed out or was aborted: nobody waits for it then.
    const waiting = this.#inFlight.get(id);
    if (!waiting) return;
    try {
      if (flags & FLAG.error) this.#settle(id, errorFrom(toJson(body)));
      else this.#settle(id, null, waiting.binary ? body.slice() : toJson(body));
    } catch (error) {
      this.#settle(id, error);
    }
  }

  #handlePush(route, body) {
    const set = EVENTS.has(route) ? null : this.#listeners.get(route);
    if (!set) return;
    const listeners = [...set];
    let value;
    try {
      if (listeners.some(({ binary }) => !binary)) value = toJson(body);
    } catch (cause) {
      const message = `a push of ${route} could not be read: ${cause.message}`;
      this.#emit("error", new DunlinError("protocol", message, { cause }));
      return;
    }
    for (const { fn, binary } of listeners) this.#call(fn, binary ? body.slice() : value);
  }

  /** Ends the present connection or attempt, for good or until the next attempt. */
  #lose(error) {
    const wasConnected = this.state === "connected";
    const now = this.#options.now();
    this.#dispose(error);
    if (wasConnected && now - this.#connectedAt >= (this.#retry?.minUptime ?? 0)) this.#failures = 0;
    if (wasConnected) this.#droppedAt = now;
    const final = TERMINAL.has(error.code) || this.#failures >= (this.#retry?.attempts ?? 0);
    let retryIn = null;
    if (!final) {
      retryIn = error.code === "away" ? awayDelay(error.details.away_ms) : backoffDelay(this.#failures, this.#retry);
      this.#failures += 1;
      this.#timers.retry = setTimeout(() => this.#open(), retryIn);
    }
    this.#rejectWaiting(error, final);
    this.#setState(final ? "closed" : "dropped", error, retryIn);
    // A listener may have closed the client meanwhile, and then that is the last word.
    if (this.reason !== error) return;
    if (error.code === "kicked") this.#emit("kick", { reason: error.message, ...error.details });
    else if (error.code === "closed") return;
    else if (wasConnected) this.#emit("drop", { reason: error.code, error, retryIn });
    else this.#emit("error", error);
  }

  #dispose({ code }) {
    const socket = this.#socket;
    this.#attempt = this.#socket = this.#reader = this.#pingedAt = null;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    clearInterval(this.#beatInterval);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (TERMINAL.has(code)) socket.close(1000);
    else socket.close(4000, String(code));
  }

  #rejectWaiting(error, final) {
    const code = error.code === "closed" || error.code === "kicked" ? error.code : "dropped";
    const options = { cause: error, details: { reason: error.code } };
    for (const id of [...this.#inFlight.keys()]) {
      this.#settle(id, new DunlinError(code, `the connection ended: ${error.message}`, options));
    }
    if (final) for (const waiter of this.#readyWaiters.splice(0)) waiter.reject(error);
  }

  #obstacle() {
    if (this.state !== "connected") {
      return new DunlinError("not_connected", `the client is ${this.state}`);
    }
    const { bufferedAmount = 0 } = this.#socket;
    if (bufferedAmount <= this.#options.maxBuffered) return null;
    return new DunlinError("overflow", `${bufferedAmount} bytes are waiting to be sent`);
  }

  #overflow() {
    if (this.#inFlight.size < this.#options.maxInFlight) return null;
    return new DunlinError("overflow", `${this.#inFlight.size} requests are in flight`);
  }

  #nextId() {
    do this.#lastId = (this.#lastId % REQUEST_ID_MAX) + 1;
    while (this.#inFlight.has(this.#lastId));
    return this.#lastId;
  }

  #encode({ type, id, route, body }) {
    const message = encodeMessage({ type, id, route, body: toBytes(body) }, this.#dictionary);
    const { sendLimit } = this.#options;
    if (message.length <= sendLimit) return encodePacket(PACKET.data, message);
    const text = `a message of ${message.length} bytes for ${route} is over the limit of ${sendLimit}`;
    throw new DunlinError("too_long", text);
  }

  #expect(id, { timeout = this.#options.timeout, signal, binary = false }) {
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#settle(id, aborted(signal));
      const onTimeout = () =>
        this.#settle(id, new DunlinError("timeout", `no answer within ${timeout} ms`));
      const timer = after(timeout, onTimeout);
      const release = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#inFlight.set(id, { resolve, reject, release, binary });
    });
  }

  #settle(id, error, value) {
    const waiting = this.#inFlight.get(id);
    if (!waiting) return;
    this.#inFlight.delete(id);
    waiting.release();
    if (error) waiting.reject(error);
    else waiting.resolve(value);
  }

  #send(packet) {
    this.#sentAt = this.#options.now();
    this.#socket.send(packet);
  }

  #setState(state, reason, retryIn = null) {
    const previous = this.state;
    this.state = state;
    this.reason = reason;
    if (state !== previous) this.#emit("state", { state, previous, reason, retryIn });
  }

  #emit(name, value) {
    for (const { fn } of [...(this.#listeners.get(name) ?? [])]) this.#call(fn, value, name);
  }

  #call(fn, value, name) {
    try {
      fn(value);
    } catch (cause) {
      const heard = name !== "error" && this.#listeners.has("error");
      const error = new DunlinError("listener", `a listener threw: ${cause?.message}`, { cause });
      if (heard) this.#emit("error", error);
      // Nobody listens for errors: the runtime shall report it, and the other listeners still run.
      else queueMicrotask(() => { throw cause; });
    }
  }
}

const EVENTS = new Set(["state", "drop", "reconnect", "kick", "error"]);

function socketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  absolute.hash = "";
  return absolute.href;
}

function withDefaults(defaults, options) {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

// Timers fire at once when their delay does not fit 31 bits, and such a delay means never.
function after(delay, fn) {
  return delay <= TIMER_MAX ? setTimeout(fn, delay) : 0;
}

function aborted(signal) {
  return new DunlinError("aborted", "the request was aborted", { cause: signal.reason });
}

function socketLost(state, code, reason) {
  const why = `${code ?? "no code"}${reason ? `, ${reason}` : ""}`;
  const options = { details: { code, reason: String(reason ?? "") } };
  if (state !== "connected") return new DunlinError("unreachable", `no connection (${why})`, options);
  return new DunlinError("lost", `the connection was lost (${why})`, options);
}

function protocolError(message, cause) {
  return new DunlinError("protocol", message, { cause });
}

function errorFrom(body) {
  const { code = 500, message, msg, details, metadata } = body ?? {};
  const text = message ?? msg ?? `the server answered with error ${code}`;
  return new DunlinError(code, text, { details: details ?? metadata });
}

/** The wait of a client that was sent away: anywhere within what the server said, but for a minute at most. */
export function awayDelay(withinMs, random = Math.random) {
  return Math.min(withinMs, AWAY_MAX_MS) * random();
}

/** The wait before attempt `failures + 1`: anywhere from nothing to a bound that doubles each time. */
export function backoffDelay(failures, { minDelay, maxDelay }, random = Math.random) {
  return random() * Math.min(maxDelay, minDelay * 2 ** failures);
}

// ---- The codec: no sockets, no clock. ----

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const EMPTY = new Uint8Array(0);

function bytesOf(data) {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(data);
}

function toBytes(body = {}) {
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return bytesOf(body);
  const text = JSON.stringify(body);
  if (text === undefined) throw new DunlinError("invalid", `a ${typeof body} has no JSON form`);
  return encoder.encode(text);
}

function toJson(bytes) {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw protocolError(`a body is not JSON: ${cause.message}`, cause);
  }
}

/** One packet: a type, the body's length in three bytes (big-endian), the body. */
export function encodePacket(type, body = EMPTY) {
  const { length } = body;
  if (length > BODY_LENGTH_MAX) throw new DunlinError("too_long", `a body of ${length} bytes`);
  const packet = new Uint8Array(4 + length);
  packet.set([type, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  packet.set(body, 4);
  return packet;
}

/** Reads a stream of packets. However the stream is cut, the same bytes give the same packets. */
export class PacketReader {
  #limit;
  #parts = [];
  #held = 0;
  #wanted = 4;

  constructor(limit = BODY_LENGTH_MAX) {
    this.#limit = limit;
  }

  /** Takes the next bytes and returns the packets they complete; throws a `DunlinError`. */
  read(bytes) {
    this.#parts.push(bytes);
    this.#held += bytes.length;
    const packets = [];
    // Parts are joined only when they complete something, so each byte is copied twice at most.
    while (this.#held >= this.#wanted) {
      const all = this.#joined();
      const length = 4 + this.#bodyLength(all);
      this.#wanted = length;
      if (all.length < length) break;
      packets.push({ type: all[0], body: all.subarray(4, length) });
      this.#held = all.length - length;
      this.#parts = this.#held > 0 ? [all.subarray(length)] : [];
      this.#wanted = 4;
    }
    return packets;
  }

  #joined() {
    if (this.#parts.length === 1) return this.#parts[0];
    const all = new Uint8Array(this.#held);
    let offset = 0;
    for (const part of this.#parts) {
      all.set(part, offset);
      offset += part.length;
    }
    this.#parts = [all];
    return all;
  }

  #bodyLength([type, high, middle, low]) {
    if (type < PACKET.handshake || type > PACKET.kick) throw protocolError(`packet type ${type}`);
    const length = (high << 16) | (middle << 8) | low;
    if (length <= this.#limit) return length;
    throw protocolError(`a packet body of ${length} bytes is over the limit of ${this.#limit}`);
  }
}

/** The route dictionary of a handshake: routes the wire may write as two bytes. */
export class Dictionary {
  codes = new Map();
  routes = new Map();

  constructor(entries = {}) {
    for (const [route, code] of Object.entries(entries ?? {})) {
      if (!Number.isInteger(code) || code < 0 || code > 0xffff) continue;
      this.codes.set(route, code);
      this.routes.set(code, route);
    }
  }
}

/** The body of a data packet: flags, the id as a varint, the route as text or as a code, the body. */
export function encodeMessage({ type, id, route = "", body = EMPTY }, dictionary) {
  const head = [type << 1];
  if (type === MESSAGE.request || type === MESSAGE.response) {
    // Division instead of shifts: an id may be wider than the 32 bits that shifts keep.
    for (; id >= 0x80; id = Math.floor(id / 0x80)) head.push((id % 0x80) | 0x80);
    head.push(id);
  }
  let name = EMPTY;
  const code = dictionary?.codes.get(route);
  if (type === MESSAGE.response) {
    // An answer carries no route, its id says enough.
  } else if (code !== undefined) {
    head[0] |= FLAG.code;
    head.push(code >> 8, code & 0xff);
  } else {
    name = encoder.encode(route);
    if (name.length > 255) throw new DunlinError("too_long", `a route of ${name.length} bytes`);
    head.push(name.length);
  }
  const message = new Uint8Array(head.length + name.length + body.length);
  message.set(head);
  message.set(name, head.length);
  message.set(body, head.length + name.length);
  return message;
}

/** The inverse of `encodeMessage`; throws a `DunlinError` with the code "protocol". */
export function decodeMessage(bytes, dictionary) {
  const flags = bytes[0];
  const type = (flags >> 1) & 0x07;
  if (bytes.length < 2 || type > MESSAGE.push) throw protocolError("a malformed message");
  let offset = 1;
  let id = null;
  if (type === MESSAGE.request || type === MESSAGE.response) [id, offset] = readVarint(bytes, offset);
  let route = null;
  if (type !== MESSAGE.response) [route, offset] = readRoute(bytes, offset, flags, dictionary);
  return { type, id, route, flags, body: bytes.subarray(offset) };
}

function readVarint(bytes, start) {
  let value = 0;
  const end = Math.min(bytes.length, start + VARINT_LENGTH_MAX);
  for (let offset = start, scale = 1; offset < end; offset += 1, scale *= 0x80) {
    value += (bytes[offset] & 0x7f) * scale;
    if (value > Number.MAX_SAFE_INTEGER) break;
    if (bytes[offset] < 0x80) return [value, offset + 1];
  }
  throw protocolError("a message id that does not end or is over 2^53");
}

function readRoute(bytes, start, flags, dictionary) {
  const length = flags & FLAG.code ? 2 : 1 + bytes[start];
  const end = start + length;
  // The comparison is also false for the NaN of a missing length byte.
  if (!(end <= bytes.length)) throw protocolError("a route that goes past its message");
  if (!(flags & FLAG.code)) return [decodeRoute(bytes.subarray(start + 1, end)), end];
  const code = (bytes[start] << 8) | bytes[start + 1];
  const route = dictionary?.routes.get(code);
  if (route === undefined) throw protocolError(`route code ${code} is not in the dictionary`);
  return [route, end];
}

function decodeRoute(bytes) {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw protocolError("a route that is not UTF-8", cause);
  }
}
