// client.test.js: handshake, requests, notifies and pushes over a socket without a network.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Dictionary, DunlinError, VERSION, connect, encodeMessage, encodePacket } from "../dunlin.js";
import { fakeWebSocket, parse } from "../testing/fake-socket.js";

let WebSocket;
beforeEach(() => {
  WebSocket = fakeWebSocket();
});
// Losing its socket ends a client without the reconnect option, and no timer outlives its test.
afterEach(() => {
  for (const socket of WebSocket.sockets) socket.lose();
});

async function connected(options = {}, sys = undefined) {
  const client = connect("ws://gate.test/", { WebSocket, ...options });
  await null;
  WebSocket.last.welcome(sys);
  await client.ready();
  WebSocket.last.take();
  return { client, socket: WebSocket.last };
}

describe("the handshake", () => {
  test("announces the client and is acknowledged before anything else is sent", async () => {
    const client = connect("ws://gate.test/", { WebSocket, user: { token: "t" } });
    const socket = WebSocket.last;
    assert.equal(client.state, "connecting");
    socket.welcome({ heartbeat: 30 }, { uid: 7 });
    assert.equal(client.state, "connected");
    assert.deepEqual(client.handshake.user, { uid: 7 });
    const [hello, ack, beat] = socket.take();
    assert.equal(hello.type, 1);
    assert.deepEqual(parse(hello.body), {
      sys: { type: "dunlin-js", version: VERSION, caps: ["away/1", "err/1", "utf8/1"] },
      user: { token: "t" },
    });
    assert.deepEqual([ack.type, ack.body.length, beat.type], [2, 0, 3]);
    assert.equal(await client.ready(), client);
  });

  test("asks an async user function before the socket is opened", async () => {
    let release;
    const token = new Promise((resolve) => (release = resolve));
    const client = connect("ws://gate.test/", { WebSocket, user: async () => ({ t: await token }) });
    assert.equal(WebSocket.sockets.length, 0);
    release("late");
    while (WebSocket.sockets.length === 0) await null;
    WebSocket.last.onopen({});
    assert.deepEqual(parse(WebSocket.last.take()[0].body).user, { t: "late" });
  });

  test("that is refused closes the client for good with the whole answer", async () => {
    const client = connect("ws://gate.test/", { WebSocket, reconnect: true });
    const ready = client.ready();
    WebSocket.last.onopen({});
    WebSocket.last.packet(1, { code: 500, message: "maintenance" });
    await assert.rejects(ready, (error) => {
      assert.ok(error instanceof DunlinError);
      assert.deepEqual([error.code, error.message], ["refused", "maintenance"]);
      assert.deepEqual(error.details, { code: 500, message: "maintenance" });
      return true;
    });
    assert.equal(client.state, "closed");
    assert.equal(WebSocket.sockets.length, 1);
  });

  test("sent a second time by the server ends the connection", async () => {
    const { client, socket } = await connected();
    socket.packet(1, { code: 200, sys: {} });
    assert.deepEqual([client.state, client.reason.code], ["closed", "protocol"]);
    assert.deepEqual(socket.closed, { code: 4000, reason: "protocol" });
  });

  test("whose user data is no JSON ends in an error, not in a throw", () => {
    const loop = {};
    loop.self = loop;
    const client = connect("ws://gate.test/", { WebSocket, user: loop });
    WebSocket.last.onopen({});
    assert.equal(client.reason.code, "invalid");
  });

  test("whose user function fails closes the client with its error as cause", async () => {
    const cause = new Error("no token");
    const client = connect("ws://gate.test/", {
      WebSocket,
      user() {
        throw cause;
      },
    });
    assert.equal(client.reason.cause, cause);
    assert.equal(WebSocket.sockets.length, 0);
  });
});

describe("the address", () => {
  test("may be http and loses its fragment", () => {
    connect("https://gate.test/play?x=1#top", { WebSocket }).close();
    assert.equal(WebSocket.last.url, "wss://gate.test/play?x=1");
  });

  test("is needed in full where no page gives the rest, and so is a WebSocket class", () => {
    assert.throws(() => connect("/play", { WebSocket }), TypeError);
    if (globalThis.WebSocket) return;
    assert.throws(() => connect("ws://gate.test/"), TypeError);
  });
});

describe("a request", () => {
  test("resolves with the body of the answer that has its id", async () => {
    const { client, socket } = await connected();
    const first = client.request("Room.join", { name: "ann" });
    const second = client.request("Room.echo", ["a", 1]);
    const [one, two] = socket.takeMessages();
    assert.deepEqual([one.type, one.route, one.json], [0, "Room.join", { name: "ann" }]);
    assert.deepEqual([two.route, two.json], ["Room.echo", ["a", 1]]);
    socket.answer(two.id, { n: 2 });
    socket.answer(one.id, { n: 1 });
    assert.deepEqual(await Promise.all([first, second]), [{ n: 1 }, { n: 2 }]);
  });

  test("carries text beyond the basic plane unharmed both ways", async () => {
    const { client, socket } = await connected();
    const answer = client.request("Room.echo", { text: "Grüße 😀" });
    const [{ id, body, json }] = socket.takeMessages();
    assert.equal(json.text, "Grüße 😀");
    socket.answer(id, body);
    assert.deepEqual(await answer, { text: "Grüße 😀" });
  });

  test("sends bytes as they are and gives bytes back when asked to", async () => {
    const { client, socket } = await connected();
    const answer = client.request("Raw.echo", Uint8Array.of(0, 255, 1), { binary: true });
    const [{ id, body }] = socket.take().map(({ body }) => ({ id: body[1], body }));
    assert.deepEqual([...body.subarray(-3)], [0, 255, 1]);
    socket.answer(id, Uint8Array.of(9, 8));
    assert.deepEqual([...(await answer)], [9, 8]);
  });

  test("rejects with the server's code, message and details when the error flag is set", async () => {
    const { client, socket } = await connected();
    const answer = client.request("Chat.join", {});
    const body = { code: 409, message: "name taken", details: { name: "ann" } };
    socket.answer(socket.takeMessages()[0].id, body, 0x20);
    await assert.rejects(answer, { name: "DunlinError", ...body });
  });

  test("understands an error in pitaya's form", async () => {
    const { client, socket } = await connected();
    const answer = client.request("Chat.join", {});
    const body = { code: "PIT-404", msg: "nf", metadata: { a: "b" } };
    socket.answer(socket.takeMessages()[0].id, body, 0x20);
    await assert.rejects(answer, { code: "PIT-404", message: "nf", details: { a: "b" } });
  });

  test("rejects when its answer is not JSON, and the connection stays", async () => {
    const { client, socket } = await connected();
    const answer = client.request("Chat.join", {});
    socket.answer(socket.takeMessages()[0].id, Uint8Array.of(0x7b));
    await assert.rejects(answer, { code: "protocol" });
    assert.equal(client.state, "connected");
  });

  test("rejects at its timeout, and the answer that comes later is ignored", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { client, socket } = await connected();
    const answer = client.request("Slow.one", {}, { timeout: 50 });
    const rejected = assert.rejects(answer, { code: "timeout" });
    t.mock.timers.tick(50);
    await rejected;
    socket.answer(socket.takeMessages()[0].id, {});
    assert.equal(client.state, "connected");
  });

  test("rejects when its signal is aborted, before or while it waits", async () => {
    const { client, socket } = await connected();
    const controller = new AbortController();
    const answer = client.request("Slow.one", {}, { signal: controller.signal });
    controller.abort("enough");
    await assert.rejects(answer, { code: "aborted", cause: "enough" });
    assert.equal(socket.takeMessages().length, 1);
    const late = client.request("Slow.one", {}, { signal: controller.signal });
    await assert.rejects(late, { code: "aborted" });
    assert.equal(socket.sent.length, 0);
  });

  test("over the bound is refused at once, and answers make room again", async () => {
    const { client, socket } = await connected({ maxInFlight: 2 });
    const answers = [client.request("A.b"), client.request("A.b")];
    await assert.rejects(client.request("A.b"), { code: "overflow" });
    for (const { id } of socket.takeMessages()) socket.answer(id, {});
    await Promise.all(answers);
    const next = client.request("A.b");
    socket.answer(socket.takeMessages()[0].id, null);
    assert.equal(await next, null);
  });

  test("that is too long or has no JSON form is refused and nothing is sent", async () => {
    const { client, socket } = await connected({ sendLimit: 100 });
    await assert.rejects(client.request("A.b", "x".repeat(100)), { code: "too_long" });
    await assert.rejects(client.request("A".repeat(256)), { code: "too_long" });
    await assert.rejects(client.request("A.b", () => {}), { code: "invalid" });
    assert.equal(socket.sent.length, 0);
  });

  test("is refused with a typed error while there is no connection", async () => {
    const client = connect("ws://gate.test/", { WebSocket });
    await assert.rejects(client.request("A.b"), { code: "not_connected" });
    client.close();
    await assert.rejects(client.request("A.b"), { code: "not_connected" });
  });
});

describe("a notify", () => {
  test("is sent without an id and says whether it was sent", async () => {
    const { client, socket } = await connected();
    assert.equal(client.notify("Chat.say", { text: "hi" }), true);
    const [{ type, id, route, json }] = socket.takeMessages();
    assert.deepEqual({ type, id, route, json }, { type: 1, id: null, route: "Chat.say", json: { text: "hi" } });
    socket.bufferedAmount = 2 ** 20 + 1;
    assert.equal(client.notify("Chat.say", { text: "hi" }), false);
    client.close();
    assert.equal(client.notify("Chat.say", { text: "hi" }), false);
    assert.equal(socket.sent.length, 0);
  });
});

describe("pushes", () => {
  test("reach the listeners of their route, in order, until a listener goes", async () => {
    const { client, socket } = await connected();
    const seen = [];
    const off = client.on("onLine", (line) => seen.push(line.n));
    client.on("onOther", () => seen.push("other"));
    const first = encodeMessage({ type: 3, route: "onLine", body: Buffer.from('{"n":1}') });
    const second = encodeMessage({ type: 3, route: "onLine", body: Buffer.from('{"n":2}') });
    const stream = Buffer.concat([encodePacket(4, first), encodePacket(4, second)]);
    socket.deliver(stream.subarray(0, 5));
    socket.deliver(stream.subarray(5));
    off();
    off();
    socket.push("onLine", { n: 3 });
    assert.deepEqual(seen, [1, 2]);
  });

  test("can be had as bytes beside a listener that has them as JSON", async () => {
    const { client, socket } = await connected();
    const seen = [];
    client.on("onPos", (body) => seen.push([...body]), { binary: true });
    socket.push("onPos", Uint8Array.of(1, 2));
    client.on("onPos", (body) => seen.push(body));
    socket.push("onPos", [3]);
    assert.deepEqual(seen, [[1, 2], [91, 51, 93], [3]]);
  });

  test("that cannot be read are an error event, and the connection stays", async () => {
    const { client, socket } = await connected();
    const errors = [];
    client.on("error", ({ code }) => errors.push(code));
    client.on("onLine", () => errors.push("called"));
    socket.push("onLine", Uint8Array.of(0x22, 0xff, 0x22));
    assert.deepEqual(errors, ["protocol"]);
    assert.equal(client.state, "connected");
  });

  test("go on to the other listeners when one throws", async () => {
    const { client, socket } = await connected();
    const seen = [];
    client.on("error", (error) => seen.push(error.code, error.cause.message));
    client.on("onLine", () => {
      throw new Error("mine");
    });
    client.on("onLine", () => seen.push("second"));
    socket.push("onLine", {});
    assert.deepEqual(seen, ["listener", "mine", "second"]);
  });

  test("named like an event do not reach the listeners of that event", async () => {
    const { client, socket } = await connected();
    let drops = 0;
    client.on("drop", () => (drops += 1));
    socket.push("drop", {});
    assert.equal(drops, 0);
  });
});

describe("the route dictionary", () => {
  const dict = { "Room.Echo": 1, onPush: 7 };
  const dictionary = new Dictionary(dict);

  test("shortens routes both ways", async () => {
    const { client, socket } = await connected({}, { heartbeat: 30, dict });
    let pushed = null;
    client.on("onPush", (body) => (pushed = body));
    client.notify("Room.Echo", {});
    client.notify("Room.Other", {});
    const [short, long] = socket.take();
    assert.deepEqual([...short.body], [0x03, 0, 1, 0x7b, 0x7d]);
    assert.equal(long.body[0], 0x02);
    socket.message({ type: 3, route: "onPush", body: { x: 1 } }, dictionary);
    assert.deepEqual(pushed, { x: 1 });
  });

  test("with a code it does not have ends the connection", async () => {
    const { client, socket } = await connected({}, { heartbeat: 30, dict: {} });
    socket.message({ type: 3, route: "onPush", body: {} }, dictionary);
    assert.deepEqual([client.state, client.reason.code], ["closed", "protocol"]);
  });
});

describe("a server that breaks the protocol is left", () => {
  const cases = {
    "by a packet of an unknown type": (socket) => socket.deliver(Uint8Array.of(9, 0, 0, 0)),
    "by a text message": (socket) => socket.onmessage({ data: "hello" }),
    "by a request": (socket) => socket.message({ type: 0, id: 1, route: "a.b" }),
    "by a compressed body": (socket) => socket.answer(1, {}, 0x10),
    "by a body over the limit": (socket) => socket.deliver(Uint8Array.of(4, 0, 1, 1)),
  };
  for (const [name, misbehave] of Object.entries(cases)) {
    test(name, async () => {
      const { client, socket } = await connected({ receiveLimit: 256 });
      misbehave(socket);
      assert.deepEqual([client.state, client.reason.code], ["closed", "protocol"]);
      assert.equal(socket.closed.code, 4000);
    });
  }
});
