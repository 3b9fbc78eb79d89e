// wire.test.js: the codec of dunlin.js against golden bytes, cut streams and broken input.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  Dictionary,
  PacketReader,
  backoffDelay,
  decodeMessage,
  encodeMessage,
  encodePacket,
} from "../dunlin.js";

const golden = new URL("../../../interop/golden/client-vectors.json", import.meta.url);
const vectors = JSON.parse(readFileSync(golden, "utf8"));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const protocolError = { name: "DunlinError", code: "protocol" };
const dictionaryOf = ({ route, code }) => new Dictionary(code === null ? {} : { [route]: code });

describe("golden vectors", () => {
  for (const vector of vectors.messages) {
    const { name, type, id, route, extra_flags: extra, body_hex: body } = vector;
    if (id !== null && id > Number.MAX_SAFE_INTEGER) {
      test(`${name} is refused, for its id has no exact number`, () => {
        assert.throws(() => decodeMessage(bytes(vector.message)), protocolError);
      });
      continue;
    }
    test(`${name} decodes to its fields`, () => {
      const decoded = decodeMessage(bytes(vector.message), dictionaryOf(vector));
      const flags = (type << 1) | (vector.code === null ? 0 : 1) | extra;
      assert.deepEqual({ ...decoded, body: hex(decoded.body) }, { type, id, route, flags, body });
    });
    test(`${name} encodes to its bytes`, () => {
      const message = encodeMessage({ type, id, route, body: bytes(body) }, dictionaryOf(vector));
      message[0] |= extra;
      assert.equal(hex(message), vector.message);
      assert.equal(hex(encodePacket(4, message)), vector.packet);
    });
  }
  for (const { name, type, body, packet } of vectors.packets) {
    test(`packet ${name} goes both ways`, () => {
      assert.equal(hex(encodePacket(type, new TextEncoder().encode(body))), packet);
      const [read] = new PacketReader().read(bytes(packet));
      assert.equal(read.type, type);
      assert.equal(Buffer.from(read.body).toString(), body);
    });
  }
  for (const { header, body_length: length } of vectors.limits) {
    test(`a body of ${length} bytes has the header ${header}`, () => {
      assert.equal(hex(encodePacket(4, new Uint8Array(length)).subarray(0, 4)), header);
    });
  }
});

describe("the packet reader", () => {
  const stream = bytes(vectors.packets.map(({ packet }) => packet).join(""));
  const whole = new PacketReader().read(stream).map(({ type, body }) => [type, hex(body)]);

  test("gives the same packets however the stream is cut", () => {
    for (let size = 1; size <= stream.length; size += 1) {
      const reader = new PacketReader();
      const packets = [];
      for (let at = 0; at < stream.length; at += size) {
        packets.push(...reader.read(stream.subarray(at, at + size)));
      }
      assert.deepEqual(packets.map(({ type, body }) => [type, hex(body)]), whole);
    }
  });

  test("refuses a body over the limit as soon as its header is there", () => {
    assert.equal(new PacketReader(16).read(encodePacket(4, new Uint8Array(16))).length, 1);
    assert.throws(() => new PacketReader(16).read(bytes("04000011")), protocolError);
  });

  test("refuses types no packet has", () => {
    for (const header of ["00000000", "06000000", "ff000000"]) {
      assert.throws(() => new PacketReader().read(bytes(header)), protocolError);
    }
  });

  test("takes a large packet in small parts in linear time", () => {
    const packet = encodePacket(4, new Uint8Array(4 << 20).fill(7));
    const reader = new PacketReader();
    let packets = [];
    for (let at = 0; at < packet.length; at += 512) {
      packets = packets.concat(reader.read(packet.subarray(at, at + 512)));
    }
    assert.equal(packets.length, 1);
    assert.equal(packets[0].body.length, 4 << 20);
    assert.ok(packets[0].body.every((byte) => byte === 7));
  });
});

describe("a malformed message is refused", () => {
  const cases = {
    "without bytes": "",
    "of one byte": "04",
    "of a type above push": "0800",
    "with an id that does not end": "04ffff",
    "with an id of eleven bytes": "048080808080808080808000",
    "with an id of zeroes without end": `04${"80".repeat(40)}01`,
    "that ends before the route's length": "0001",
    "with a route past its end": "0205616263",
    "with half a route code": "0300",
    "with a route that is not UTF-8": "0202c328",
  };
  for (const [name, message] of Object.entries(cases)) {
    test(name, () => assert.throws(() => decodeMessage(bytes(message)), protocolError));
  }

  test("with a code the dictionary does not have", () => {
    const dictionary = new Dictionary({ onPush: 7 });
    assert.equal(decodeMessage(bytes("0700077b7d"), dictionary).route, "onPush");
    assert.throws(() => decodeMessage(bytes("0700087b7d"), dictionary), protocolError);
  });

  test("and no arbitrary bytes make the decoder throw anything else", () => {
    let seed = 42;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) >> 8;
    for (let round = 0; round < 20_000; round += 1) {
      const noise = Uint8Array.from({ length: next() % 24 }, () => next() & 0xff);
      try {
        decodeMessage(noise);
      } catch (error) {
        assert.equal(error.code, "protocol");
      }
    }
  });
});

describe("limits of what is sent", () => {
  test("a route of 255 bytes is written, one of 256 is refused", () => {
    const message = encodeMessage({ type: 1, route: "é".repeat(127) + "x" });
    assert.equal(message[1], 255);
    const long = { type: 1, route: "é".repeat(128) };
    assert.throws(() => encodeMessage(long), { name: "DunlinError", code: "too_long" });
  });

  test("a body over 24 bits of length is refused", () => {
    const body = new Uint8Array(1 << 24);
    assert.throws(() => encodePacket(4, body), { name: "DunlinError", code: "too_long" });
  });

  test("dictionary codes that do not fit two bytes are ignored", () => {
    const dictionary = new Dictionary({ a: 0, b: 65536, c: -1, d: 1.5, e: "7", f: 65535 });
    assert.deepEqual([...dictionary.codes.keys()], ["a", "f"]);
  });
});

test("the back-off doubles its bound, stops at the longest wait, and spreads over all of it", () => {
  const options = { minDelay: 500, maxDelay: 30_000 };
  const bounds = [0, 1, 2, 6, 7, 2000].map((failures) => backoffDelay(failures, options, () => 1));
  assert.deepEqual(bounds, [500, 1000, 2000, 30_000, 30_000, 30_000]);
  assert.equal(backoffDelay(3, options, () => 0), 0);
  assert.equal(backoffDelay(1, options, () => 0.25), 250);
});
