// The block "scatter": points on a canvas, their legend, and what is selected.

// Colours that differ for colour-blind readers too, for the labels with the most images; further
// ones go round the circle of hues, in three lightnesses.
const lightColours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#56b4e9', '#6a3d9a',
                      '#4d4d4d'];
const darkColours = ['#4aa8e0', '#ff8a3d', '#2fc79b', '#e59fc4', '#e6b800', '#9ad4f5', '#b79ae0',
                     '#b8b8b8'];

function colourOf(rank, dark) {
  const named = dark ? darkColours : lightColours;
  if (rank < named.length) {
    const number = parseInt(named[rank].slice(1), 16);
    return [number >> 16, number >> 8 & 255, number & 255];
  }
  const hue = rank * 137.508 % 360 / 30, light = (dark ? 0.58 : 0.36) + 0.1 * (rank % 3);
  const chroma = 0.62 * Math.min(light, 1 - light);
  return [0, 8, 4].map((n) => {
    const k = (n + hue) % 12;
    return Math.round(255 * (light - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

function scatterBlock(block) {
  const place = element('div');
  if (block.points === 0) return element('p', {class: 'note'}, 'No points.');
  new Scatter(block, place);
  return place;
}

const legendRows = 500;

class Scatter {
  constructor(block, place) {
    this.block = block;
    this.count = block.points;
    // Points are drawn in another order than they have, so that no label lies on top of the others:
    // the k-th is number k * step % count.
    this.step = Math.max(1, Math.floor(this.count * 0.618));
    while (gcd(this.step, this.count) !== 1) ++this.step;
    this.axes = [0, Math.min(1, block.components.length - 1)];  // components across and up
    this.values = [];
    this.shown = new Uint8Array(block.labels.length).fill(1);
    this.selected = null;  // of each point whether it is, in drawing order; null: none is
    this.pictures = new Map(block.pictures);
    this.hovered = -1;
    this.makeElements(place);
    this.listen();
    this.load();
  }

  makeElements(place) {
    const choose = (axis, text) => {
      const select = element('select');
      this.block.components.forEach((component, i) => {
        const option = element('option', {value: String(i)},
                               `PC ${i + 1} (${writers.share(component.share)})`);
        option.selected = i === this.axes[axis];
        select.append(option);
      });
      select.addEventListener('change', () => {
        this.axes[axis] = Number(select.value);
        this.load();
      });
      return element('label', {}, text, select);
    };
    const button = (text, act, attributes = {}) => {
      const made = element('button', {type: 'button', ...attributes}, text);
      made.addEventListener('click', act);
      return made;
    };
    this.lassoButton = button('Lasso', () => this.setDrawing(!this.drawing), {'aria-pressed': 'false'});
    this.canvas = element('canvas', {tabindex: '0', role: 'application'});
    this.canvas.setAttribute('aria-label',
      `Scatter plot of ${writers.count(this.count)} images. Arrow keys move, plus and minus zoom, ` +
      '0 shows all, n goes from point to point.');
    this.tip = element('div', {class: 'tip', hidden: ''});
    this.plot = element('div', {class: 'plot'}, this.canvas, this.tip);

    this.search = element('input', {type: 'search', 'aria-label': 'Find a label',
                                    placeholder: 'Find a label'});
    this.list = element('ul', {'aria-label': 'Labels'});
    this.listMore = element('p', {class: 'more'});
    const legend = element('div', {class: 'legend'}, this.search,
      element('div', {class: 'row'}, button('All', () => this.showAll(1)),
              button('None', () => this.showAll(0))), this.list, this.listMore);

    this.status = element('p', {class: 'more', role: 'status'});
    this.copyButton = button('Copy paths', () => this.copy());
    this.clearButton = button('Clear', () => this.select(null));
    this.strip = element('div', {class: 'strip'});
    this.byLabel = element('div');
    this.chosen = element('div', {class: 'chosen', hidden: ''},
      element('div', {class: 'row'}, this.copyButton, this.clearButton), this.byLabel, this.strip);
    place.append(
      element('div', {class: 'controls'}, choose(0, 'Across'), choose(1, 'Up'),
              button('+', () => this.zoom(1.5), {'aria-label': 'Zoom in'}),
              button('−', () => this.zoom(1 / 1.5), {'aria-label': 'Zoom out'}),
              button('Show all', () => this.fit()), this.lassoButton,
              button('Select what is in view', () => this.selectView())),
      element('div', {class: 'scatter'}, this.plot, legend), this.status, this.chosen);

    this.ranks = new Uint32Array(this.block.labels.length);
    this.order = [...this.block.labels.keys()]
      .sort((a, b) => this.block.counts[b] - this.block.counts[a] || a - b);
    this.order.forEach((label, rank) => { this.ranks[label] = rank; });
    this.setColours();
    this.makeLegend();
  }

  setColours() {
    this.dark = isDark();
    this.colours = new Uint32Array(this.block.labels.length);
    this.ranks.forEach((rank, label) => {
      const [red, green, blue] = colourOf(rank, this.dark);
      this.colours[label] = 0xff000000 | blue << 16 | green << 8 | red;
    });
  }

  makeLegend() {
    const wanted = this.search.value.toLowerCase();
    const found = this.order.filter((l) => this.block.labels[l].toLowerCase().includes(wanted));
    this.list.replaceChildren(...found.slice(0, legendRows).map((label) => {
      const box = element('input', {type: 'checkbox'});
      box.checked = this.shown[label] === 1;
      box.addEventListener('change', () => {
        this.shown[label] = box.checked ? 1 : 0;
        this.draw();
      });
      const swatch = element('span', {class: 'swatch'});
      swatch.style.background = `rgb(${colourOf(this.ranks[label], this.dark).join(' ')})`;
      return element('li', {}, element('label', {}, box, swatch,
        element('span', {class: 'name'}, written(this.block.labels[label], 'text')),
        element('span', {class: 'count'}, writers.count(this.block.counts[label]))));
    }));
    const rest = found.length - legendRows;
    this.listMore.textContent = rest > 0 ? `and ${writers.count(rest)} more labels: search for them` : '';
  }

  // All labels that the legend has now.
  showAll(value) {
    const wanted = this.search.value.toLowerCase();
    this.block.labels.forEach((name, label) => {
      if (name.toLowerCase().includes(wanted)) this.shown[label] = value;
    });
    this.makeLegend();
    this.draw();
  }

  // In drawing order.
  permuted(values, type) {
    const made = new type(this.count);
    for (let k = 0, point = 0; k < this.count; ++k) {
      made[k] = values[point];
      point += this.step;
      if (point >= this.count) point -= this.count;
    }
    return made;
  }

  point(k) { return k * this.step % this.count; }

  async axis(i) {
    if (!this.values[i]) {
      this.values[i] = this.permuted(await unpacked(this.block.components[i], this.count), Float32Array);
    }
    return this.values[i];
  }

  async load() {
    if (!self.DecompressionStream) {
      this.status.textContent = 'This browser is too old to unpack the points.';
      return;
    }
    if (!this.labels) {
      this.labels = this.permuted(await unpacked(this.block.point_labels, this.count), Uint16Array);
    }
    const [across, up] = this.axes;
    const xs = await this.axis(across), ys = await this.axis(up);
    if (this.axes[0] !== across || this.axes[1] !== up) return;  // chosen meanwhile
    [this.xs, this.ys] = [xs, ys];
    this.hover(-1);
    this.fit();
    this.paint();
    performance.mark('first drawing');
    this.plot.dataset.ready = 'yes';
  }

  // The text of a path, once it is there; of those that the page does not hold nothing.
  async path(point) {
    if (!this.block.paths) return '';
    this.paths ??= unpacked(this.block.paths);
    return point < this.block.path_count ? (await this.paths)[point] : '';
  }

  fit() {
    const span = (values) => {
      let low = Infinity, high = -Infinity;
      for (let k = 0; k < values.length; ++k) {
        if (values[k] < low) low = values[k];
        if (values[k] > high) high = values[k];
      }
      const margin = (high - low || 1) * 0.04;
      return [low - margin, high + margin];
    };
    [this.left, this.right] = span(this.xs);
    [this.low, this.high] = span(this.ys);
    this.draw();
  }

  listen() {
    const {canvas} = this;
    this.search.addEventListener('input', () => this.makeLegend());
    this.watchSize();
    whenColoursChange(() => {
      this.setColours();
      this.makeLegend();
      this.paint();
    });
    this.pointers = new Map();
    this.pressed = [];
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      // A second finger is no tap.
      this.pressed = this.pointers.size === 1 ? [event.offsetX, event.offsetY] : [];
      this.lasso = this.drawing || event.shiftKey ? [[event.offsetX, event.offsetY]] : null;
    });
    canvas.addEventListener('pointermove', (event) => this.moved(event));
    const ended = (event) => {
      this.pointers.delete(event.pointerId);
      const [x, y] = this.pressed, tapped = Math.hypot(event.offsetX - x, event.offsetY - y) < 5;
      if (this.lasso) this.selectLasso();
      else if (isFinger(event) && tapped && this.xs) this.hover(this.nearest(x, y));
    };
    canvas.addEventListener('pointerup', ended);
    canvas.addEventListener('pointercancel', ended);
    canvas.addEventListener('pointerleave', (event) => {
      if (!isFinger(event)) this.hover(-1);
    });
    canvas.addEventListener('dblclick', () => this.fit());
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event.offsetX, event.offsetY);
    }, {passive: false});
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  // A canvas is sharp if it has as many pixels as the screen has in its place, which is what the
  // browser rounds to.
  watchSize() {
    const sized = new ResizeObserver(([{devicePixelContentBoxSize: told}]) => {
      this.told = told && [told[0].inlineSize, told[0].blockSize];
      this.draw();
    });
    try {
      sized.observe(this.canvas, {box: 'device-pixel-content-box'});
    } catch {
      sized.observe(this.canvas);  // not every browser tells
    }
  }

  // In pixels of the screen. What the observer told is of the true screen: not of one that the
  // browser pretends to have, nor of the one before.
  size(ratio) {
    const own = [this.canvas.clientWidth * ratio, this.canvas.clientHeight * ratio];
    const near = this.told && own.every((length, i) => Math.abs(length - this.told[i]) <= 2);
    return near ? this.told : own.map(Math.round);
  }

  key(event) {
    const moves = {ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]};
    if (!this.xs || event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) this.pan(...moves[event.key]);
    else if (event.key === '+' || event.key === '=') this.zoom(1.25);
    else if (event.key === '-') this.zoom(0.8);
    else if (event.key === '0') this.fit();
    else if (event.key === 'n') this.next();
    else if (event.key === 'Escape') this.select(null);
    else return;
    event.preventDefault();
  }

  moved(event) {
    if (!this.xs) return;
    const at = [event.offsetX, event.offsetY], before = this.pointers.get(event.pointerId);
    if (!before) {
      this.pointer = at;
      this.hoverSoon ??= requestAnimationFrame(() => {
        this.hoverSoon = undefined;
        this.hover(this.nearest(...this.pointer));
      });
      return;
    }
    if (this.lasso) {
      this.lasso.push(at);
      this.draw();
    } else if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map((p) => p[1]);
      const apart = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
      this.zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    } else {
      this.pan(at[0] - before[0], at[1] - before[1]);
    }
    this.pointers.set(event.pointerId, at);
  }

  get inner() {
    const {clientWidth, clientHeight} = this.canvas;
    return {left: 52, top: 8, width: Math.max(1, clientWidth - 60), height: Math.max(1, clientHeight - 40)};
  }

  pan(dx, dy) {
    const {width, height} = this.inner;
    const x = dx / width * (this.right - this.left), y = dy / height * (this.high - this.low);
    this.left -= x; this.right -= x; this.low += y; this.high += y;
    this.draw();
  }

  // Around a place of the canvas, or else its middle.
  zoom(factor, x, y) {
    if (!this.xs) return;
    const {left, top, width, height} = this.inner;
    const fx = x === undefined ? 0.5 : (x - left) / width, fy = y === undefined ? 0.5 : (y - top) / height;
    const wide = this.right - this.left, tall = this.high - this.low;
    if (wide / factor < 1e-9 * Math.max(1, Math.abs(this.left)) || wide / factor > 1e12) return;
    const cx = this.left + fx * wide, cy = this.high - fy * tall;
    this.left = cx - fx * wide / factor; this.right = this.left + wide / factor;
    this.high = cy + fy * tall / factor; this.low = this.high - tall / factor;
    this.draw();
  }

  draw() {
    if (!this.xs) return;
    this.drawSoon ??= requestAnimationFrame(() => this.paint());
  }

  // From values to places on the canvas: x * a + b.
  get scale() {
    const {left, top, width, height} = this.inner;
    const ax = width / (this.right - this.left), ay = -height / (this.high - this.low);
    return {ax, bx: left - this.left * ax, ay, by: top - this.high * ay};
  }

  paint() {
    this.drawSoon = undefined;
    if (!this.xs) return;
    const {canvas} = this, ratio = devicePixelRatio || 1;
    const [wide, tall] = this.size(ratio);
    if (wide === 0 || tall === 0) return;
    if (canvas.width !== wide || canvas.height !== tall) {
      canvas.width = wide;
      canvas.height = tall;
      this.context = canvas.getContext('2d');
    }
    this.paintPoints(ratio);
    this.paintAxes(ratio);
    if (this.lasso) this.paintLasso(ratio);
    if (this.hovered >= 0) this.placeTip(this.hovered);
  }

  // The side of a point in pixels of the device.
  pointSide(ratio) {
    const side = this.count > 200000 ? 1.3 : this.count > 30000 ? 2 : this.count > 3000 ? 3 : 5;
    return Math.max(1, Math.round(side * ratio));
  }

  paintPoints(ratio) {
    const {left, top, width, height} = this.inner;
    const x0 = Math.round(left * ratio), y0 = Math.round(top * ratio);
    const wide = Math.max(1, Math.round(width * ratio)), tall = Math.max(1, Math.round(height * ratio));
    if (!this.image || this.image.width !== wide || this.image.height !== tall) {
      this.image = this.context.createImageData(wide, tall);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const {pixels, xs, ys, labels, shown, colours, selected, count} = this;
    const paper = this.dark ? 0xff1f1914 : 0xffffffff, dim = this.dark ? 0xff453c33 : 0xffdedbd8;
    pixels.fill(paper);
    const side = this.pointSide(ratio), half = side >> 1;
    const s = this.scale;
    const ax = s.ax * ratio, bx = s.bx * ratio - x0 - half, ay = s.ay * ratio, by = s.by * ratio - y0 - half;
    // What of the points `wanted` is drawn in the colours of their labels; 0: not at all.
    const paintThose = (wanted, palette) => {
      for (let k = 0; k < count; ++k) {
        const colour = palette[labels[k]];
        if (colour === 0 || (selected && selected[k] !== wanted)) continue;
        const fx = xs[k] * ax + bx, fy = ys[k] * ay + by;
        if (!(fx >= 0 && fy >= 0 && fx <= wide - side && fy <= tall - side)) continue;
        const first = (fy | 0) * wide + (fx | 0);
        if (side === 1) {
          pixels[first] = colour;
          continue;
        }
        for (let j = first, end = first + side * wide; j < end; j += wide) {
          for (let i = 0; i < side; ++i) pixels[j + i] = colour;
        }
      }
    };
    if (selected) paintThose(0, colours.map((colour, label) => shown[label] ? dim : 0));
    paintThose(1, colours.map((colour, label) => shown[label] ? colour : 0));
    this.context.putImageData(this.image, x0, y0);
  }

  paintAxes(ratio) {
    const {context, canvas} = this, {left, top, width, height} = this.inner;
    const style = getComputedStyle(canvas);
    const soft = style.getPropertyValue('--soft'), line = style.getPropertyValue('--line');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const plot = style.getPropertyValue('--plot');
    context.fillStyle = plot;
    const outerWidth = left + width + 8, outerHeight = top + height + 32;
    context.fillRect(0, 0, left, outerHeight);
    context.fillRect(0, top + height, outerWidth, 32);
    context.fillRect(0, 0, outerWidth, top);
    context.fillRect(left + width, 0, 8, outerHeight);
    context.strokeStyle = line;
    context.strokeRect(left - 0.5, top - 0.5, width + 1, height + 1);
    context.fillStyle = soft;
    context.font = '11px system-ui, sans-serif';
    const s = this.scale;
    context.textAlign = 'center';
    for (const tick of ticks(this.left, this.right, width / 90)) {
      context.fillText(tick.text, tick.value * s.ax + s.bx, top + height + 14);
    }
    context.fillText(`PC ${this.axes[0] + 1}`, left + width / 2, top + height + 28);
    context.textAlign = 'right';
    for (const tick of ticks(this.low, this.high, height / 60)) {
      context.fillText(tick.text, left - 6, tick.value * s.ay + s.by + 4);
    }
    context.save();
    context.translate(12, top + height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = 'center';
    context.fillText(`PC ${this.axes[1] + 1}`, 0, 0);
    context.restore();
    if (this.hovered >= 0) {
      context.strokeStyle = style.getPropertyValue('--ink');
      context.lineWidth = 2;
      context.beginPath();
      context.arc(this.xs[this.hovered] * s.ax + s.bx, this.ys[this.hovered] * s.ay + s.by, 7, 0, 7);
      context.stroke();
      context.lineWidth = 1;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  paintLasso(ratio) {
    const {context} = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = getComputedStyle(this.canvas).getPropertyValue('--focus');
    context.lineWidth = 2;
    context.beginPath();
    for (const [x, y] of this.lasso) context.lineTo(x, y);
    context.closePath();
    context.stroke();
    context.lineWidth = 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  // The shown point next to a place of the canvas, within twelve pixels; -1: none.
  nearest(x, y) {
    const {xs, ys, labels, shown, count} = this, {ax, bx, ay, by} = this.scale;
    let best = 144, found = -1;
    for (let k = 0; k < count; ++k) {
      const dx = xs[k] * ax + bx - x, dy = ys[k] * ay + by - y, far = dx * dx + dy * dy;
      if (far < best && shown[labels[k]]) [best, found] = [far, k];
    }
    return found;
  }

  async hover(k) {
    if (k === this.hovered) return;
    this.hovered = k;
    this.tip.hidden = k < 0;
    this.draw();
    if (k < 0) return;
    const point = this.point(k);
    this.describe(k, '');
    const path = await this.path(point);
    if (this.hovered === k) this.describe(k, path);
  }

  describe(k, path) {
    const point = this.point(k), label = this.block.labels[this.labels[k]];
    const [across, up] = this.axes;
    const lines = [element('strong', {}, written(label, 'text'))];
    if (path) lines.push(element('div', {}, path));
    else if (this.block.points === this.block.rows) lines.push(element('div', {}, `row ${writers.count(point + 1)} of the tables`));
    lines.push(element('div', {class: 'empty'}, `PC ${across + 1} ${this.xs[k].toPrecision(5)}, ` +
      `PC ${up + 1} ${this.ys[k].toPrecision(5)}`));
    if (this.pictures.has(point)) lines.unshift(picture(this.pictures.get(point), ''));
    this.tip.replaceChildren(...lines);
    this.placeTip(k);
  }

  // Beside its point, else above or below it.
  placeTip(k) {
    const {ax, bx, ay, by} = this.scale, x = this.xs[k] * ax + bx, y = this.ys[k] * ay + by;
    const {clientWidth, clientHeight} = this.plot, {offsetWidth, offsetHeight} = this.tip;
    const within = (at, length, room) => Math.max(4, Math.min(at, room - length - 4));
    let left = x + 14, top = y - offsetHeight / 2;
    if (left + offsetWidth > clientWidth) left = x - 14 - offsetWidth;
    if (left < 0) {
      left = x - offsetWidth / 2;
      top = y - 14 - offsetHeight < 0 ? y + 14 : y - 14 - offsetHeight;
    }
    this.tip.style.left = within(left, offsetWidth, clientWidth) + 'px';
    this.tip.style.top = within(top, offsetHeight, clientHeight) + 'px';
  }

  // To the next point that is in view, for those who have no pointer.
  next() {
    const {ax, bx, ay, by} = this.scale, {left, top, width, height} = this.inner;
    for (let i = 1; i <= this.count; ++i) {
      const k = (this.hovered + i) % this.count;
      const x = this.xs[k] * ax + bx - left, y = this.ys[k] * ay + by - top;
      if (this.shown[this.labels[k]] && x >= 0 && y >= 0 && x <= width && y <= height) {
        this.hover(k).then(() => { this.status.textContent = this.tip.textContent; });
        return;
      }
    }
  }

  setDrawing(drawing) {
    this.drawing = drawing;
    this.lassoButton.setAttribute('aria-pressed', String(drawing));
    this.canvas.classList.toggle('drawing', drawing);
  }

  selectLasso() {
    const outline = this.lasso;
    this.lasso = null;
    if (outline.length < 3) return this.select(null);
    const {ax, bx, ay, by} = this.scale;
    this.selectWhere((k) => isInside(outline, this.xs[k] * ax + bx, this.ys[k] * ay + by));
  }

  selectView() {
    this.selectWhere((k) => this.xs[k] >= this.left && this.xs[k] <= this.right &&
                            this.ys[k] >= this.low && this.ys[k] <= this.high);
  }

  selectWhere(test) {
    const selected = new Uint8Array(this.count);
    for (let k = 0; k < this.count; ++k) {
      if (this.shown[this.labels[k]] && test(k)) selected[k] = 1;
    }
    this.select(selected);
  }

  select(selected) {
    this.selected = selected;
    const counts = new Map();
    const points = [];
    if (selected) {
      for (let point = 0, k = 0; k < this.count; ++k) {
        if (selected[k]) {
          points.push(point);
          counts.set(this.labels[k], (counts.get(this.labels[k]) || 0) + 1);
        }
        point += this.step;
        if (point >= this.count) point -= this.count;
      }
    }
    this.chosenPoints = Uint32Array.from(points).sort();
    if (points.length === 0) this.selected = null;
    this.chosen.hidden = points.length === 0;
    this.status.textContent = points.length > 0 ? `${writers.count(points.length)} images selected` :
      selected ? 'No image selected' : '';
    const rows = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12)
      .map(([label, count]) => [this.block.labels[label], count]);
    const more = counts.size - rows.length;
    this.byLabel.replaceChildren(...(rows.length === 0 ? [] : [barsBlock({
      title: 'Selected images by label', columns: [{name: 'label', kind: 'text'},
                                                   {name: 'images', kind: 'count'}],
      rows, more: more > 0 ? `and ${writers.count(more)} more labels` : ''})]));
    const seen = [];
    for (const point of this.chosenPoints) {
      if (seen.length < 48 && this.pictures.has(point)) seen.push(this.pictures.get(point));
    }
    this.strip.replaceChildren(...seen.map((base64) => picture(base64, 'A selected image')));
    this.draw();
  }

  async copy() {
    const paths = [];
    for (const point of this.chosenPoints) {
      const path = await this.path(point);
      if (path) paths.push(path);
    }
    await copied(paths.join('\n'));
    const missing = this.chosenPoints.length - paths.length;
    this.status.textContent = `${writers.count(paths.length)} paths copied` +
      (missing > 0 ? `; ${writers.count(missing)} are not in this page` : '');
  }
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Where the page may not, as in some frames, the old way.
    const area = element('textarea', {'aria-hidden': 'true'});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

// Fingers never hover: what they tap on is shown till they tap elsewhere.
function isFinger(event) { return event.pointerType === 'touch'; }

function gcd(a, b) { return b === 0 ? a : gcd(b, a % b); }

function isInside(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [ax, ay] = outline[i], [bx, by] = outline[j];
    if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

// About so many round numbers in a range.
function ticks(low, high, many) {
  const rough = (high - low) / Math.max(1, many), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const made = [];
  for (let i = Math.ceil(low / step); i * step <= high; ++i) {
    made.push({value: i * step, text: digits > 6 ? (i * step).toPrecision(3) : (i * step).toFixed(digits)});
  }
  return made;
}
