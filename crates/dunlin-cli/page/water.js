// water.js: draws the pond on a canvas: water, lily pads, tadpoles in the colours of their nodes, rings of those who come and go.

const PADS = [
  { x: 0.06, y: 0.13, r: 46, turn: 0.6 },
  { x: 0.125, y: 0.07, r: 30, turn: 2.4 },
  { x: 0.95, y: 0.86, r: 54, turn: 3.9 },
  { x: 0.885, y: 0.95, r: 34, turn: 5.4 },
  { x: 0.97, y: 0.68, r: 24, turn: 1.2 },
];
const NODES = ["n1", "n2", "n3"];

/** The pond on a canvas. `still` is for those who want no motion but that of the tadpoles. */
export class Water {
  #canvas;
  #context;
  #colors = {};
  #still;
  #width = 0;
  #height = 0;

  constructor(canvas, { still = false } = {}) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#still = still;
    this.readColors();
    this.resize();
  }

  /** Takes the colours from the style sheet again, after the scheme changed. */
  readColors() {
    const style = getComputedStyle(this.#canvas);
    const names = ["water-top", "water-low", "water-light", "water-clear", "pad", "pad-edge", "foam", "ink", "lost", ...NODES];
    for (const name of names) this.#colors[name] = style.getPropertyValue(`--${name}`).trim();
  }

  /** Takes the size from the page again. */
  resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
    [this.#width, this.#height] = [clientWidth, clientHeight];
    this.#canvas.width = Math.round(clientWidth * ratio);
    this.#canvas.height = Math.round(clientHeight * ratio);
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** Draws one picture; `seconds` is the time that waves go by. */
  draw(school, mine, seconds) {
    const time = this.#still ? 0 : seconds;
    this.#drawWater(time);
    for (const ring of this.#still ? [] : school.rings) this.#drawRing(ring);
    let phase = 0;
    for (const tadpole of school.tadpoles.values()) {
      phase += 2.4;
      this.#drawTadpole(tadpole, { phase, time, size: tadpole.bot ? 1.15 : 1.4 });
      if (!tadpole.bot) this.#drawHalo(tadpole, 18);
    }
    this.#drawMine(mine, time);
    this.#drawPads(time);
  }

  #drawWater(time) {
    const [context, width, height] = [this.#context, this.#width, this.#height];
    const water = context.createLinearGradient(0, 0, 0, height);
    water.addColorStop(0, this.#colors["water-top"]);
    water.addColorStop(1, this.#colors["water-low"]);
    context.fillStyle = water;
    context.fillRect(0, 0, width, height);
    context.lineCap = "round";
    for (let row = 0; row < 7; row += 1) this.#drawGleam(row, time);
  }

  /** A line of light on the water that fades at both ends. */
  #drawGleam(row, time) {
    const [context, width] = [this.#context, this.#width];
    const length = width * (0.16 + ((row * 7) % 5) * 0.03);
    const left = (((row * 0.37) % 1) * 1.1 - 0.05) * width + Math.sin(time * 0.2 + row * 1.7) * 18;
    const y = ((row + 0.6) / 7) * this.#height + Math.sin(time * 0.31 + row) * 3;
    const light = context.createLinearGradient(left, 0, left + length, 0);
    light.addColorStop(0, this.#colors["water-clear"]);
    light.addColorStop(0.5, this.#colors["water-light"]);
    light.addColorStop(1, this.#colors["water-clear"]);
    context.strokeStyle = light;
    context.lineWidth = 1.4 + (row % 3) * 0.5;
    context.beginPath();
    for (let part = 0; part <= 32; part += 1) {
      const wave = Math.sin(part * 0.55 + time * 0.6 + row * 2) * 2.2;
      context.lineTo(left + (part / 32) * length, y + wave);
    }
    context.stroke();
  }

  #drawPads(time) {
    const context = this.#context;
    const scale = Math.min(1, this.#width / 700);
    for (const { x, y, r, turn } of PADS) {
      const radius = r * scale;
      const sway = Math.sin(time * 0.35 + turn * 3);
      const begin = turn + sway * 0.04;
      context.save();
      context.translate(x * this.#width + sway * 2, y * this.#height);
      context.beginPath();
      context.moveTo(0, 0);
      context.arc(0, 0, radius, begin + 0.22, begin + 2 * Math.PI - 0.22);
      context.closePath();
      context.fillStyle = this.#colors.pad;
      context.fill();
      context.strokeStyle = this.#colors["pad-edge"];
      context.lineWidth = 1;
      for (let vein = 1; vein < 8; vein += 1) {
        const angle = begin + (vein / 8) * 2 * Math.PI;
        context.moveTo(Math.cos(angle) * radius * 0.15, Math.sin(angle) * radius * 0.15);
        context.lineTo(Math.cos(angle) * radius * 0.85, Math.sin(angle) * radius * 0.85);
      }
      context.stroke();
      context.restore();
    }
  }

  #drawRing({ x, y, node, age }) {
    const context = this.#context;
    context.globalAlpha = (1 - age) * 0.7;
    context.strokeStyle = this.#colors[node] ?? this.#colors.foam;
    context.lineWidth = 1.5;
    for (const part of [1, 0.55]) {
      context.beginPath();
      context.ellipse(x * this.#width, y * this.#height, (6 + age * 28) * part, (5 + age * 22) * part, 0, 0, 7);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  #drawTadpole({ x, y, heading, speed, node }, { phase, time, size }) {
    const context = this.#context;
    const color = this.#colors[node] ?? this.#colors.lost;
    const swing = this.#still ? 0.12 : 0.2 + Math.min(speed * 3, 0.5);
    const beat = time * (7 + Math.min(speed * 30, 9)) + phase;
    context.save();
    context.translate(x * this.#width, y * this.#height);
    context.rotate(heading);
    context.scale(size, size);
    context.strokeStyle = color;
    context.lineCap = "round";
    let [fromX, fromY] = [-3, 0];
    for (let part = 1; part <= 6; part += 1) {
      const toX = -3 - part * 3.2;
      const toY = Math.sin(beat - part * 0.85) * swing * part * 1.6;
      context.lineWidth = 4.4 - part * 0.6;
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.lineTo(toX, toY);
      context.stroke();
      [fromX, fromY] = [toX, toY];
    }
    context.fillStyle = color;
    context.beginPath();
    context.ellipse(0, 0, 7, 5.2, 0, 0, 7);
    context.fill();
    context.fillStyle = this.#colors.foam;
    for (const side of [-1, 1]) {
      context.beginPath();
      context.arc(3.4, side * 2.5, 1.35, 0, 7);
      context.fill();
    }
    context.restore();
  }

  #drawHalo({ x, y, node }, radius) {
    const context = this.#context;
    context.globalAlpha = 0.55;
    context.strokeStyle = this.#colors[node] ?? this.#colors.lost;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x * this.#width, y * this.#height, radius, 0, 7);
    context.stroke();
    context.globalAlpha = 1;
  }

  #drawMine(mine, time) {
    const context = this.#context;
    this.#drawTadpole(mine, { phase: 0, time, size: 1.7 });
    this.#drawHalo(mine, 25);
    const [x, y] = [mine.x * this.#width, mine.y * this.#height];
    const label = mine.node ? `you · ${mine.node}` : "you · on the way";
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    const half = context.measureText(label).width / 2 + 9;
    const left = Math.min(Math.max(x, half + 4), this.#width - half - 4);
    const top = y > this.#height - 62 ? y - 54 : y + 32;
    context.fillStyle = this.#colors.foam;
    context.beginPath();
    context.roundRect(left - half, top, 2 * half, 21, 10.5);
    context.fill();
    context.fillStyle = this.#colors.ink;
    context.fillText(label, left, top + 14.5);
  }
}
