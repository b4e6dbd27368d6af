// What one sees: the pad, the answer, the maps of all layers, and the unit that is looked at.
"use strict";

const model = JSON.parse(document.getElementById("model").textContent);
const network = unpack(model);
const inputShape = imageShape(model.inputShape);
const [CHANNELS, HEIGHT, WIDTH] = inputShape;

const byId = (id) => document.getElementById(id);

// ---------------------------------------------------------------------------------------------------- small helpers

// An element: h("li", {className: "x"}, "text", child, …).
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "style") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

const number = (value) => {
  if (value === null) return "";
  const size = Math.abs(value);
  const text = size >= 1000 ? size.toPrecision(4) : size >= 100 ? size.toFixed(1) : size >= 10 ? size.toFixed(2) : size.toFixed(3);
  return (value < 0 && Number(text) !== 0 ? "−" : "") + text;
};
const short = (value, digits) => value.toFixed(digits).replace(/^-(?=0[.0]*$)/, "").replace("-", "−");
const signed = (value) => (value < 0 ? "− " : "+ ") + number(Math.abs(value));
const percent = (share) => {
  if (share < 0.0005) return "< 0.1 %";
  if (share > 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
};
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const times = (sizes) => sizes.join(" × ");

// --------------------------------------------------------------------------------------------------------- colours

// Blue for negative, the card's own colour for 0, orange for positive: also told apart by those who see few colours.
const STOPS = {
  light: { zero: [255, 255, 255], positive: [[244, 146, 66], [150, 52, 0]], negative: [[104, 160, 232], [12, 52, 138]], ink: [20, 19, 18], paper: [255, 255, 255] },
  dark: { zero: [37, 41, 51], positive: [[226, 116, 38], [255, 214, 160]], negative: [[58, 118, 214], [178, 214, 255]], ink: [250, 248, 243], paper: [16, 18, 23] },
};
let colours = STOPS.light;
const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const between = (a, b, share) => a.map((from, k) => Math.round(from + (b[k] - from) * share));

// The colours of -1 … 1 in 255 steps, made once for each theme.
let palette = [];
function makePalette() {
  colours = isDark() ? STOPS.dark : STOPS.light;
  palette = Array.from({ length: 255 }, (_, k) => {
    const value = (k - 127) / 127, size = Math.abs(value), [half, full] = value < 0 ? colours.negative : colours.positive;
    const colour = size < 0.5 ? between(colours.zero, half, size * 2) : between(half, full, size * 2 - 1);
    return Object.assign(colour, { css: css(colour) });
  });
}
const colourOf = (value, most) => palette[127 + Math.round(127 * clamp(most ? value / most : 0, -1, 1))];
const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
// Black or white, whichever has more contrast with it (WCAG 2, relative luminance).
const readable = (colour) => {
  const [red, green, blue] = colour.map((part) => (part <= 10 ? part / 3295 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
};
const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

// Pixels of an image (C, H, W) as RGBA; grey ones as ink on paper, in the colours of the theme.
function imageData(pixels, [C, H, W] = inputShape) {
  const data = new ImageData(W, H);
  const isUnit = pixels.every((value) => value >= 0 && value <= 1);
  const least = isUnit ? 0 : Math.min(...pixels), most = isUnit ? 1 : Math.max(...pixels);
  const share = (value) => (value - least) / (most - least || 1);
  for (let cell = 0; cell < H * W; cell++) {
    const rgb = C === 3
      ? [0, 1, 2].map((c) => 255 * share(pixels[c * H * W + cell]))
      : between(colours.paper, colours.ink, share(pixels[cell]));
    data.data.set([...rgb, 255], 4 * cell);
  }
  return data;
}

function bitmapOf(data) {
  const canvas = h("canvas", { width: data.width, height: data.height });
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas;
}

// Give a canvas its size in CSS pixels, sharp on every screen; its context draws in CSS pixels.
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.imageSmoothingEnabled = false;
  return context;
}

// ---------------------------------------------------------------------------------------------------- what is drawn

// The drawing: strokes, or a test image. Its past is a list of drawings, for undo.
let drawing = { image: null, strokes: [] };
const past = [];
const tests = model.images.map(({ pixels, bytes, truth }) => {
  const raw = bytesOf(pixels);
  return { truth, pixels: bytes ? Float32Array.from(raw, (byte) => byte / 255) : new Float32Array(raw.buffer) };
});

function change(next) {
  past.push(drawing);
  if (past.length > 200) past.shift();
  drawing = next;
  refresh();
}
function undo() {
  if (past.length) drawing = past.pop();
  refresh();
}
const isBlank = () => drawing.image === null && !drawing.strokes.length;
const clear = () => !isBlank() && change({ image: null, strokes: [] });
const pixelsOf = () => (drawing.image === null ? inkOf(drawing.strokes, WIDTH, model.isDigit) : tests[drawing.image].pixels);

// ----------------------------------------------------------------------------------------------- the whole, computed

let activations = [], probabilities = [], explained = null; // explained: the class that was asked about, or null
let frame = 0;

// Compute and draw everything once, before the screen is drawn next.
function refresh() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    compute();
    paint();
    explainSoon();
    speakSoon();
  });
}

function compute() {
  activations = forward(network, pixelsOf());
  probabilities = probabilitiesOf(network, activations[activations.length - 1]);
}

function paint() {
  paintPad();
  paintAnswer();
  for (const maps of views) maps.paint();
  paintUnit();
}

const bestClass = () => probabilities.indexOf(Math.max(...probabilities));

// ----------------------------------------------------------------------------------------------------------- the pad

const pad = byId("pad");
let cursor = null, isPenDown = false, pointer = null; // the cursor is the keyboard's pen

function paintPad() {
  const side = pad.clientWidth;
  if (!side) return;
  const ratio = window.devicePixelRatio || 1;
  if (pad.width !== Math.round(side * ratio)) pad.width = pad.height = Math.round(side * ratio);
  const context = pad.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = css(colours.paper);
  context.fillRect(0, 0, side, side);
  if (drawing.image !== null) {
    context.imageSmoothingEnabled = false;
    const scale = side / Math.max(WIDTH, HEIGHT);
    const [width, height] = [WIDTH * scale, HEIGHT * scale];
    context.drawImage(bitmapOf(imageData(activations[0])), (side - width) / 2, (side - height) / 2, width, height);
  }
  context.strokeStyle = css(colours.ink);
  context.lineCap = context.lineJoin = "round";
  for (const { points, width } of drawing.strokes) {
    context.lineWidth = width * side;
    context.beginPath();
    points.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x * side, y * side));
    if (points.length === 1) context.lineTo(points[0][0] * side, points[0][1] * side);
    context.stroke();
  }
  if (cursor && document.activeElement === pad) {
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    context.lineWidth = isPenDown ? 5 : 2.5;
    context.beginPath();
    context.arc(cursor[0] * side, cursor[1] * side, 11, 0, 7);
    context.stroke();
  }
  byId("undo").disabled = !past.length;
  byId("clear").disabled = isBlank();
  byId("invitation").textContent = model.isDrawn && (isBlank() || !past.length) ? (model.isDigit ? "Draw a digit here" : "Draw here") : "";
  [...byId("images").children].forEach((button, k) => button.setAttribute("aria-pressed", drawing.image === k));
}

const penWidth = () => Number(document.querySelector("#pens input:checked").value);

function startStroke(point) {
  const strokes = drawing.image === null ? drawing.strokes : [];
  change({ image: null, strokes: [...strokes, { width: penWidth(), points: [point] }] });
}
// The last stroke is replaced and not changed: drawings of the past keep theirs.
function extendStroke(points) {
  const strokes = drawing.strokes.slice(), last = strokes.pop();
  const [x0, y0] = last.points[last.points.length - 1];
  const far = points.filter(([x, y]) => Math.hypot(x - x0, y - y0) > 0.004);
  if (!far.length) return;
  drawing = { image: null, strokes: [...strokes, { ...last, points: [...last.points, ...far] }] };
  refresh();
}

function onPad(event) {
  const box = pad.getBoundingClientRect();
  return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)];
}
function listenToPen() {
  pad.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button > 0) return;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
    cursor = null;
    isPenDown = false;
    startStroke(onPad(event));
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    extendStroke((events.length ? events : [event]).map(onPad));
  });
  const lift = (event) => {
    if (event.pointerId === pointer) pointer = null;
  };
  pad.addEventListener("pointerup", lift);
  pad.addEventListener("pointercancel", lift);
}

// Keys that are held together move the pen diagonally.
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function listenToKeys() {
  const held = new Set();
  pad.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in MOVES) {
      held.add(event.key);
      const [x, y] = cursor ?? [0.5, 0.5];
      const [dx, dy] = [...held].reduce(([a, b], key) => [a + MOVES[key][0], b + MOVES[key][1]], [0, 0]);
      cursor = [clamp(x + dx * 0.03, 0.03, 0.97), clamp(y + dy * 0.03, 0.03, 0.97)];
      if (isPenDown) extendStroke([cursor]);
    } else if (event.key === " " || event.key === "Enter") {
      cursor ??= [0.5, 0.5];
      isPenDown = !isPenDown;
      if (isPenDown) startStroke(cursor);
      say(isPenDown ? "Pen down" : "Pen up");
    } else if (event.key === "u" || event.key === "U") {
      isPenDown = false;
      undo();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      isPenDown = false;
      clear();
    } else return;
    event.preventDefault();
    refresh();
  });
  pad.addEventListener("keyup", (event) => held.delete(event.key));
  pad.addEventListener("focus", () => {
    if (pad.matches(":focus-visible")) cursor ??= [0.5, 0.5];
    refresh();
  });
  pad.addEventListener("blur", () => {
    held.clear();
    isPenDown = false;
    refresh();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.shiftKey) {
      undo();
      event.preventDefault();
    }
  });
}

// -------------------------------------------------------------------------------------------------------- the answer

const ranks = () => [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
let rows = []; // one for each class that is listed: {k, element, bar, share}

function makeChances() {
  const listed = model.classes.length <= 12 ? [...model.classes.keys()] : Array(10).fill(0);
  const width = Math.min(8, Math.max(...model.classes.map((name) => name.length)) * 0.62);
  byId("chances").style.setProperty("--names", `${Math.max(1.2, width)}em`);
  byId("answer").classList.toggle("words", model.classes.some((name) => name.length > 3));
  rows = listed.map((k) => {
    const bar = h("i", { className: "bar" }), share = h("span", { className: "share" }), name = h("b");
    const button = h("button", { type: "button" }, name, " ", h("span", { className: "track" }, bar), " ", share);
    const row = { k, element: h("li", {}, button), button, bar, share, name };
    button.addEventListener("click", () => {
      explained = explained === row.k ? null : row.k;
      paintAnswer();
      explainSoon();
    });
    byId("chances").append(row.element);
    return row;
  });
}

function paintAnswer() {
  const best = bestClass(), order = rows.length < model.classes.length ? ranks() : null;
  rows.forEach((row, place) => {
    if (order) row.k = order[place];
    const chance = probabilities[row.k], name = model.classes[row.k];
    row.name.textContent = name;
    row.bar.style.transform = `scaleX(${chance})`;
    row.share.textContent = percent(chance);
    row.element.classList.toggle("first", row.k === best && !isBlank());
    row.button.setAttribute("aria-pressed", row.k === explained);
  });
  const name = model.classes[best], output = byId("best");
  output.textContent = isBlank() ? "–" : name;
  output.classList.toggle("nothing", isBlank());
  const truth = drawing.image === null ? null : tests[drawing.image].truth;
  byId("sure").textContent = isBlank() ? "nothing drawn yet" : `${percent(probabilities[best])} sure`;
  byId("truth").textContent = truth === null ? "" : `${truth === best ? "✓" : "✗"} truth: ${model.classes[truth]}`;
  byId("truth").classList.toggle("right", truth === best);
}

// One sentence for those who do not see the screen, once the hand rests.
let speaking = 0;
function speakSoon() {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    if (!isBlank()) say(`The network says ${model.classes[bestClass()]}, ${byId("sure").textContent}. ${byId("truth").textContent}`);
  }, 700);
}
const say = (text) => {
  byId("spoken").textContent = text;
};

// ---------------------------------------------------------------------------------------------- maps of every layer

const GAP = 6;
const FONT = getComputedStyle(document.body).fontFamily;
const views = []; // views[k] shows activation k: 0 is the input, k + 1 the output of layer k

// The side of the two pictures of the input, which stand side by side on a phone too.
const pictureSide = () => Math.min(196, byId("inputs").clientWidth / 2 - 18);

// What is scrolled out of sight is not painted.
const onScreen = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    const maps = views.find(({ canvas }) => canvas === target);
    maps.isSeen = isIntersecting;
    maps.paint();
  }
}, { rootMargin: "100px" });

// All maps of one activation on one canvas. A vector is one map for each unit.
class Maps {
  constructor(k, canvas) {
    Object.assign(this, { k, canvas, shape: imageShape(network.shapes[k]), held: 0, isSeen: false });
    onScreen.observe(canvas);
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", this.label());
    canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && !unit.isHeld && look(k, this.unitAt(event)));
    canvas.addEventListener("click", (event) => look(k, this.unitAt(event), true));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && look(k, this.held, true));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  label() {
    const [M, H, W] = this.shape, what = this.k ? network.layers[this.k - 1].type : "Input";
    const parts = H * W === 1 ? plural(M, "unit") : `${plural(M, "map")} of ${H} by ${W}`;
    return `${what}: ${parts}. Arrow keys move from unit to unit${M > 1 && H * W > 1 ? ", page keys from map to map" : ""}.`;
  }

  // The size of a cell and the number of columns of maps, for a width in CSS pixels.
  arrange(width) {
    const [M, H, W] = this.shape, isVector = H * W === 1, isList = isVector && M <= 16;
    const target = this.k === 0 ? (M === 1 ? pictureSide() : 130) : isList ? 44 : isVector ? (M <= 160 ? 18 : M <= 1024 ? 10 : 5) : M <= 8 ? 78 : M <= 32 ? 56 : 40;
    const names = isList && namesClasses(this.k) ? 17 : 0;
    let cell = Math.max(1, Math.min(Math.round(target / Math.max(H, W)), Math.floor(width / W)));
    const gap = isVector && !isList ? (cell > 8 ? 2 : 1) : GAP;
    if (isList) cell = Math.max(27, Math.min(cell, Math.floor((width + gap) / M - gap)));
    const fit = Math.max(1, Math.floor((width + gap) / (W * cell + gap)));
    const lines = Math.ceil(M / fit), columns = isVector ? Math.min(fit, M) : Math.ceil(M / lines);
    if (!isVector && this.k && columns * (W * (cell + 1) + gap) - gap <= width && W * (cell + 1) < 1.4 * target) cell += 1;
    const height = isList ? 30 : H * cell;
    Object.assign(this, { cell, gap, columns, names, isList, width: W * cell, height, lines });
    return sized(this.canvas, columns * (W * cell + gap) - gap, lines * (height + names + gap) - gap);
  }

  corner(map) {
    return [(map % this.columns) * (this.width + this.gap), Math.floor(map / this.columns) * (this.height + this.names + this.gap)];
  }

  paint(always = false) {
    const context = this.arrange((this.k ? this.canvas.parentElement : byId("inputs")).clientWidth);
    if (!this.isSeen && !always) return;
    const [M, H, W] = this.shape, values = activations[this.k], most = largest(values);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.k === 0) {
      this.paintInput(context, values);
    } else if (H * W === 1) {
      for (let m = 0; m < M; m++) this.paintUnit(context, m, values[m], most);
    } else {
      const data = new ImageData(W, M * H), rgba = data.data;
      for (let cell = 0; cell < values.length; cell++) {
        const colour = colourOf(values[cell], most);
        rgba[4 * cell] = colour[0];
        rgba[4 * cell + 1] = colour[1];
        rgba[4 * cell + 2] = colour[2];
        rgba[4 * cell + 3] = 255;
      }
      const strip = bitmapOf(data);
      for (let m = 0; m < M; m++) context.drawImage(strip, 0, m * H, W, H, ...this.corner(m), this.width, this.height);
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
    const [x, y] = this.corner(m), colour = colourOf(value, most);
    context.fillStyle = colour.css;
    context.fillRect(x, y, this.width, this.height);
    if (!this.isList) return;
    context.textAlign = "center";
    context.fillStyle = readable(colour);
    context.font = `${this.width < 40 ? 10 : 11.5}px ${FONT}`;
    const digits = this.width < 40 ? 1 : 2;
    context.fillText(short(value, Math.abs(value) < 99.95 ? digits : 0), x + this.width / 2, y + 19);
    if (this.names) {
      context.fillStyle = getComputedStyle(document.body).color;
      context.font = `600 12px ${FONT}`;
      context.fillText(model.classes[m], x + this.width / 2, y + this.height + 14, this.width + this.gap - 2);
    }
  }

  // The unit that is looked at, or the cells that it was made from.
  outline(context) {
    const box = unit.boxes[this.k];
    if (!box) return;
    const isAll = box.maps[1] - box.maps[0] === this.shape[0] && this.shape[1] * this.shape[2] === 1 && this.shape[0] > 1;
    if (isAll) return;
    const dark = isDark();
    for (let map = box.maps[0]; map < box.maps[1]; map++) {
      const [x, y] = this.corner(map);
      const isVector = this.shape[1] * this.shape[2] === 1;
      const left = x + box.columns[0] * this.cell, top = y + box.rows[0] * this.cell;
      const width = isVector ? this.width : (box.columns[1] - box.columns[0]) * this.cell;
      const height = isVector ? this.height : (box.rows[1] - box.rows[0]) * this.cell;
      for (const [colour, line] of [[dark ? "#000" : "#fff", 4], [dark ? "#fff" : "#000", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        context.strokeRect(Math.max(1, left - 1), Math.max(1, top - 1), Math.max(width + 2, 5), Math.max(height + 2, 5));
      }
    }
  }

  unitAt(event) {
    const box = this.canvas.getBoundingClientRect(), [M, H, W] = this.shape;
    const scale = box.width / parseFloat(this.canvas.style.width);
    const x = (event.clientX - box.left) / scale, y = (event.clientY - box.top) / scale;
    const column = clamp(Math.floor(x / (this.width + this.gap)), 0, this.columns - 1);
    const line = clamp(Math.floor(y / (this.height + this.names + this.gap)), 0, this.lines - 1);
    const map = Math.min(line * this.columns + column, M - 1), [left, top] = this.corner(map);
    const j = clamp(Math.floor((x - left) / this.cell), 0, W - 1);
    const i = clamp(Math.floor((y - top) / this.cell), 0, H - 1);
    return (map * H + i) * W + j;
  }

  onKey(event) {
    const [M, H, W] = this.shape, isVector = H * W === 1;
    let map = Math.floor(this.held / (H * W)), i = Math.floor(this.held / W) % H, j = this.held % W;
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
    const { place, value } = nameOf(this.k, this.held);
    say(`${place}: ${number(value)}`);
    return undefined;
  }
}

// -------------------------------------------------------------------------------------------------- the unit, explained

// What is looked at: unit `index` of activation k, and the boxes of cells that it was made from.
const unit = { k: null, index: 0, isHeld: false, channel: null, boxes: [] };

function look(k, index, isHeld = false) {
  if (unit.k !== k || unit.index !== index) unit.channel = null;
  Object.assign(unit, { k, index, isHeld, boxes: fieldOf(network, k, index) });
  views[k].held = index;
  document.documentElement.classList.toggle("holding", isHeld);
  byId("release").hidden = !isHeld;
  for (const maps of views) maps.paint();
  paintUnit();
}
function release() {
  unit.isHeld = false;
  document.documentElement.classList.remove("holding");
  byId("release").hidden = true;
}

// Whether the units of an activation stand for the classes: the outputs, and the scores before a final Softmax.
const namesClasses = (k) =>
  sizeOf(network.shapes[k]) === model.classes.length && k >= network.layers.length - (network.ending === "softmax" ? 1 : 0);

// What to call a unit, and its number.
function nameOf(k, index) {
  const [, H, W] = imageShape(network.shapes[k]), value = activations[k][index];
  const map = Math.floor(index / (H * W)), row = Math.floor(index / W) % H, column = index % W;
  const noun = k > 0 && network.layers[k - 1].type === "Conv2D" ? "filter" : k ? "map" : "channel";
  const place = H * W === 1
    ? namesClasses(k) ? `class ${model.classes[map]}` : `unit ${map + 1}`
    : `${noun} ${map + 1}, row ${row + 1}, column ${column + 1}`;
  return { place, value, map, row, column };
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

// A matrix of numbers as coloured cells.
function grid(values, columns, most, { won = -1, title }) {
  const isPlain = values.length > 25, size = isPlain ? `${clamp(Math.floor(110 / columns), 4, 14)}px` : columns > 3 ? "31px" : "minmax(28px, 1fr)";
  const cells = values.map((value, cell) => {
    const colour = value === null ? null : colourOf(value, most);
    const text = isPlain || value === null ? "" : short(value, Math.abs(value) >= 99.5 ? 0 : 2);
    return h("span", {
      className: cell === won ? "won" : "",
      style: colour ? `background:${colour.css};color:${readable(colour)}` : "border:1px dashed var(--line)",
      textContent: text,
    });
  });
  const matrix = h("div", { className: isPlain ? "grid plain" : "grid", style: `grid-template-columns:repeat(${columns},${size})` }, ...cells);
  return h("div", {}, matrix, title);
}

// A list of terms of a sum, the largest ones; the others are added up.
function terms(list, { limit = 8, pick = null, rest = "others" }) {
  const order = [...list].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const shown = list.length <= limit + 1 ? list : order.slice(0, limit);
  const others = list.length - shown.length;
  const most = largest(list.map(({ value }) => value));
  const lines = shown.map(({ label, value, key }) => {
    const share = (50 * Math.abs(value)) / (most || 1);
    const side = value < 0 ? `right:50%;background:var(--against)` : `left:50%;background:var(--for)`;
    const content = [
      h("span", { textContent: label }),
      h("span", { className: "side" }, h("i", { style: `${side};width:${share}%` })),
      h("span", { className: "number", textContent: number(value) }),
    ];
    if (!pick) return h("li", {}, ...content);
    const button = h("button", { type: "button", "aria-pressed": key === pick.chosen }, ...content);
    button.addEventListener("click", () => pick.choose(key));
    return h("li", {}, button);
  });
  if (others) {
    const left = sum(order.slice(limit).map(({ value }) => value));
    lines.push(h("li", {}, `the ${others} ${rest}`, h("span"), h("span", { className: "number", textContent: number(left) })));
  }
  return h("ul", { className: "terms" }, ...lines);
}

const line = (...parts) => h("p", { className: "sum" }, ...parts);
const strong = (text) => h("b", { textContent: text });

// Each function tells how the number of a unit came about: x is the layer's input.
const EXPLAIN = {
  Conv2D(x, layer, shape, { map, row, column }, value) {
    const [KH, KW] = layer.kernel, size = KH * KW, bias = layer.biases ? layer.biases[map] : 0;
    const channels = Array.from({ length: shape[0] }, (_, c) => {
      const patch = patchOf(x, layer, shape, c, row, column);
      const kernel = [...layer.weights.subarray((map * shape[0] + c) * size, (map * shape[0] + c + 1) * size)];
      const products = patch.map((cell, k) => (cell ?? 0) * kernel[k]);
      return { key: c, label: `map ${c + 1}`, patch, kernel, products, value: sum(products) };
    });
    const strongest = channels.reduce((a, b) => (Math.abs(b.value) > Math.abs(a.value) ? b : a));
    const shown = channels[unit.channel ?? strongest.key];
    const most = largest(shown.products);
    const parts = [
      h("div", { className: KW > 3 ? "product" : "product tight" },
        grid(shown.patch, KW, largest(shown.patch), { title: channels.length > 1 ? `patch of map ${shown.key + 1}` : "patch" }),
        h("span", { className: "operator", textContent: "×" }),
        grid(shown.kernel, KW, largest(shown.kernel), { title: "kernel" }),
        h("span", { className: "operator", textContent: "=" }),
        grid(shown.products, KW, most, { title: "products" })),
    ];
    if (channels.length > 1) {
      const pick = { chosen: shown.key, choose: (key) => { unit.channel = key; paintUnit(); } };
      parts.push(line(`These ${size} products add up to `, strong(number(shown.value)), `. Each of the ${channels.length} maps gives such a sum:`));
      parts.push(terms(channels, { limit: 16, pick, rest: "other maps" }));
    }
    const whole = channels.length > 1 ? `sum of the ${plural(channels.length, "map")}` : `sum of the ${plural(size, "product")}`;
    parts.push(line(`${whole} `, strong(number(sum(channels.map((each) => each.value)))), ` ${signed(bias)} (bias) = `, strong(number(value))));
    return parts;
  },
  MaxPool2D(x, layer, shape, { map, row, column }, value) {
    const cells = patchOf(x, layer, shape, map, row, column);
    const won = cells.indexOf(cells.reduce((best, cell) => (cell !== null && (best === null || cell > best) ? cell : best), null));
    const [i, j] = [Math.floor(won / layer.kernel[1]) + 1, (won % layer.kernel[1]) + 1];
    return [
      h("div", { className: "product" }, grid(cells, layer.kernel[1], largest(cells), { won, title: "the window" }),
        h("span", { className: "operator", textContent: "→" }), strong(number(value))),
      line("The greatest number wins: ", strong(`row ${i}, column ${j} of the window`), ". In training, the gradient goes back to this cell alone."),
    ];
  },
  AveragePool2D(x, layer, shape, { map, row, column }, value) {
    const cells = patchOf(x, layer, shape, map, row, column);
    return [
      h("div", { className: "product" }, grid(cells, layer.kernel[1], largest(cells), { title: "the window" })),
      line(`sum ${number(sum(cells))} / ${plural(cells.length, "cell")} = `, strong(number(value))),
    ];
  },
  GlobalAveragePool2D(x, layer, [, H, W], { map }, value) {
    const cells = [...x.subarray(map * H * W, (map + 1) * H * W)];
    return [
      h("div", { className: "product" }, grid(cells, W, largest(cells), { title: `map ${map + 1}` })),
      line(`sum ${number(sum(cells))} / ${plural(H * W, "cell")} = `, strong(number(value))),
    ];
  },
  Dense(x, layer, shape, { map }, value, k) {
    const K = layer.shape[0], bias = layer.biases ? layer.biases[map] : 0;
    const list = [...x].map((input, d) => {
      const weight = layer.weights[d * K + map];
      return { value: input * weight, label: `${origin(k - 1, d)}: ${number(input)} × ${number(weight)}` };
    });
    return [
      line(`The largest of ${plural(list.length, "product")}, input × weight:`),
      terms(list, { rest: "others" }),
      line("sum ", strong(number(sum(list.map((term) => term.value)))), ` ${signed(bias)} (bias) = `, strong(number(value))),
    ];
  },
  LeakyReLU: (x, { alpha }, _, { index }, value) => [
    line(`max(x, ${alpha} · x) with x = ${number(x[index])} gives `, strong(number(value))),
    line(x[index] > 0 ? "Positive: it passes unchanged." : `Not positive: only ${+(100 * alpha).toPrecision(3)} % of it passes.`),
  ],
  ReLU: (x, _, __, { index }, value) => [line(`max(x, 0) with x = ${number(x[index])} gives `, strong(number(value)))],
  Sigmoid: (x, _, __, { index }, value) => [line(`1 / (1 + exp(−x)) with x = ${number(x[index])} gives `, strong(number(value)))],
  Tanh: (x, _, __, { index }, value) => [line(`tanh(x) with x = ${number(x[index])} gives `, strong(number(value)))],
  Dropout: (x, { rate }) => [
    line("Unchanged: it only acts in training."),
    line(`There, a random ${+(100 * rate).toPrecision(3)} % of these units are set to 0 at each step, so that the network relies on none of them.`),
  ],
  Softmax(x, { shape }, _, { index }, value) {
    const K = shape[shape.length - 1], start = index - (index % K), scores = x.subarray(start, start + K);
    const most = Math.max(...scores), powers = [...scores].map((score) => Math.exp(score - most));
    return [
      line(`exp(score − largest score) = exp(${number(x[index])} − ${number(most)}) = `, strong(number(powers[index - start]))),
      line(`divided by the sum of all ${K}, ${number(sum(powers))}: `, strong(percent(value))),
    ];
  },
};
const reshaped = (x, _, __, { index }, ___, k) => [line("The same number under another address: ", strong(origin(k - 1, index)), ".")];
EXPLAIN.Flatten = EXPLAIN.Reshape = reshaped;

// Where a number came from before it was laid out as a vector.
function origin(k, index) {
  while (k > 0 && network.shapes[k].length === 1 && ["Flatten", "Reshape", "Dropout"].includes(network.layers[k - 1].type)) k -= 1;
  return nameOf(k, index).place.replace("channel 1, ", "").replace("row ", "").replace("column ", "");
}

function paintUnit() {
  if (unit.k === null || !activations.length) return;
  const { k, index } = unit, named = nameOf(k, index), layer = k ? network.layers[k - 1] : null;
  byId("unit-title").textContent = layer ? `One unit of ${layer.type}` : "One pixel";
  const small = h("canvas", { role: "img", "aria-label": "The part of the input that this unit depends on" });
  const head = h("div", { className: "where" },
    h("div", {}, h("div", { className: "value", textContent: number(named.value) }), h("div", { className: "place", textContent: named.place })),
    h("figure", {}, small, h("figcaption", { textContent: k ? "it looks at" : "here" })));
  const explain = layer && EXPLAIN[layer.type];
  const parts = explain
    ? explain(activations[k - 1], layer, imageShape(network.shapes[k - 1]), { ...named, index }, named.value, k)
    : [line(layer ? layer.title : CHANNELS === 1 ? "A pixel of the image: 0 is paper, 1 is full ink." : "One number of the image.")];
  const focused = [...byId("unit").querySelectorAll("button")].indexOf(document.activeElement);
  byId("unit").replaceChildren(head, ...parts);
  if (focused >= 0) byId("unit").querySelectorAll("button")[focused]?.focus();
  paintField(small);
}

// The input, with a frame around what the unit depends on.
function paintField(canvas) {
  const scale = 84 / Math.max(HEIGHT, WIDTH), context = sized(canvas, WIDTH * scale, HEIGHT * scale), box = unit.boxes[0];
  context.drawImage(bitmapOf(imageData(activations[0])), 0, 0, WIDTH * scale, HEIGHT * scale);
  const frame = [box.columns[0], box.rows[0], box.columns[1] - box.columns[0], box.rows[1] - box.rows[0]].map((size) => size * scale);
  context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--for");
  context.lineWidth = 3;
  context.strokeRect(Math.max(1.5, frame[0]), Math.max(1.5, frame[1]), Math.min(frame[2], WIDTH * scale - 3), Math.min(frame[3], HEIGHT * scale - 3));
}

// ------------------------------------------------------------------------------------------ what speaks for the answer

let explaining = 0;

// Cover one place of the image after the other, a few milliseconds at a time, and begin anew when the image changes.
function explainSoon() {
  clearTimeout(explaining);
  const k = explained ?? bestClass();
  byId("why-class").textContent = model.classes[k];
  paintWhy(new Float64Array(HEIGHT * WIDTH), k); // the old heat is none of the new image
  if (isBlank()) return;
  const steps = occlusion(network, activations[0], k);
  const work = () => {
    const end = performance.now() + 8;
    let step = steps.next();
    while (!step.done && performance.now() < end) step = steps.next();
    if (step.done) paintWhy(step.value, k);
    else explaining = setTimeout(work);
  };
  explaining = setTimeout(work, 30);
}

// The heat over the image: orange where covering lowers the odds, blue where it raises them.
function paintWhy(heat, k) {
  const scale = Math.max(1, Math.round(pictureSide() / Math.max(HEIGHT, WIDTH))), most = largest(heat);
  const context = sized(byId("why"), WIDTH * scale, HEIGHT * scale), data = new ImageData(WIDTH, HEIGHT);
  const pixels = activations[0], mine = isDark() ? [[242, 140, 60], [91, 156, 240]] : [[217, 100, 15], [36, 104, 196]];
  heat.forEach((value, cell) => {
    data.data.set([...mine[value < 0 ? 1 : 0], Math.round(235 * Math.sqrt(most ? Math.abs(value) / most : 0))], 4 * cell);
  });
  context.globalAlpha = 1;
  context.fillStyle = css(colours.paper);
  context.fillRect(0, 0, WIDTH * scale, HEIGHT * scale);
  context.globalAlpha = CHANNELS === 1 ? 0.3 : 0.45;
  context.drawImage(bitmapOf(imageData(pixels)), 0, 0, WIDTH * scale, HEIGHT * scale);
  context.globalAlpha = 1;
  context.imageSmoothingEnabled = true;
  context.drawImage(bitmapOf(data), 0, 0, WIDTH * scale, HEIGHT * scale);
  byId("why").setAttribute("aria-label", `Heat map of what speaks for ${model.classes[k]}, in orange, and against it, in blue`);
}

// ------------------------------------------------------------------------------------------------------------ the start

const DOES = {
  Conv2D: ({ shape, kernel }) => `${plural(shape[0], "filter")} of ${times(kernel)}: each tells, at every place, how well its pattern fits.`,
  MaxPool2D: ({ kernel }) => `Of each ${times(kernel)} window only the greatest number is kept.`,
  AveragePool2D: ({ kernel }) => `Of each ${times(kernel)} window the mean is kept.`,
  GlobalAveragePool2D: () => "Of each map only its mean is kept.",
  Dense: ({ shape }) => `${plural(shape[0], "weighted sum")} of all numbers before.`,
  Flatten: () => "The maps are laid out as one long vector.",
  Reshape: () => "The same numbers in another shape.",
  Dropout: () => "It silences units at random in training; here it changes nothing.",
  LeakyReLU: ({ alpha }) => `What is positive passes; of what is negative, ${+(100 * alpha).toPrecision(3)} %.`,
  ReLU: () => "What is positive passes, nothing else.",
  Sigmoid: () => "Each number is squashed into 0 … 1.",
  Tanh: () => "Each number is squashed into −1 … 1.",
  Softmax: () => "Scores become probabilities, which add up to 1.",
};

function makeLayers() {
  views.push(new Maps(0, byId("seen")));
  network.layers.forEach((layer, k) => {
    const canvas = h("canvas", { tabIndex: 0 });
    byId("layers").append(h("li", {},
      h("div", {}, h("span", { className: "name" }, h("i", { textContent: k + 1 }), layer.type), h("span", { className: "made", textContent: times(layer.shape) })),
      h("p", { className: "does", textContent: DOES[layer.type]?.(layer) ?? layer.title }),
      h("div", {}, canvas)));
    views.push(new Maps(k + 1, canvas));
  });
}

function makeImages() {
  tests.forEach(({ truth }, k) => {
    const name = truth === null ? `${k + 1}` : model.classes[truth];
    const button = h("button", { type: "button", "aria-label": `Test image ${k + 1}${truth === null ? "" : `: ${name}`}` },
      h("canvas", { width: WIDTH, height: HEIGHT }), name);
    button.addEventListener("click", () => change({ image: k, strokes: [] }));
    byId("images").append(button);
  });
  byId("samples").hidden = !tests.length;
}

function applyTheme() {
  makePalette();
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  tests.forEach(({ pixels }, k) => byId("images").children[k].firstChild.getContext("2d").putImageData(imageData(pixels), 0, 0));
  refresh();
}

function start() {
  const about = [plural(model.parameters, "weight")];
  if (model.dataset) about.push(`trained on ${model.dataset}`);
  if (model.accuracy) about.push(`right on ${(100 * model.accuracy).toFixed(1)} % of its test images`);
  byId("about").textContent = `${about.join(", ")}. All is computed on this page, by the network itself.`;
  byId("input-shape").textContent = times(CHANNELS === 1 ? [HEIGHT, WIDTH] : inputShape);
  makeLayers();
  makeImages();
  makeChances();
  if (model.isDrawn) {
    listenToPen();
    listenToKeys();
  } else {
    for (const id of ["tools", "pad-help"]) byId(id).hidden = true;
    byId("draw-title").textContent = "The image";
    byId("images-title").textContent = "Choose one";
    pad.setAttribute("role", "img");
    pad.setAttribute("aria-label", "The image that was chosen");
    pad.removeAttribute("tabindex");
    pad.removeAttribute("aria-describedby");
  }
  byId("undo").addEventListener("click", undo);
  byId("clear").addEventListener("click", clear);
  byId("release").addEventListener("click", release);
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    applyTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  document.addEventListener("keydown", (event) => event.key === "Escape" && release());
  new ResizeObserver(refresh).observe(document.body);
  addEventListener("beforeprint", () => {
    for (const maps of views) maps.paint(true);
  });
  if (tests.length) drawing = { image: Math.min(3, tests.length - 1), strokes: [] };
  makePalette();
  compute();
  // To begin with, the strongest unit of the first layer is explained.
  const first = activations[1];
  look(1, first.indexOf(Math.max(...first)));
  applyTheme();
}

start();
