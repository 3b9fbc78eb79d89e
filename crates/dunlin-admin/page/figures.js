// Figures from metrics: sums, rates between two looks, and quantiles of what was counted in buckets. Pure.

/** Metrics at one moment. */
export class Figures {
  /** @param {{name: string, labels: Record<string, string>, value: number}[]} samples @param {number} atMs */
  constructor(samples, atMs) {
    this.atMs = atMs;
    this.byName = new Map();
    for (const sample of samples) {
      const same = this.byName.get(sample.name);
      if (same) same.push(sample);
      else this.byName.set(sample.name, [sample]);
    }
  }

  /** The samples of a metric that have these labels. */
  of(name, labels = {}) {
    const wanted = Object.entries(labels);
    return (this.byName.get(name) ?? []).filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value));
  }

  /** Their sum; null when there are none. */
  sum(name, labels) {
    const samples = this.of(name, labels);
    return samples.length ? samples.reduce((sum, { value }) => sum + value, 0) : null;
  }

  /** How much a counter grew in a second since an earlier moment. */
  rate(before, name, labels) {
    const now = this.sum(name, labels);
    const then = before?.sum(name, labels);
    if (now === null || then === null || then === undefined || this.atMs <= before.atMs) return null;
    // A process that began anew counts from nothing.
    return (Math.max(0, now - then) * 1000) / (this.atMs - before.atMs);
  }

  /** The bound under which a part `q` of what was counted since an earlier moment lies, in seconds. */
  quantile(before, name, q, labels) {
    const counts = new Map();
    const add = (figures, sign) => {
      for (const { labels: of, value } of figures?.of(`${name}_bucket`, labels) ?? []) {
        const bound = of.le === "+Inf" ? Infinity : Number(of.le);
        counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
      }
    };
    add(this, 1);
    add(before, -1);
    const bounds = [...counts.keys()].sort((a, b) => a - b);
    const all = counts.get(bounds.at(-1)) ?? 0;
    if (all <= 0) return null;
    let below = 0;
    for (const bound of bounds) {
      if (counts.get(bound) >= q * all) return Number.isFinite(bound) ? bound : below;
      below = bound;
    }
    return below;
  }
}

/** A number as people read it. */
export function short(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1e6) return `${(number / 1e6).toFixed(1)} M`;
  if (number >= 1e4) return `${(number / 1e3).toFixed(1)} k`;
  return number >= 100 || Number.isInteger(number) ? String(Math.round(number)) : number.toFixed(1);
}

/** A time in seconds as people read it; `bound` says that it is no more than that. */
export function time(seconds, bound = "") {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1e-3) return `${bound}${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 1) return `${bound}${+(seconds * 1e3).toPrecision(3)} ms`;
  return seconds < 120 ? `${bound}${+seconds.toPrecision(3)} s` : span(seconds);
}

/** How long something has been. */
export function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}
