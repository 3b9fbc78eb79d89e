// gates.js: to which gate a page connects, and to which one it goes when that is gone. Pure: chance is an argument.

const PAUSE_MIN = 150;
const PAUSE_MAX = 2_000;

/** The gates of the cluster, by their ports. */
export class Gates {
  #ports;
  #at;
  #failures = 0;

  /** `ports` are all gates, `own` the one that the page came from; the page's number `tab` spreads tabs over the gates. */
  constructor(ports, own, tab = 0) {
    this.#ports = ports.length > 0 ? ports : [own];
    const home = Math.max(0, this.#ports.indexOf(own));
    this.#at = (home + tab) % this.#ports.length;
  }

  /** The port of the gate to connect to now. */
  get port() {
    return this.#ports[this.#at];
  }

  /** The gate has let us in. */
  handleConnected() {
    this.#failures = 0;
  }

  /** The gate is gone or did not let us in: another one is next. Returns how many milliseconds to wait before. */
  handleLost(random = Math.random) {
    const others = this.#ports.length - 1;
    if (others > 0) {
      const steps = 1 + Math.floor(random() * others);
      this.#at = (this.#at + Math.min(steps, others)) % this.#ports.length;
    }
    const bound = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** (this.#failures + 1));
    this.#failures += 1;
    return PAUSE_MIN + random() * (bound - PAUSE_MIN);
  }
}
