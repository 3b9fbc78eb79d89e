// school.js: where tadpoles are drawn, between what the server says. Pure: no canvas, no clock, no connection.
//
// The pond is POND_LEN wide and high on the wire and 1 wide and 1 high here.

export const POND_LEN = 10_000;

/** How fast what is drawn catches up with what was said: after so many seconds a third of the way is left. */
const CATCH_UP = 0.14;
/** How many widths of the pond a second the own tadpole swims at most. */
const SPEED_MAX = 0.55;
/** Rings of those who come and go are seen for so many seconds. */
const RING_LIFE = 1.1;
const RINGS_MAX = 40;

/** All tadpoles of the pond but our own. */
export class School {
  tadpoles = new Map();
  rings = [];
  #isNew = true;
  #gone = new Set();

  /** The cluster says which nodes are not there: what was last heard of their tadpoles is nothing to wait for. */
  handleNodes(nodes) {
    this.#gone = new Set(nodes.filter(({ phase }) => phase === "down").map(({ name }) => name));
    for (const [key, tadpole] of this.tadpoles) if (this.#gone.has(tadpole.node)) this.#remove(key, tadpole);
  }

  /** The server says where everybody is; `mine` is the key of our own, which is drawn where we have it. */
  handlePond(schools, mine) {
    const there = new Set();
    for (const { node, tadpoles } of schools) {
      if (this.#gone.has(node)) continue;
      for (const { id, x, y, bot } of tadpoles) {
        const key = `${node}/${id}`;
        if (key === mine) continue;
        there.add(key);
        this.#hear(key, { node, bot, x: x / POND_LEN, y: y / POND_LEN });
      }
    }
    for (const [key, tadpole] of this.tadpoles) {
      if (!there.has(key)) this.#remove(key, tadpole);
    }
    this.#isNew = false;
  }

  #remove(key, tadpole) {
    this.tadpoles.delete(key);
    this.#ring(tadpole);
  }

  #hear(key, { node, bot, x, y }) {
    const known = this.tadpoles.get(key);
    if (known) {
      known.to = { x, y };
      return;
    }
    const tadpole = { node, bot, x, y, to: { x, y }, heading: (x * 97 + y * 61) % (2 * Math.PI), speed: 0 };
    this.tadpoles.set(key, tadpole);
    // Those who were there before us did not come just now.
    if (!this.#isNew) this.#ring(tadpole);
  }

  #ring({ x, y, node }) {
    this.rings.push({ x, y, node, age: 0 });
    if (this.rings.length > RINGS_MAX) this.rings.shift();
  }

  /** Some seconds pass: everybody swims on towards where they are said to be. */
  swim(seconds) {
    for (const tadpole of this.tadpoles.values()) approach(tadpole, tadpole.to, seconds);
    for (const ring of this.rings) ring.age += seconds / RING_LIFE;
    this.rings = this.rings.filter(({ age }) => age < 1);
  }

  /** Everybody is at once where they are said to be. */
  settle() {
    for (const tadpole of this.tadpoles.values()) {
      turn(tadpole, tadpole.to.x - tadpole.x, tadpole.to.y - tadpole.y, 1);
      Object.assign(tadpole, tadpole.to);
    }
    this.rings = [];
  }
}

/** Our own tadpole: it swims after the pointer, and in a slow circle while there is none. */
export class Mine {
  x = 0.5;
  y = 0.55;
  heading = 0;
  speed = 0;
  to = null;
  #idle = 0;

  /** The pointer is here; outside of the pond is at its shore. */
  follow(x, y) {
    this.to = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
  }

  swim(seconds) {
    if (this.to) {
      approach(this, this.to, seconds, SPEED_MAX);
      return;
    }
    this.#idle += seconds * 0.8;
    const x = 0.5 + 0.05 * Math.cos(this.#idle);
    const y = 0.55 + 0.07 * Math.sin(this.#idle);
    approach(this, { x, y }, seconds);
  }

  /** Where it is, as the server wants to hear it. */
  get spot() {
    return { x: Math.round(this.x * POND_LEN), y: Math.round(this.y * POND_LEN) };
  }
}

function approach(tadpole, to, seconds, speedMax = Infinity) {
  const part = 1 - Math.exp(-seconds / CATCH_UP);
  let [dx, dy] = [(to.x - tadpole.x) * part, (to.y - tadpole.y) * part];
  const way = Math.hypot(dx, dy);
  if (way > 0 && way > speedMax * seconds) [dx, dy] = [(dx * speedMax * seconds) / way, (dy * speedMax * seconds) / way];
  tadpole.x += dx;
  tadpole.y += dy;
  turn(tadpole, dx, dy, 1 - Math.exp(-seconds / 0.1));
  const speed = seconds > 0 ? Math.hypot(dx, dy) / seconds : 0;
  tadpole.speed += (speed - tadpole.speed) * part;
}

/** Turns towards a direction by a part of the angle; who does not move keeps its heading. */
function turn(tadpole, dx, dy, part) {
  if (Math.hypot(dx, dy) < 1e-5) return;
  const off = Math.atan2(dy, dx) - tadpole.heading;
  tadpole.heading += Math.atan2(Math.sin(off), Math.cos(off)) * part;
}
