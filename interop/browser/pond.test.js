// pond.test.js: the pure parts of the demo's page: gates, what the school knows, words for the cluster, coloured source.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clock, leaderText, linkText, radiusOf } from "../../crates/dunlin-cli/page/cluster.js";
import { Gates } from "../../crates/dunlin-cli/page/gates.js";
import { Mine, POND_LEN, School } from "../../crates/dunlin-cli/page/school.js";
import { tokenize } from "../../crates/dunlin-cli/page/source.js";

const PORTS = [1, 2, 3];

describe("gates", () => {
  test("the first tab stays with the gate it came from, and the next ones go on to the others", () => {
    assert.deepEqual([0, 1, 2, 3].map((tab) => new Gates(PORTS, 2, tab).port), [2, 3, 1, 2]);
  });

  test("a gate that is lost is never the next one", () => {
    for (const random of [0, 0.3, 0.5, 0.9, 0.999999]) {
      const gates = new Gates(PORTS, 2);
      gates.handleLost(() => random);
      assert.notEqual(gates.port, 2);
    }
  });

  test("the only gate is tried again", () => {
    const gates = new Gates([], 7);
    gates.handleLost();
    assert.equal(gates.port, 7);
  });

  test("waits grow with failures up to a bound, and begin anew after a success", () => {
    const gates = new Gates(PORTS, 1);
    const waits = Array.from({ length: 8 }, () => gates.handleLost(() => 1));
    assert.deepEqual([waits[0], waits[1], waits[7]], [300, 600, 2000]);
    gates.handleConnected();
    assert.equal(gates.handleLost(() => 1), 300);
    assert.ok(gates.handleLost(() => 0) >= 150);
  });
});

const at = (id, x, y, bot = true) => ({ id, x: x * POND_LEN, y: y * POND_LEN, bot });
const pond = (...tadpoles) => [{ node: "n1", tadpoles }];

describe("the school", () => {
  test("has everybody but our own", () => {
    const school = new School();
    school.handlePond([{ node: "n1", tadpoles: [at(1, 0.1, 0.1), at(2, 0.2, 0.2)] }, { node: "n2", tadpoles: [at(1, 0.3, 0.3)] }], "n1/2");
    assert.deepEqual([...school.tadpoles.keys()], ["n1/1", "n2/1"]);
  });

  test("swims towards where the server says, and arrives", () => {
    const school = new School();
    school.handlePond(pond(at(1, 0.2, 0.5)));
    school.handlePond(pond(at(1, 0.4, 0.5)));
    const tadpole = school.tadpoles.get("n1/1");
    school.swim(0.05);
    assert.ok(tadpole.x > 0.2 && tadpole.x < 0.4, `at ${tadpole.x}`);
    for (let step = 0; step < 40; step += 1) school.swim(0.05);
    assert.ok(Math.abs(tadpole.x - 0.4) < 0.001 && Math.cos(tadpole.heading) > 0.999);
  });

  test("of those who come and go leaves rings that fade, and none of those who were there first", () => {
    const school = new School();
    school.handlePond(pond(at(1, 0.2, 0.5)));
    assert.equal(school.rings.length, 0);
    school.handlePond(pond(at(2, 0.6, 0.5)));
    assert.deepEqual([school.tadpoles.size, school.rings.length], [1, 2]);
    school.swim(5);
    assert.equal(school.rings.length, 0);
  });

  test("waits for no word of a node that is down, and takes its tadpoles again when it is back", () => {
    const school = new School();
    school.handlePond(pond(at(1, 0.2, 0.5)));
    school.handleNodes([{ name: "n1", phase: "down" }, { name: "n2", phase: "up" }]);
    school.handlePond(pond(at(1, 0.2, 0.5)));
    assert.deepEqual([school.tadpoles.size, school.rings.length], [0, 1]);
    school.handleNodes([{ name: "n1", phase: "up" }]);
    school.handlePond(pond(at(1, 0.2, 0.5)));
    assert.equal(school.tadpoles.size, 1);
  });

  test("settles at once when nothing is animated", () => {
    const school = new School();
    school.handlePond(pond(at(1, 0.2, 0.5)));
    school.handlePond(pond(at(1, 0.8, 0.1)));
    school.settle();
    assert.deepEqual([school.tadpoles.get("n1/1").x, school.tadpoles.get("n1/1").y], [0.8, 0.1]);
  });
});

describe("our own tadpole", () => {
  test("follows the pointer no faster than it can, and not onto the shore", () => {
    const mine = new Mine();
    mine.follow(7, -1);
    const { x } = mine;
    mine.swim(0.1);
    assert.ok(mine.x > x && mine.x - x < 0.06);
    for (let step = 0; step < 200; step += 1) mine.swim(0.1);
    assert.deepEqual(mine.spot, { x: POND_LEN, y: 0 });
  });

  test("stays where it is while no time passes", () => {
    const mine = new Mine();
    mine.swim(0);
    mine.follow(0.9, 0.9);
    mine.swim(0);
    assert.deepEqual([mine.x, mine.y], [0.5, 0.55]);
  });
});

describe("words and sizes", () => {
  test("links say how long, or that they are cut", () => {
    const text = (phase, rtt_ms) => linkText({ phase, rtt_ms });
    assert.deepEqual(
      [text("up", 0.44), text("up", 23.4), text("up", null), text("cut", 0.4), text("down", null)],
      ["0.4 ms", "23 ms", "…", "cut", "–"],
    );
  });

  test("the leader is named with its term, and its absence is no alarm", () => {
    const nodes = [{ phase: "up" }];
    assert.equal(leaderText({ leader: "n2", term: 4, nodes }), "n2 leads · term 4");
    assert.match(leaderText({ leader: null, term: 0, nodes }), /traffic goes on/);
  });

  test("a node grows with its sessions, within bounds", () => {
    assert.ok(radiusOf(0) < radiusOf(10) && radiusOf(10) < radiusOf(20));
    assert.equal(radiusOf(1e9), 44);
  });

  test("time is in minutes and seconds", () => {
    assert.deepEqual([clock(0), clock(61_900), clock(3_600_000)], ["0:00", "1:01", "60:00"]);
  });
});

describe("source", () => {
  test("pieces of a line together are the line, with their kinds", () => {
    const line = '    async fn enter(&self) -> Result<String> { Ok("x".into()) } // done';
    const pieces = tokenize(line);
    assert.equal(pieces.map(({ text }) => text).join(""), line);
    const kinds = Object.fromEntries(pieces.map(({ kind, text }) => [text, kind]));
    assert.deepEqual([kinds.async, kinds.Result, kinds['"x"'], kinds["// done"]], ["keyword", "type", "string", "comment"]);
  });
});
