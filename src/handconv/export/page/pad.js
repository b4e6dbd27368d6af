// The pad and the test images: what is drawn, by mouse, finger or keyboard, and how it is taken back.
"use strict";

// The drawing: strokes, or a test image. Its past is a list of drawings, for undo.
let drawing = { image: null, strokes: [] };
const past = [];
const tests = model.images.map(({ pixels, bytes, truth }) => {
  const raw = bytesOf(pixels);
  return { truth, pixels: bytes ? Float32Array.from(raw, (byte) => byte / 255) : new Float32Array(raw.buffer) };
});

// A drawing that is another one ends the stroke that a finger or the keyboard is drawing.
function change(next) {
  liftPen();
  past.push(drawing);
  if (past.length > 200) past.shift();
  drawing = next;
  refresh();
}
function undo() {
  liftPen();
  if (past.length) drawing = past.pop();
  refresh();
}
const isBlank = () => drawing.image === null && !drawing.strokes.length;
const clear = () => !isBlank() && change({ image: null, strokes: [] });
const pixelsOf = () =>
  drawing.image === null
    ? inkOf(drawing.strokes, WIDTH, model.isFramed).map((ink) => model.paper + ink * (model.ink - model.paper))
    : tests[drawing.image].pixels;

const pad = byId("pad");
let cursor = null,
  isPenDown = false,
  pointer = null; // the cursor is the keyboard's pen
const liftPen = () => {
  isPenDown = false;
  pointer = null;
};

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
  byId("invitation").textContent =
    model.isDrawn && (isBlank() || !past.length) ? (model.isDigit ? "Draw a digit here" : "Draw here") : "";
  [...byId("images").children].forEach((button, k) => button.setAttribute("aria-pressed", drawing.image === k));
}

const penWidth = () => Number(document.querySelector("#pens input:checked").value);

function startStroke(point) {
  const strokes = drawing.image === null ? drawing.strokes : [];
  change({ image: null, strokes: [...strokes, { width: penWidth(), points: [point] }] });
}
// The last stroke is replaced and not changed: drawings of the past keep theirs.
function extendStroke(points) {
  const strokes = drawing.strokes.slice(),
    last = strokes.pop();
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
    startStroke(onPad(event));
    cursor = null;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
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

function setPen(isDown) {
  cursor ??= [0.5, 0.5];
  if (isDown) startStroke(cursor);
  isPenDown = isDown;
  say(isPenDown ? "Pen down" : "Pen up");
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
      if (!event.repeat) setPen(!isPenDown);
    } else if (event.key === "u" || event.key === "U") {
      undo();
    } else if (event.key === "Delete" || event.key === "Backspace") {
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

function makeImages() {
  tests.forEach(({ truth }, k) => {
    const name = truth === null ? `${k + 1}` : model.classes[truth];
    const button = h(
      "button",
      { type: "button", title: name, "aria-label": `Test image ${k + 1}${truth === null ? "" : `: ${name}`}` },
      h("canvas", { width: WIDTH, height: HEIGHT }),
      h("span", { className: "two-lines" }, name),
    );
    button.addEventListener("click", () => change({ image: k, strokes: [] }));
    byId("images").append(button);
  });
  byId("samples").hidden = !tests.length;
}
