// fake-socket.js: a WebSocket class without a network, and the server's half of the protocol by hand.
import { PacketReader, decodeMessage, encodeMessage, encodePacket } from "../dunlin.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Makes a WebSocket class whose sockets are kept in `sockets` and do only what a test tells them. */
export function fakeWebSocket() {
  return class FakeWebSocket {
    static sockets = [];
    /** The socket opened last. */
    static get last() {
      return this.sockets.at(-1);
    }

    binaryType = "blob";
    bufferedAmount = 0;
    onopen = null;
    onmessage = null;
    onerror = null;
    onclose = null;
    /** Every message sent, as bytes. */
    sent = [];
    /** The arguments of `close`, once it was called. */
    closed = null;

    constructor(url) {
      this.url = url;
      this.constructor.sockets.push(this);
    }

    send(bytes) {
      this.sent.push(bytes);
    }

    close(code, reason) {
      this.closed ??= { code, reason };
    }

    /** Takes what was sent so far: each message must be one packet. */
    take() {
      return this.sent.splice(0).map((bytes) => {
        const packets = new PacketReader().read(bytes);
        if (packets.length !== 1) throw new Error(`${packets.length} packets in one message`);
        return packets[0];
      });
    }

    /** Takes the data packets sent so far as decoded messages, their bodies as JSON. */
    takeMessages(dictionary) {
      return this.take()
        .filter(({ type }) => type === 4)
        .map(({ body }) => decodeMessage(body, dictionary))
        .map((message) => ({ ...message, json: parse(message.body) }));
    }

    /** Opens the socket and answers the handshake. */
    welcome(sys = { heartbeat: 30 }, user = undefined) {
      this.onopen?.({});
      this.packet(1, { code: 200, sys, user });
    }

    /** Delivers bytes as one message of the socket. */
    deliver(bytes) {
      this.onmessage?.({ data: Uint8Array.from(bytes).buffer });
    }

    packet(type, body) {
      this.deliver(encodePacket(type, toBytes(body)));
    }

    message(message, dictionary) {
      const body = encodeMessage({ ...message, body: toBytes(message.body) }, dictionary);
      body[0] |= message.flags ?? 0;
      this.packet(4, body);
    }

    push(route, body) {
      this.message({ type: 3, route, body });
    }

    answer(id, body, flags = 0) {
      this.message({ type: 2, id, body, flags });
    }

    heartbeat() {
      this.packet(3);
    }

    /** The connection goes away. */
    lose(code = 1006) {
      this.onclose?.({ code, reason: "", wasClean: false });
    }
  };
}

export function parse(bytes) {
  return bytes.length > 0 ? JSON.parse(decoder.decode(bytes)) : undefined;
}

function toBytes(body) {
  if (body === undefined) return new Uint8Array(0);
  return body instanceof Uint8Array ? body : encoder.encode(JSON.stringify(body));
}
