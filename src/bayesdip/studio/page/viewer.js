// The picture before and after, side by side at a line that moves; zoom to single pixels; painting a mask.

const MOST_ZOOM = 64;

export class Viewer {
  // `looked(row, column)` is called for the pixel under the pointer, `painted()` when a stroke is done.
  constructor(canvas, looked, painted) {
    this.canvas = canvas;
    this.looked = looked;
    this.painted = painted;
    this.before = this.after = this.marks = this.overlay = null;
    this.cut = 0.5;
    this.zoom = 1;
    this.left = this.top = 0; // of the picture, in CSS pixels of the canvas
    this.tool = '';
    this.brush = 8;
    this.mask = null;
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    canvas.addEventListener('pointerdown', (event) => this.down(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener('keydown', (event) => this.key(event));
    for (const name of ['focus', 'blur']) canvas.addEventListener(name, () => this.draw());
  }

  get size() {
    const shown = this.after ?? this.before;
    return shown ? [shown.width, shown.height] : [0, 0];
  }

  show(layers) {
    const [width] = this.size;
    Object.assign(this, layers);
    if (this.size[0] !== width) this.fit();
    this.draw();
  }

  // An empty mask of the picture's size.
  newMask() {
    const [width, height] = [this.before.width, this.before.height];
    this.mask = Object.assign(document.createElement('canvas'), { width, height });
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (!this.fitted || this.fitted === 'yes') this.fit();
    this.draw();
  }

  fit() {
    const [width, height] = this.size;
    const { clientWidth, clientHeight } = this.canvas;
    if (!width || !clientWidth) return;
    this.zoom = Math.min(clientWidth / width, clientHeight / height, MOST_ZOOM);
    this.left = (clientWidth - width * this.zoom) / 2;
    this.top = (clientHeight - height * this.zoom) / 2;
    this.fitted = 'yes';
    this.draw();
  }

  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.05), MOST_ZOOM);
    this.left = x - ((x - this.left) * zoom) / this.zoom;
    this.top = y - ((y - this.top) * zoom) / this.zoom;
    this.zoom = zoom;
    this.fitted = 'no';
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paintAll();
    });
  }

  paintAll() {
    const context = this.canvas.getContext('2d');
    const ratio = this.canvas.width / (this.canvas.clientWidth || 1);
    const [width, height] = this.size;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!width) return;
    context.setTransform(ratio * this.zoom, 0, 0, ratio * this.zoom, ratio * this.left, ratio * this.top);
    context.imageSmoothingEnabled = this.zoom < 1;
    if (this.before) context.drawImage(this.before, 0, 0, width, height);
    if (this.after) {
      const at = this.cut * width;
      context.save();
      context.beginPath();
      context.rect(at, 0, width - at, height);
      context.clip();
      context.drawImage(this.after, 0, 0, width, height);
      if (this.marks) context.drawImage(this.marks, 0, 0, width, height);
      context.restore();
      context.fillStyle = '#fff';
      context.fillRect(at - 1 / this.zoom, 0, 2 / this.zoom, height);
    }
    if (!this.after || this.tool) {
      if (this.overlay) context.drawImage(this.overlay, 0, 0, width, height);
      context.globalAlpha = 0.6;
      if (this.mask) context.drawImage(this.mask, 0, 0, width, height);
      context.globalAlpha = 1;
    }
    if (this.tool && this.before && this.canvas.matches(':focus-visible')) {
      context.strokeStyle = '#e6283c';
      context.lineWidth = 1.5 / this.zoom;
      context.beginPath();
      context.arc(this.middle.column, this.middle.row, this.brush / 2, 0, 7);
      context.stroke();
    }
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    return { x, y, column: (x - this.left) / this.zoom, row: (y - this.top) / this.zoom };
  }

  // The place in the middle of the canvas, which the keyboard works on.
  get middle() {
    const { clientWidth, clientHeight } = this.canvas;
    return { column: (clientWidth / 2 - this.left) / this.zoom, row: (clientHeight / 2 - this.top) / this.zoom };
  }

  wheel(event) {
    event.preventDefault();
    const { x, y } = this.place(event);
    this.zoomBy(Math.exp(-event.deltaY * 0.0015), x, y);
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.place(event);
    this.pointers.set(event.pointerId, place);
    if (this.tool && this.pointers.size === 1 && this.before) this.stroke(place, place);
  }

  move(event) {
    const place = this.place(event);
    const last = this.pointers.get(event.pointerId);
    const [width, height] = this.size;
    const [row, column] = [Math.floor(place.row), Math.floor(place.column)];
    if (row >= 0 && column >= 0 && row < height && column < width) this.looked(row, column);
    if (!last) return;
    if (this.pointers.size === 2) this.pinch(event.pointerId, place);
    else if (this.tool && this.before) this.stroke(last, place);
    else {
      this.left += place.x - last.x;
      this.top += place.y - last.y;
      this.fitted = 'no';
      this.draw();
    }
    this.pointers.set(event.pointerId, this.place(event));
  }

  pinch(id, place) {
    const other = [...this.pointers].find(([key]) => key !== id)[1];
    const last = this.pointers.get(id);
    const distance = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
    this.zoomBy(distance(place) / distance(last), (place.x + other.x) / 2, (place.y + other.y) / 2);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.tool && this.mask) this.painted();
  }

  stroke(from, to) {
    if (!this.mask) this.newMask();
    const context = this.mask.getContext('2d');
    context.globalCompositeOperation = this.tool === 'erase' ? 'destination-out' : 'source-over';
    context.strokeStyle = context.fillStyle = '#e6283c';
    context.lineWidth = this.brush;
    context.lineCap = 'round';
    context.beginPath();
    context.moveTo(from.column, from.row);
    context.lineTo(to.column + 0.01, to.row);
    context.stroke();
    this.draw();
  }

  key(event) {
    const step = event.shiftKey ? 80 : 20;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) {
      this.left += moves[event.key][0];
      this.top += moves[event.key][1];
      this.fitted = 'no';
      this.draw();
    } else if (event.key === '+' || event.key === '=') this.zoomBy(1.25);
    else if (event.key === '-') this.zoomBy(0.8);
    else if (event.key === '0') this.fit();
    else if (event.key === ' ' && this.tool && this.before) {
      this.stroke(this.middle, this.middle);
      this.painted();
    } else return;
    event.preventDefault();
    const [width, height] = this.size;
    const [row, column] = [Math.floor(this.middle.row), Math.floor(this.middle.column)];
    if (row >= 0 && column >= 0 && row < height && column < width) this.looked(row, column);
  }

  // The painted mask as a file: white is missing, and edges are hard, so that what was painted is what is missing.
  maskFile() {
    const { width, height } = this.mask;
    const painted = this.mask.getContext('2d').getImageData(0, 0, width, height);
    const levels = painted.data;
    for (let i = 0; i < levels.length; i += 4) {
      const level = levels[i + 3] > 60 ? 255 : 0;
      levels[i] = levels[i + 1] = levels[i + 2] = level;
      levels[i + 3] = 255;
    }
    const copy = Object.assign(document.createElement('canvas'), { width, height });
    copy.getContext('2d').putImageData(painted, 0, 0);
    return new Promise((resolve) => copy.toBlob(resolve, 'image/png'));
  }

  get isPainted() {
    if (!this.mask) return false;
    const { width, height } = this.mask;
    const levels = this.mask.getContext('2d').getImageData(0, 0, width, height).data;
    for (let i = 3; i < levels.length; i += 4) if (levels[i] > 60) return true;
    return false;
  }
}
