// lifecycle.test.js: heartbeats, drops, reconnects, kicks and closing, in mocked time.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { connect } from "../dunlin.js";
import { fakeWebSocket } from "../testing/fake-socket.js";

let WebSocket;
let time;
const now = () => Date.now();

beforeEach((t) => {
  WebSocket = fakeWebSocket();
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  t.mock.method(Math, "random", () => 1);
  time = t.mock.timers;
});

function open(options = {}) {
  const client = connect("ws://gate.test/", { WebSocket, now, ...options });
  const events = [];
  for (const name of ["state", "drop", "reconnect", "kick", "error"]) {
    client.on(name, (value) => events.push([name, value.state ?? value.code ?? value.reason ?? ""]));
  }
  return { client, events };
}

function connected(options, sys) {
  const opened = open(options);
  WebSocket.last.welcome(sys);
  WebSocket.last.take();
  return { ...opened, socket: WebSocket.last };
}

const heartbeats = (socket) => socket.take().filter(({ type }) => type === 3).length;

describe("heartbeats", () => {
  test("leave once an interval, and their answer gives the round trip", () => {
    const { client, socket } = connected({}, { heartbeat: 30 });
    assert.equal(client.rtt, null);
    time.tick(25);
    socket.heartbeat();
    assert.equal(client.rtt, 25);
    time.tick(29_975);
    assert.equal(heartbeats(socket), 1);
    time.tick(7);
    socket.heartbeat();
    assert.equal(client.rtt, 7);
    client.close();
  });

  test("of a server silent for two intervals end the connection exactly then", () => {
    const { client, socket } = connected({}, { heartbeat: 30 });
    time.tick(10_000);
    socket.push("onAnything", {});
    time.tick(59_999);
    assert.equal(client.state, "connected");
    time.tick(1);
    assert.deepEqual([client.state, client.reason.code], ["closed", "silent"]);
    assert.deepEqual(socket.closed, { code: 4000, reason: "silent" });
  });

  test("of the server are answered when our own timers did not run, and never twice", () => {
    let clock = 0;
    const { client, socket } = connected({ now: () => clock }, { heartbeat: 30 });
    socket.heartbeat();
    clock = 40_000;
    socket.heartbeat();
    assert.equal(heartbeats(socket), 1);
    socket.heartbeat();
    socket.heartbeat();
    assert.equal(heartbeats(socket), 0);
    client.close();
  });

  test("are not sent on their own when the server names no interval", () => {
    const { client, socket } = connected({}, {});
    time.tick(10_000_000);
    assert.equal(socket.sent.length, 0);
    assert.equal(client.state, "connected");
    client.close();
  });

  test("can be asked for, and one answer serves everybody who asked", async () => {
    const { client, socket } = connected({}, { heartbeat: 30 });
    socket.heartbeat();
    const asked = [client.ping(), client.ping()];
    assert.equal(heartbeats(socket), 1);
    time.tick(12);
    socket.heartbeat();
    assert.deepEqual(await Promise.all(asked), [12, 12]);
    const late = client.ping({ timeout: 100 });
    time.tick(100);
    await assert.rejects(late, { code: "timeout" });
    client.close();
  });
});

describe("without the reconnect option", () => {
  test("a lost connection is a drop and then the end", async () => {
    const { client, events, socket } = connected();
    const waiting = client.request("A.b");
    socket.lose(1006);
    await assert.rejects(waiting, (error) => {
      assert.deepEqual([error.code, error.details.reason], ["dropped", "lost"]);
      assert.equal(error.cause.details.code, 1006);
      return true;
    });
    assert.deepEqual(events, [["state", "connected"], ["state", "closed"], ["drop", "lost"]]);
    await assert.rejects(client.ready(), { code: "lost" });
    time.tick(1_000_000);
    assert.equal(WebSocket.sockets.length, 1);
  });

  test("a connection that cannot be opened is an error event and the end", async () => {
    const { client, events } = open();
    const ready = client.ready();
    WebSocket.last.lose(1006);
    await assert.rejects(ready, { code: "unreachable" });
    assert.deepEqual(events, [["state", "closed"], ["error", "unreachable"]]);
  });

  test("a handshake that does not come ends at its deadline", () => {
    const { client } = open({ connectTimeout: 3000 });
    WebSocket.last.onopen({});
    time.tick(3000);
    assert.deepEqual([client.state, client.reason.code], ["closed", "connect_timeout"]);
  });
});

describe("with the reconnect option", () => {
  test("a drop is followed by a new handshake, and only then by the reconnect event", async () => {
    const users = ["first", "second"];
    const { client, events } = open({ reconnect: true, user: () => users.shift() });
    await null;
    WebSocket.last.welcome();
    time.tick(5000);
    WebSocket.last.lose();
    assert.equal(client.state, "dropped");
    const ready = client.ready();
    time.tick(499);
    assert.equal(WebSocket.sockets.length, 1);
    time.tick(1);
    await null;
    assert.equal(client.state, "connecting");
    assert.equal(WebSocket.sockets.length, 2);
    WebSocket.last.welcome();
    await ready;
    assert.deepEqual(users, []);
    assert.deepEqual(events, [
      ["state", "connected"],
      ["state", "dropped"],
      ["drop", "lost"],
      ["state", "connecting"],
      ["state", "connected"],
      ["reconnect", ""],
    ]);
    client.close();
  });

  test("the waits grow, and a short connection does not reset them", () => {
    const { client } = open({ reconnect: { minDelay: 100, maxDelay: 1000, minUptime: 5000 } });
    const waits = [];
    client.on("state", ({ retryIn }) => retryIn !== null && waits.push(retryIn));
    const fail = () => {
      WebSocket.last.lose();
      time.tick(waits.at(-1));
    };
    fail();
    fail();
    WebSocket.last.welcome();
    time.tick(4999);
    fail();
    fail();
    fail();
    WebSocket.last.welcome();
    time.tick(5000);
    fail();
    assert.deepEqual(waits, [100, 200, 400, 800, 1000, 100]);
    client.close();
  });

  test("the attempts end where the option says", () => {
    const { client } = open({ reconnect: { attempts: 2 } });
    for (let failures = 0; failures < 3; failures += 1) {
      WebSocket.last.lose();
      time.tick(30_000);
    }
    assert.equal(WebSocket.sockets.length, 3);
    assert.deepEqual([client.state, client.reason.code], ["closed", "unreachable"]);
  });

  test("a kick is final, says its reason, and rejects what waits", async () => {
    const { client, events, socket } = connected({ reconnect: true });
    const waiting = client.request("A.b");
    let kick = null;
    client.on("kick", (value) => (kick = value));
    socket.packet(5, { reason: "banned", code: 403 });
    assert.deepEqual(kick, { reason: "banned", code: 403 });
    await assert.rejects(waiting, { code: "kicked" });
    assert.deepEqual(events.slice(1), [["state", "closed"], ["kick", 403]]);
    time.tick(1_000_000);
    assert.equal(WebSocket.sockets.length, 1);
  });

  test("who is sent away comes back within the time that the server said", () => {
    const { client, socket } = connected({ reconnect: { minDelay: 1, maxDelay: 1 } });
    let drop = null;
    client.on("drop", (value) => (drop = value));
    socket.packet(5, { reason: "the server is stopping", away_ms: 3000 });
    assert.deepEqual([client.state, drop.reason, drop.retryIn], ["dropped", "away", 3000]);
    time.tick(3000);
    assert.equal(WebSocket.sockets.length, 2);
    WebSocket.last.welcome();
    assert.equal(client.state, "connected");
    client.close();
  });

  test("who does not reconnect and is sent away is dropped for good", () => {
    const { client, socket } = connected();
    socket.packet(5, { reason: "the server is stopping", away_ms: 3000 });
    assert.deepEqual([client.state, client.reason.code], ["closed", "away"]);
  });

  test("a kick without a body is a kick", () => {
    const { client, socket } = connected({ reconnect: true });
    socket.packet(5);
    assert.deepEqual([client.state, client.reason.code], ["closed", "kicked"]);
  });

  test("an old socket that speaks again is not heard", () => {
    const { client, events, socket } = connected({ reconnect: true });
    const { onmessage, onclose } = socket;
    socket.lose();
    time.tick(500);
    WebSocket.last.welcome();
    const count = events.length;
    assert.deepEqual([socket.onmessage, socket.onclose], [null, null]);
    onmessage({ data: new Uint8Array([3, 0, 0, 0]) });
    assert.ok(onclose);
    assert.deepEqual([client.state, events.length], ["connected", count]);
    client.close();
  });
});

describe("close", () => {
  test("ends the connection cleanly, rejects what waits, and stays closed", async () => {
    const { client, events, socket } = connected({ reconnect: true });
    const waiting = [client.request("A.b"), client.ping()];
    client.close();
    client.close();
    for (const promise of waiting) await assert.rejects(promise, { code: "closed" });
    await assert.rejects(client.ready(), { code: "closed" });
    assert.deepEqual(socket.closed, { code: 1000, reason: undefined });
    assert.deepEqual(events, [["state", "connected"], ["state", "closed"]]);
    time.tick(1_000_000);
    assert.equal(WebSocket.sockets.length, 1);
  });

  test("while dropped calls the next attempt off", () => {
    const { client, socket } = connected({ reconnect: true });
    socket.lose();
    client.close();
    time.tick(1_000_000);
    assert.equal(WebSocket.sockets.length, 1);
    assert.equal(client.state, "closed");
  });

  test("while the user function runs keeps the socket from being opened", async () => {
    let release;
    const { client } = open({ user: () => new Promise((resolve) => (release = resolve)) });
    client.close();
    release({});
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(WebSocket.sockets.length, 0);
  });

  test("from inside a listener is the last word", () => {
    const { client, events, socket } = connected({ reconnect: true });
    client.on("state", ({ state }) => state === "dropped" && client.close());
    let pushes = 0;
    client.on("onLine", () => (pushes += 1));
    socket.lose();
    time.tick(1_000_000);
    assert.equal(WebSocket.sockets.length, 1);
    assert.equal(events.some(([name]) => name === "drop"), false);
    assert.equal(pushes, 0);
  });

  test("from inside a push leaves the packets behind it unread", () => {
    const { client, socket } = connected();
    let pushes = 0;
    client.on("a", () => {
      pushes += 1;
      client.close();
    });
    const push = [4, 0, 0, 5, 6, 1, 97, 123, 125];
    socket.deliver(Uint8Array.from([...push, ...push]));
    assert.equal(pushes, 1);
  });
});
