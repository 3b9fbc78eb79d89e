// room.test.js: the pure parts of the demo's page: what the room knows, names, and coloured source.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Room, Samples, hueOf, initialsOf, randomName } from "../../crates/dunlin-cli/page/room.js";
import { tokenize } from "../../crates/dunlin-cli/page/source.js";

function joined(history = []) {
  const room = new Room();
  const members = [{ name: "Pip", bot: true }, { name: "ann", bot: false }];
  room.handleJoined({ members, history, you: "ann" });
  return room;
}

const texts = (room) => room.lines.map(({ text }) => text);

describe("lines", () => {
  test("of our own are pending until the room sends them back, and then stand once", () => {
    const room = joined();
    room.say("hi", 100, 5000);
    assert.equal(room.lines[0].pending, true);
    assert.equal(room.handleLine({ from: "ann", text: "hi", at: 5001 }, 112), 12);
    assert.deepEqual(texts(room), ["hi"]);
    assert.deepEqual([room.lines[0].pending, room.lines[0].mine], [false, true]);
  });

  test("of our own said twice are confirmed one by one", () => {
    const room = joined();
    room.say("hi", 100, 5000);
    room.say("hi", 200, 5100);
    room.handleLine({ from: "ann", text: "hi", at: 5001 }, 300);
    assert.deepEqual(room.lines.map(({ pending }) => pending), [true, false]);
  });

  test("of our own are confirmed over a change of name", () => {
    const room = joined();
    room.say("hi", 100, 5000);
    room.handleRename({ from: "ann", to: "eve" }, 5000);
    assert.equal(room.handleLine({ from: "eve", text: "hi", at: 5001 }, 110), 10);
  });

  test("are bounded", () => {
    const room = joined();
    for (let n = 0; n < 500; n += 1) room.handleLine({ from: "Pip", text: `${n}`, at: n }, n);
    assert.deepEqual([room.lines.length, room.lines.at(-1).text], [200, "499"]);
  });

  test("shown before a drop stay when the history does not reach them, and none stands twice", () => {
    const room = joined([{ from: "Pip", text: "one", at: 1 }]);
    room.handleLine({ from: "Pip", text: "two", at: 2 }, 0);
    room.say("lost", 0, 3);
    const history = [{ from: "Pip", text: "two", at: 2 }, { from: "Pip", text: "three", at: 3 }];
    room.handleJoined({ members: [], history, you: "ann" });
    assert.deepEqual(texts(room), ["one", "two", "three"]);
  });
});

describe("members", () => {
  test("that are announced twice stand once, and one that leaves twice leaves once", () => {
    const room = joined();
    for (let n = 0; n < 2; n += 1) room.handleJoin({ name: "bob", bot: false }, 1);
    for (let n = 0; n < 2; n += 1) room.handleLeave({ name: "Pip" }, 2);
    assert.deepEqual(room.members.map(({ name }) => name), ["ann", "bob"]);
    assert.deepEqual(texts(room), ["bob joined", "Pip left"]);
  });

  test("are renamed once, whether the answer or the news comes first", () => {
    const room = joined();
    for (let n = 0; n < 2; n += 1) room.handleRename({ from: "ann", to: "eve" }, 1);
    assert.equal(room.me, "eve");
    assert.deepEqual(texts(room), ["ann is now eve"]);
  });

  test("type for a while, until they said something", () => {
    const room = joined();
    room.handleTyping({ name: "ann" }, 0);
    room.handleTyping({ name: "Pip" }, 0);
    assert.deepEqual(room.typing(2999), ["Pip"]);
    assert.deepEqual(room.typing(3000), []);
    room.handleTyping({ name: "Pip" }, 4000);
    room.handleLine({ from: "Pip", text: "x", at: 1 }, 4100);
    assert.deepEqual(room.typing(4200), []);
  });
});

test("the rate is the mean of five seconds, its history one count a second", () => {
  const room = joined();
  for (const now of [0, 6_100, 9_000, 10_000]) room.handleLine({ from: "Pip", text: "x", at: 1 }, now);
  const { perSecond, seconds } = room.rate(10_500);
  assert.equal(perSecond, 3 / 5);
  assert.deepEqual(seconds.slice(-11), [1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1]);
  assert.deepEqual(room.rate(60_000).seconds.every((count) => count === 0), true);
});

test("samples keep the newest and know their median and their worst", () => {
  const samples = new Samples();
  assert.deepEqual([samples.last, samples.median, samples.worst], [null, null, null]);
  for (let n = 1; n <= 41; n += 1) samples.add(n);
  assert.deepEqual([samples.values.length, samples.last, samples.median, samples.worst], [40, 41, 21, 41]);
});

test("names fit the field, get a number when taken, and have two letters and a steady hue", () => {
  for (let n = 0; n < 500; n += 1) assert.ok(randomName(Math.random, n % 3).length <= 24);
  assert.equal(randomName(() => 0), "Amber Avocet");
  assert.equal(randomName(() => 0, 1), "Amber Avocet 2");
  assert.deepEqual(["old tom", "Pip", " ", "😀 x y"].map(initialsOf), ["OT", "P", "?", "😀X"]);
  assert.equal(hueOf("Pip"), hueOf("Pip"));
});

test("coloured source is the source, piece by piece", () => {
  const line = `    let x: Option<&'a str> = Some("a // b"); // why "so"`;
  const pieces = tokenize(line);
  assert.equal(pieces.map(({ text }) => text).join(""), line);
  const kinds = Object.fromEntries(pieces.map(({ kind, text }) => [text, kind]));
  assert.equal(kinds.let, "keyword");
  assert.equal(kinds.Option, "type");
  assert.equal(kinds['"a // b"'], "string");
  assert.equal(kinds['// why "so"'], "comment");
});
