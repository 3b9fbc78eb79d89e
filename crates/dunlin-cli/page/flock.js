// flock.js: the small flock in the page's sky. Birds keep together, keep apart and fly the same way;
// a line in the room startles them a little. Seeded, so a frozen flock looks the same every time.

const SVG = "http://www.w3.org/2000/svg";
const FRAME_MS = 33;
const SPEED = { least: 34, most: 78 };

/** Puts a flock into an SVG element. A frozen one is drawn once. */
export function startFlock(svg, { frozen }) {
  const random = seeded(20);
  const size = () => ({ width: svg.clientWidth || 1200, height: svg.clientHeight || 130 });
  const count = size().width < 700 ? 15 : 30;
  const birds = Array.from({ length: count }, () => newBird(svg, size(), random));
  let time = -6;
  let alarm = 0;

  const step = (seconds) => {
    time += seconds;
    alarm = Math.max(0, alarm - seconds * 1.4);
    const target = targetAt(time, size());
    for (const bird of birds) steer(bird, birds, { target, alarm, seconds, sky: size() });
    for (const bird of birds) move(bird, size(), seconds);
  };

  for (let warm = 0; warm < 240; warm += 1) step(FRAME_MS / 1000);
  draw(birds);
  if (frozen) return { startle() {} };

  let last = 0;
  const frame = (now) => {
    requestAnimationFrame(frame);
    if (now - last < FRAME_MS - 4) return;
    // After a pause of the page the birds go on from where they were.
    step(Math.min(now - last, 100) / 1000);
    last = now;
    draw(birds);
  };
  requestAnimationFrame(frame);
  return {
    startle() {
      alarm = Math.min(1, alarm + 0.35);
    },
  };
}

function newBird(svg, { width, height }, random) {
  const element = document.createElementNS(SVG, "use");
  element.setAttribute("href", "#wings");
  element.setAttribute("x", "-16");
  element.setAttribute("y", "-8");
  element.setAttribute("width", "32");
  element.setAttribute("height", "16");
  const depth = random();
  element.setAttribute("opacity", (0.35 + 0.5 * depth).toFixed(2));
  svg.append(element);
  return {
    element,
    x: width * (0.45 + 0.2 * random()),
    y: height * (0.3 + 0.3 * random()),
    vx: 50,
    vy: 8 * (random() - 0.5),
    scale: 0.32 + 0.36 * depth,
    phase: random() * 6.28,
    rhythm: 7 + 4 * random(),
    wander: random() * 6.28,
  };
}

// The point the flock is drawn to goes through the sky in a slow figure of eight.
function targetAt(time, { width, height }) {
  // A narrow sky is full of words on its left.
  const [middle, reach] = width < 700 ? [0.72, 0.2] : [0.54, 0.26];
  return {
    x: width * (middle + reach * Math.sin(time * 0.19)),
    y: height * (0.36 + 0.17 * Math.sin(time * 0.38 - 1)),
  };
}

function steer(bird, birds, { target, alarm, seconds, sky }) {
  let ax = (target.x - bird.x) * 0.28 + atEdge(bird.x, sky.width, 60) * 1.5;
  let ay = (target.y - bird.y) * 0.75 + atEdge(bird.y, sky.height * 0.82, 22) * 3;
  for (const other of birds) {
    if (other === bird) continue;
    const dx = bird.x - other.x;
    const dy = (bird.y - other.y) * 1.6;
    const distance = Math.hypot(dx, dy) || 1;
    const room = 24 + 22 * alarm;
    if (distance < room) {
      const push = ((room - distance) / room) * (46 + 60 * alarm);
      ax += (dx / distance) * push;
      ay += (dy / distance) * push;
    } else if (distance < 90) {
      ax += (other.vx - bird.vx) * 0.05;
      ay += (other.vy - bird.vy) * 0.05;
    }
  }
  bird.wander += seconds * 0.9;
  ay += Math.sin(bird.wander) * 7;
  bird.vx += ax * seconds;
  bird.vy += ay * seconds;
  bird.rate = bird.rhythm * (1 + 0.7 * alarm);
}

// Near the sides the birds turn back, the harder the further out they are.
function atEdge(at, end, margin) {
  return Math.max(0, margin - at) - Math.max(0, at - (end - margin));
}

function move(bird, { height }, seconds) {
  const speed = Math.hypot(bird.vx, bird.vy) || 1;
  const wanted = Math.min(SPEED.most, Math.max(SPEED.least, speed));
  bird.vx *= wanted / speed;
  bird.vy *= (wanted / speed) * 0.985;
  bird.x += bird.vx * seconds;
  bird.y = Math.min(height * 0.78, Math.max(8, bird.y + bird.vy * seconds));
  bird.phase += bird.rate * seconds;
}

function draw(birds) {
  for (const { element, x, y, vx, vy, scale, phase } of birds) {
    const flap = 0.42 + 0.58 * Math.sin(phase);
    const tilt = Math.max(-24, Math.min(24, (vy / Math.abs(vx || 1)) * 40)) * Math.sign(vx || 1);
    const place = `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${tilt.toFixed(1)})`;
    element.setAttribute("transform", `${place} scale(${scale.toFixed(2)} ${(scale * flap).toFixed(3)})`);
  }
}

function seeded(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
