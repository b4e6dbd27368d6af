// The maps of every layer, each activation on one canvas.
"use strict";

const GAP = 6;
const FONT = getComputedStyle(document.body).fontFamily;
const views = []; // views[k] shows activation k: 0 is the input, k + 1 the output of layer k

// The side of the two pictures of the input, which stand side by side on a phone too.
const pictureSide = () => Math.min(196, byId("inputs").clientWidth / 2 - 18);

// What is scrolled out of sight is not painted.
const onScreen = new IntersectionObserver(
  (changes) => {
    for (const { target, isIntersecting } of changes) {
      const maps = views.find(({ canvas }) => canvas === target);
      maps.isSeen = isIntersecting;
      maps.paint();
    }
  },
  { rootMargin: "100px" },
);

// Maps one below the other, a pixel for each number.
function stripOf(values, W, most) {
  const data = new ImageData(W, values.length / W),
    rgba = data.data;
  for (let cell = 0; cell < values.length; cell++) {
    const colour = colourOf(values[cell], most);
    rgba[4 * cell] = colour[0];
    rgba[4 * cell + 1] = colour[1];
    rgba[4 * cell + 2] = colour[2];
    rgba[4 * cell + 3] = 255;
  }
  return bitmapOf(data);
}

// All maps of one activation on one canvas. A vector is one map for each unit.
class Maps {
  constructor(k, canvas) {
    Object.assign(this, { k, canvas, shape: imageShape(network.shapes[k]), held: 0, isSeen: false });
    onScreen.observe(canvas);
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", this.label());
    canvas.addEventListener(
      "pointermove",
      (event) => event.pointerType === "mouse" && !unit.isHeld && look(k, this.unitAt(event)),
    );
    canvas.addEventListener("click", (event) => look(k, this.unitAt(event), true));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && look(k, this.held, true));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  label() {
    const [M, H, W] = this.shape,
      what = this.k ? network.layers[this.k - 1].type : "Input";
    const parts = H * W === 1 ? plural(M, "unit") : `${plural(M, "map")} of ${H} by ${W}`;
    const keys = M > 1 && H * W > 1 ? ", page keys from map to map" : "";
    return `${what}: ${parts}. Arrow keys move from unit to unit${keys}.`;
  }

  // How large one map is drawn, in CSS pixels: the more there are, the smaller.
  target() {
    const [M, H, W] = this.shape;
    if (this.k === 0) return M === 1 ? pictureSide() : 130;
    const units = [
      [16, 44],
      [160, 18],
      [1024, 10],
      [Infinity, 5],
    ];
    const maps = [
      [8, 78],
      [32, 56],
      [Infinity, 40],
    ];
    return (H * W === 1 ? units : maps).find(([most]) => M <= most)[1];
  }

  // The size of a cell and the number of columns of maps, for a width in CSS pixels.
  arrange(width) {
    const [M, H, W] = this.shape,
      isVector = H * W === 1,
      isList = isVector && M <= 16,
      target = this.target();
    const names = isList && namesClasses(this.k) ? 17 : 0;
    const whole = this.k === 0 ? Math.floor : Math.round; // the two pictures of the input stand side by side
    const room = target / Math.max(H, W);
    let cell = Math.min(whole(room), Math.floor(width / W)) || Math.min(room, width / W);
    const gap = isVector && !isList ? (cell > 8 ? 2 : 1) : GAP;
    if (isList) cell = Math.max(27, Math.min(cell, Math.floor((width + gap) / M - gap)));
    const fit = Math.max(1, Math.floor((width + gap) / (W * cell + gap)));
    const lines = Math.ceil(M / fit),
      columns = isVector ? Math.min(fit, M) : Math.ceil(M / lines);
    if (!isVector && this.k && columns * (W * (cell + 1) + gap) - gap <= width && W * (cell + 1) < 1.4 * target)
      cell += 1;
    const height = isList ? 30 : H * cell;
    Object.assign(this, { cell, gap, columns, names, isList, width: W * cell, height, lines });
    return sized(this.canvas, columns * (W * cell + gap) - gap, lines * (height + names + gap) - gap);
  }

  corner(map) {
    return [
      (map % this.columns) * (this.width + this.gap),
      Math.floor(map / this.columns) * (this.height + this.names + this.gap),
    ];
  }

  paint(always = false) {
    const context = this.arrange((this.k ? this.canvas.parentElement : byId("inputs")).clientWidth);
    if (!this.isSeen && !always) return;
    const [M, H, W] = this.shape,
      values = activations[this.k],
      most = largest(values);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = this.cell < 1;
    if (this.k === 0) {
      this.paintInput(context, values);
    } else if (H * W === 1) {
      for (let m = 0; m < M; m++) this.paintUnit(context, m, values[m], most);
    } else {
      const together = Math.floor(16384 / H); // no browser draws a much higher picture
      for (let first = 0; first < M; first += together) {
        const end = Math.min(M, first + together),
          strip = stripOf(values.subarray(first * H * W, end * H * W), W, most);
        for (let m = first; m < end; m++)
          context.drawImage(strip, 0, (m - first) * H, W, H, ...this.corner(m), this.width, this.height);
      }
    }
    this.outline(context);
  }

  paintInput(context, pixels) {
    const [C, H, W] = this.shape;
    for (let c = 0; c < C; c++) {
      const plane = imageData(pixels.slice(c * H * W, (c + 1) * H * W), [1, H, W]);
      context.drawImage(bitmapOf(plane), ...this.corner(c), this.width, this.height);
    }
  }

  paintUnit(context, m, value, most) {
    const [x, y] = this.corner(m),
      colour = colourOf(value, most);
    context.fillStyle = colour.css;
    context.fillRect(x, y, this.width, this.height);
    if (!this.isList) return;
    context.textAlign = "center";
    context.fillStyle = readable(colour);
    context.font = `${this.width < 40 ? 10 : 11.5}px ${FONT}`;
    context.fillText(short(value, most, this.width < 40 ? 1 : 2), x + this.width / 2, y + 19);
    if (this.names) {
      context.fillStyle = getComputedStyle(document.body).color;
      context.font = `600 12px ${FONT}`;
      context.fillText(model.classes[m], x + this.width / 2, y + this.height + 14, this.width);
    }
  }

  // The unit that is looked at, or the cells that it was made from.
  outline(context) {
    const box = unit.boxes[this.k];
    if (!box) return;
    const isAll =
      box.maps[1] - box.maps[0] === this.shape[0] && this.shape[1] * this.shape[2] === 1 && this.shape[0] > 1;
    if (isAll) return;
    const dark = isDark(),
      right = parseFloat(this.canvas.style.width),
      bottom = parseFloat(this.canvas.style.height);
    for (let map = box.maps[0]; map < box.maps[1]; map++) {
      const [x, y] = this.corner(map);
      const isVector = this.shape[1] * this.shape[2] === 1;
      const left = x + box.columns[0] * this.cell,
        top = y + box.rows[0] * this.cell;
      const width = isVector ? this.width : (box.columns[1] - box.columns[0]) * this.cell;
      const height = isVector ? this.height : (box.rows[1] - box.rows[0]) * this.cell;
      for (const [colour, line] of [
        [dark ? "#000" : "#fff", 4],
        [dark ? "#fff" : "#000", 2],
      ]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        const x0 = Math.max(1, left - 1),
          y0 = Math.max(1, top - 1);
        context.strokeRect(
          x0,
          y0,
          Math.max(Math.min(left + width + 1, right - 1) - x0, 5),
          Math.max(Math.min(top + height + 1, bottom - 1) - y0, 5),
        );
      }
    }
  }

  // Scroll a unit into sight: on a phone, it would lie under the sheet that tells of it.
  scrollTo(index) {
    const [, H, W] = this.shape,
      sheet = byId("inspector"),
      end = getComputedStyle(sheet).position === "fixed" ? sheet.getBoundingClientRect().top : innerHeight;
    const top = this.canvas.getBoundingClientRect().top + this.corner(Math.floor(index / (H * W)))[1],
      row = top + (Math.floor(index / W) % H) * this.cell,
      below = row + Math.min(this.cell, this.height) + 8 - end;
    if (row < 0 || below > 0) scrollBy(0, Math.min(row - 16, Math.max(below, 0)));
  }

  unitAt(event) {
    const box = this.canvas.getBoundingClientRect(),
      [M, H, W] = this.shape;
    const scale = box.width / parseFloat(this.canvas.style.width);
    const x = (event.clientX - box.left) / scale,
      y = (event.clientY - box.top) / scale;
    const column = clamp(Math.floor(x / (this.width + this.gap)), 0, this.columns - 1);
    const line = clamp(Math.floor(y / (this.height + this.names + this.gap)), 0, this.lines - 1);
    const map = Math.min(line * this.columns + column, M - 1),
      [left, top] = this.corner(map);
    const j = clamp(Math.floor((x - left) / this.cell), 0, W - 1);
    const i = clamp(Math.floor((y - top) / this.cell), 0, H - 1);
    return (map * H + i) * W + j;
  }

  onKey(event) {
    const [M, H, W] = this.shape,
      isVector = H * W === 1;
    let map = Math.floor(this.held / (H * W)),
      i = Math.floor(this.held / W) % H,
      j = this.held % W;
    const [dx, dy] = MOVES[event.key] ?? [0, 0];
    if (event.key === "Escape") return release();
    if (event.key === "PageDown" || event.key === "PageUp") map += event.key === "PageDown" ? 1 : -1;
    else if (!dx && !dy) return undefined;
    else if (isVector) map += dx + dy * this.columns;
    else {
      i = clamp(i + dy, 0, H - 1);
      j = clamp(j + dx, 0, W - 1);
    }
    event.preventDefault();
    if (map >= 0 && map < M) look(this.k, (map * H + i) * W + j, true);
    return undefined;
  }
}

// An activation by its number on the page and the layer that gave it: "3 (ReLU)".
const called = (k) => (k ? `${k} (${network.layers[k - 1].type})` : "the image");

const mapOr = (shape) => (shape.length === 3 ? "map" : "unit");
const LEARNT = "then to a scale and a shift that were learnt";

const DOES = {
  Conv2D: ({ shape, kernel, dilation, groups }) =>
    `${plural(shape[0], "filter")} of ${times(kernel)}: each tells, at every place, how well its pattern fits.` +
    (groups > 1 ? ` The maps are split into ${groups} groups; a filter reads those of its own.` : "") +
    (Math.max(...dilation) > 1 ? ` The cells of a window lie ${times(dilation)} apart.` : ""),
  MaxPool2D: ({ kernel }) => `Of each ${times(kernel)} window only the greatest number is kept.`,
  AveragePool2D: ({ kernel }) => `Of each ${times(kernel)} window the mean is kept.`,
  GlobalAveragePool2D: () => "Of each map only its mean is kept.",
  Dense: ({ shape }) => `${plural(shape[0], "weighted sum")} of all numbers before.`,
  Flatten: () => "The maps are laid out as one long vector.",
  Reshape: () => "The same numbers in another shape.",
  ZeroPad2D: () => "A margin of zeros around each map.",
  Dropout: () => "It silences units at random in training; here it changes nothing.",
  SpatialDropout2D: () => "It silences whole maps at random in training; here it changes nothing.",
  BatchNorm: ({ shape }) => `Each ${mapOr(shape)} is brought to mean 0 and variance 1, ${LEARNT}.`,
  LayerNorm: () => `All numbers together are brought to mean 0 and variance 1, ${LEARNT}.`,
  GroupNorm: ({ groups }) => `Each of ${groups} groups of maps is brought to mean 0 and variance 1, ${LEARNT}.`,
  Residual: ({ reads: [branch, shortcut] }) => `The sum of ${called(branch)} and of ${called(shortcut)}, the shortcut.`,
  ReLU: () => "What is positive passes, nothing else.",
  LeakyReLU: ({ alpha }) => `What is positive passes; of what is negative, ${+(100 * alpha).toPrecision(3)}\u00a0%.`,
  ELU: ({ alpha }) => `What is positive passes; what is negative is bent smoothly towards ${number(-alpha)}.`,
  GELU: () => "A smooth ReLU: what is positive passes nearly whole, of what is negative only a little near 0.",
  SiLU: () => "Each number times its sigmoid: a smooth ReLU that dips a little below 0.",
  Softplus: () => "A smooth ReLU: log(1 + exp(x)), always above 0.",
  Sigmoid: () => "Each number is squashed into 0 … 1.",
  Tanh: () => "Each number is squashed into −1 … 1.",
  Softmax: () => "Scores become probabilities, which add up to 1.",
};

function makeLayers() {
  views.push(new Maps(0, byId("seen")));
  network.layers.forEach((layer, k) => {
    const canvas = h("canvas", { tabIndex: 0 });
    byId("layers").append(
      h(
        "li",
        { style: `--depth:${layer.depth}`, className: layer.depth ? "within" : "" },
        h(
          "div",
          {},
          h("span", { className: "name" }, h("i", { textContent: k + 1 }), layer.type),
          h("span", { className: "made", textContent: times(layer.shape) }),
          layer.type === "Residual" || layer.reads[0] === k
            ? ""
            : h("span", { className: "made", textContent: `reads ${called(layer.reads[0])}` }),
        ),
        h("p", { className: "does", textContent: DOES[layer.type]?.(layer) ?? layer.title }),
        h("div", {}, canvas),
      ),
    );
    views.push(new Maps(k + 1, canvas));
  });
}
