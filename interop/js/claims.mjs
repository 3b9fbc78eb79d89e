// The claims every JavaScript client is held to; one JSON line for each on standard output, everything else on standard error.
//
// A client module hands in `name`, `sendsCodes` (it compresses its own routes), `reconnects` (it can come back by itself)
// and `open(target, {reconnect})`, which gives a working connection: {request, notify, on, disconnect, tap, kicked}, and
// `reconnected` when that was asked for. Read next: tap.mjs.

import { isDeepStrictEqual, parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';

import { PACKET } from './tap.mjs';

const STEP_MS = 3_000;
const RUN_MS = 25_000;
/** The server under test beats once a second. */
const INTERVAL_MS = 1_000;
const DICTIONARY = { 'Room.Echo': 1, 'Room.Message': 2, onMessage: 7 };
const TEXT = '渡り鳥 浜鷸 나그네 naïve \u{1F426}\u{1F600}';

/** The claims by name, in the order they run; each returns a detail for the reader or throws. */
const CLAIMS = {
  handshake, request, notify, push, text, error, dictionary, heartbeat, disconnect, kick, reconnect,
};

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

function assertSame(actual, expected, what) {
  // The order of members is nobody's promise.
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

/** Waits for `promise`, but no longer than a step may take. */
async function within(promise, what, ms = STEP_MS) {
  const timer = new AbortController();
  try {
    return await Promise.race([
      promise,
      delay(ms, null, { signal: timer.signal }).then(() => {
        throw new Error(`${what}: nothing within ${ms} ms`);
      }),
    ]);
  } finally {
    timer.abort();
  }
}

/** The next push on `onMessage` whose text is `text`; others in the room are somebody else's business. */
function nextMessage(connection, text) {
  return new Promise((resolve) => {
    connection.on('onMessage', (body) => body?.text === text && resolve(body));
  });
}

async function joined(run, name, options = {}) {
  const connection = await within(run.client.open(run.target, options), 'handshake');
  run.open.push(connection);
  const reply = await within(connection.request('Room.Join', { name }), 'Room.Join');
  assert(Number.isInteger(reply.members) && reply.members > 0, `Room.Join answered ${JSON.stringify(reply)}`);
  return connection;
}

async function handshake(run) {
  run.first = await joined(run, 'first');
  const text = run.first.tap.handshakeText();
  assertSame(JSON.parse(text).code, 200, 'handshake code');
  assert(/"heartbeat":1[,}]/.test(text), `heartbeat is not the integer 1 in ${text}`);
  return text;
}

async function request(run) {
  const bodies = [{ n: 1 }, { list: [1, 'two', null], deep: { ok: true } }, { big: 'x'.repeat(20_000) }];
  for (const body of bodies) {
    assertSame(await within(run.first.request('Room.Echo', body), 'Room.Echo'), body, 'echo');
  }
  // Over 127 ids, so that the id takes two bytes (or wraps, in clients that do).
  const many = Array.from({ length: 100 }, (_, n) => n);
  for (const half of [many, many]) {
    const replies = await within(Promise.all(half.map((n) => run.first.request('Room.Echo', { n }))), '100 requests');
    assertSame(replies.map((reply) => reply.n), half, 'replies in flight');
  }
  return '203 replies';
}

async function notify(run) {
  const text = `${run.tag} notify`;
  const echo = nextMessage(run.first, text);
  run.first.notify('Room.Message', { text });
  assertSame(await within(echo, 'own message'), { text }, 'message');
  return 'came back as a push';
}

async function push(run) {
  run.second = await joined(run, 'second');
  const texts = Array.from({ length: 20 }, (_, n) => `${run.tag} push ${n}`);
  const seen = [];
  run.second.on('onMessage', (body) => texts.includes(body?.text) && seen.push(body.text));
  const last = nextMessage(run.second, texts.at(-1));
  for (const text of texts) run.first.notify('Room.Message', { text });
  await within(last, 'last of 20 pushes');
  assertSame(seen, texts, 'pushes');
  // These clients need every packet in a WebSocket message of its own.
  assertSame(run.second.tap.packetsPerMessage, 1, 'packets in one WebSocket message');
  return '20 in order, one packet a message';
}

async function text(run) {
  const body = { text: `${run.tag} ${TEXT}`, [TEXT]: TEXT };
  assertSame(await within(run.first.request('Room.Echo', body), 'Room.Echo'), body, 'echo');
  const there = nextMessage(run.second, body.text);
  run.first.notify('Room.Message', { text: body.text });
  await within(there, 'text to another client');
  return TEXT;
}

async function error(run) {
  const reply = await within(run.first.request('Room.Fail', {}), 'Room.Fail');
  assertSame(reply.code, 418, 'error code');
  return JSON.stringify(reply);
}

async function dictionary(run) {
  const { tap } = run.first;
  const dict = JSON.parse(tap.handshakeText()).sys.dict;
  await within(run.first.request('Room.Echo', { n: 0 }), 'Room.Echo');
  const here = nextMessage(run.first, `${run.tag} dictionary`);
  run.first.notify('Room.Message', { text: `${run.tag} dictionary` });
  await within(here, 'push');
  const codes = [tap.lastRequestIsCompressed(), tap.lastPushIsCompressed()];
  if (run.target.dict) {
    for (const [route, code] of Object.entries(DICTIONARY)) assertSame(dict?.[route], code, `code of ${route}`);
    assertSame(codes, [run.client.sendsCodes, true], 'codes in [request, push]');
    return run.client.sendsCodes ? 'codes both ways' : 'codes from the server';
  }
  assert(Object.keys(dict ?? {}).length === 0, `a dictionary came: ${JSON.stringify(dict)}`);
  assertSame(codes, [false, false], 'codes in [request, push]');
  return 'plain routes both ways';
}

async function heartbeat(run) {
  const { tap } = run.first;
  const before = [tap.count('received', PACKET.heartbeat), tap.count('sent', PACKET.heartbeat)];
  // Silence apart from heartbeats: only they can keep the connection.
  await delay(3.6 * INTERVAL_MS);
  const came = tap.count('received', PACKET.heartbeat) - before[0];
  const went = tap.count('sent', PACKET.heartbeat) - before[1];
  assert(came >= 3, `${came} heartbeats came in 3.6 intervals`);
  assert(went >= 1, 'the client sent no heartbeat');
  assertSame(await within(run.first.request('Room.Echo', { alive: 1 }), 'Room.Echo'), { alive: 1 }, 'echo');
  return `${came} in, ${went} out in 3.6 intervals, alive`;
}

async function disconnect(run) {
  run.second.disconnect();
  const code = await within(run.second.tap.closed, 'end of connection');
  assert(code !== 1006, 'the close was not answered');
  return `close code ${code}`;
}

async function kick(run) {
  const connection = await joined(run, 'kicked');
  connection.notify('Room.KickMe', {});
  await within(connection.kicked, 'kick event of the client');
  const code = await within(connection.tap.closed, 'end of connection after a kick');
  assertSame(JSON.parse(connection.tap.kickText()), { reason: 'asked' }, 'kick');
  assertSame(await within(run.first.request('Room.Echo', { n: 2 }), 'Room.Echo'), { n: 2 }, 'neighbour after a kick');
  return `reason "asked", close code ${code}`;
}

async function reconnect(run) {
  const again = await joined(run, 'again', { reconnect: run.client.reconnects });
  assertSame(await within(again.request('Room.Echo', { n: 3 }), 'Room.Echo'), { n: 3 }, 'echo');
  if (!run.client.reconnects) return 'a fresh connection works';
  // The server ends the connection, and the client comes back by itself, five seconds later.
  again.notify('Room.KickMe', {});
  await within(again.reconnected, 'reconnection by the client itself', 8_000);
  assertSame(await within(again.request('Room.Echo', { n: 4 }), 'Room.Echo'), { n: 4 }, 'echo');
  return 'fresh, and by its own reconnect option';
}

function options() {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string' },
      dict: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  assert(Number.isInteger(port) && port > 0 && port < 65_536, '--port must be a port number');
  return { host: values.host, port, dict: values.dict };
}

/** Runs every claim against the server named on the command line, then ends the process. */
export async function main(client) {
  // Clients log to the console as they like; standard output belongs to the claims.
  for (const level of ['log', 'info', 'debug', 'warn']) console[level] = () => {};
  console.error = () => {};
  const faults = [];
  process.on('uncaughtException', (fault) => faults.push(fault));
  process.on('unhandledRejection', (fault) => faults.push(fault));

  const run = { client, target: options(), open: [], tag: `${client.name}-${process.pid}` };
  const deadline = Date.now() + RUN_MS;
  let failures = 0;
  for (const [claim, hold] of Object.entries(CLAIMS)) {
    let ok = false;
    let detail;
    try {
      detail = await within(hold(run), claim, Math.max(1, deadline - Date.now()));
      assert(faults.length === 0, 'the client threw');
      ok = true;
    } catch (failure) {
      detail = [failure, ...faults.splice(0)].map((fault) => fault?.message ?? String(fault)).join('; ');
      failures += 1;
    }
    process.stdout.write(`${JSON.stringify({ client: client.name, claim, ok, detail })}\n`);
  }
  for (const connection of run.open) connection.disconnect();
  process.exit(failures === 0 ? 0 : 1);
}
