// Wire tap: notes every packet that a client's own WebSocket sends and receives, so that claims are judged by bytes.

/** Packet types, the first byte of each packet. */
export const PACKET = { handshake: 1, ack: 2, heartbeat: 3, data: 4, kick: 5 };

const REQUEST = 0;
const PUSH = 3;
const COMPRESSED = 0x01;

/** Copies whatever a WebSocket library calls a binary message into a Buffer of its own. */
function bytesOf(data) {
  if (data instanceof ArrayBuffer) return Buffer.from(data.slice(0));
  if (ArrayBuffer.isView(data)) return Buffer.from(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return Buffer.from(data);
}

/** Splits one WebSocket message into packets; a broken tail becomes a packet of type 0, which no claim accepts. */
function packetsOf(bytes) {
  const packets = [];
  let offset = 0;
  while (offset < bytes.length) {
    const length = offset + 4 <= bytes.length ? bytes.readUIntBE(offset + 1, 3) : Infinity;
    if (offset + 4 + length > bytes.length) return [...packets, { type: 0, body: bytes.subarray(offset) }];
    packets.push({ type: bytes[offset], body: bytes.subarray(offset + 4, offset + 4 + length) });
    offset += 4 + length;
  }
  return packets;
}

/** What one connection said, in order of arrival. */
export class Tap {
  sent = [];
  received = [];
  /** The largest number of packets that came in one WebSocket message. */
  packetsPerMessage = 0;
  closeCode = null;

  /** Listens to `socket` (any version of the npm package ws) until it closes. */
  constructor(socket) {
    const send = socket.send;
    socket.send = (data, ...rest) => {
      this.sent.push(...packetsOf(bytesOf(data)));
      return send.call(socket, data, ...rest);
    };
    socket.on('message', (data) => {
      const packets = packetsOf(bytesOf(data));
      this.packetsPerMessage = Math.max(this.packetsPerMessage, packets.length);
      this.received.push(...packets);
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => {
        this.closeCode = code;
        resolve(code);
      });
    });
  }

  /** How many packets of `type` went in the direction `sent` or `received`. */
  count(direction, type) {
    return this[direction].filter((packet) => packet.type === type).length;
  }

  /** The text of the handshake response. */
  handshakeText() {
    return this.received.find((packet) => packet.type === PACKET.handshake)?.body.toString('utf8') ?? '';
  }

  /** The text of the kick packet, or null when none came. */
  kickText() {
    return this.received.find((packet) => packet.type === PACKET.kick)?.body.toString('utf8') ?? null;
  }

  /** Whether the last request sent carries a dictionary code instead of its route. */
  lastRequestIsCompressed() {
    return lastFlag(this.sent, REQUEST, COMPRESSED);
  }

  /** Whether the last push received carries a dictionary code instead of its route. */
  lastPushIsCompressed() {
    return lastFlag(this.received, PUSH, COMPRESSED);
  }
}

function lastFlag(packets, messageType, bit) {
  const ofType = packets.filter((packet) => packet.type === PACKET.data && ((packet.body[0] >> 1) & 7) === messageType);
  if (ofType.length === 0) throw new Error(`no message of type ${messageType} was seen`);
  return (ofType.at(-1).body[0] & bit) !== 0;
}
