// Small line plots on a canvas, in the page's own colours.

const MARGIN = { left: 46, right: 10, top: 10, bottom: 22 };

// What is drawn on each canvas, to be drawn again when its size or the colours of the page change.
const drawn = new Map();
const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => draw(target, ...drawn.get(target))));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawn.forEach((what, canvas) => draw(canvas, ...what)));

export function plot(canvas, lines, settings = {}) {
  const isNew = !drawn.has(canvas);
  drawn.set(canvas, [lines, settings]);
  if (isNew) sizes.observe(canvas); // which draws it
  else draw(canvas, lines, settings);
}

// `lines` have points [[x, y], ...] and may be `pale`; `level` is a horizontal line; `log` takes the logarithm of y.
function draw(canvas, lines, { level = null, log = false, from = null }) {
  const { clientWidth, clientHeight } = canvas;
  if (!clientWidth) return;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(clientWidth * ratio);
  canvas.height = Math.round(clientHeight * ratio);
  const style = getComputedStyle(document.body);
  const colour = (name) => style.getPropertyValue(name).trim();
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const scaled = log ? (y) => Math.log10(Math.max(y, 1e-12)) : (y) => y;
  const points = lines.flatMap((line) => line.points).map(([x, y]) => [x, scaled(y)]);
  const xs = points.map(([x]) => x);
  const ys = [...points.map(([, y]) => y), ...(level === null ? [] : [scaled(level)]), ...(from === null ? [] : [from])];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const width = clientWidth - MARGIN.left - MARGIN.right;
  const height = clientHeight - MARGIN.top - MARGIN.bottom;
  const across = (x) => MARGIN.left + ((x - left) / (right - left || 1)) * width;
  const up = (y) => MARGIN.top + (1 - (y - low) / (high - low || 1)) * height;
  context.font = '12px system-ui, sans-serif';
  context.fillStyle = colour('--soft');
  const label = (value) => (log ? `1e${value.toFixed(0)}` : value.toPrecision(2));
  context.fillText(label(high), 4, up(high) + 8);
  context.fillText(label(low), 4, up(low));
  context.fillText(String(Number(left.toPrecision(3))), across(left), clientHeight - 6);
  const last = String(Number(right.toPrecision(3)));
  context.fillText(last, across(right) - context.measureText(last).width, clientHeight - 6);
  context.strokeStyle = colour('--rule');
  context.strokeRect(MARGIN.left, MARGIN.top, width, height);
  if (level !== null) stroke([[left, scaled(level)], [right, scaled(level)]], '--soft', 1);
  for (const line of lines) stroke(line.points.map(([x, y]) => [x, scaled(y)]), line.pale ? '--edge' : '--accent', line.pale ? 1 : 2.5);

  function stroke(path, name, thickness) {
    context.strokeStyle = colour(name);
    context.lineWidth = thickness;
    context.globalAlpha = name === '--edge' ? 0.45 : 1; // many pale lines
    context.beginPath();
    path.forEach(([x, y], i) => (i ? context.lineTo(across(x), up(y)) : context.moveTo(across(x), up(y))));
    context.stroke();
    context.globalAlpha = 1;
  }
}
