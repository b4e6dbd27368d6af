// The page as a whole: the model, what is computed and painted when the drawing changes, and the start. The parts have
// files of their own: pad, answer, maps of all layers, and the unit that is looked at.
"use strict";

const model = JSON.parse(document.getElementById("model").textContent);
const network = unpack(model);
const inputShape = imageShape(model.inputShape);
const [CHANNELS, HEIGHT, WIDTH] = inputShape;

const byId = (id) => document.getElementById(id);

let activations = [],
  probabilities = [],
  explained = null; // explained: the class that was asked about, or null
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

// Paint what is computed anew: in other colours, or at another size.
function repaint() {
  paint();
  paintWhy(...heatShown);
}

const bestClass = () => probabilities.indexOf(greatest(probabilities));

function applyTheme() {
  makePalette();
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  tests.forEach(({ pixels }, k) =>
    byId("images").children[k].firstChild.getContext("2d").putImageData(imageData(pixels), 0, 0),
  );
  repaint();
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
  new ResizeObserver(() => requestAnimationFrame(repaint)).observe(document.body);
  // Paper is white: what is printed is light, and all layers are painted, those out of sight too.
  const { dataset } = document.documentElement;
  let chosen;
  addEventListener("beforeprint", () => {
    chosen = dataset.theme;
    dataset.theme = "light";
    applyTheme();
    for (const maps of views) maps.paint(true);
  });
  addEventListener("afterprint", () => {
    if (chosen) dataset.theme = chosen;
    else delete dataset.theme;
    applyTheme();
  });
  if (tests.length) drawing = { image: Math.min(3, tests.length - 1), strokes: [] };
  makePalette();
  compute();
  // To begin with, the strongest unit of the first layer is explained.
  look(1, activations[1].indexOf(greatest(activations[1])));
  applyTheme();
  refresh();
}
