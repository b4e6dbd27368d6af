// Elements, numbers, colours and pictures, as all parts of the page use them.
"use strict";

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
  const digits = size >= 100 ? 1 : size >= 10 ? 2 : 3;
  const text = size >= 1000 ? size.toPrecision(4) : size && size < 0.001 ? size.toPrecision(2) : size.toFixed(digits);
  return (value < 0 ? "−" : "") + text;
};
// In a cell: two digits after the point, fewer of a large number, .012 where all are small; with no room for it, 2e-3.
const short = (value, most, digits = 2) => {
  if (Math.abs(value) >= 9999.5 || (value && most < 0.0005))
    return value.toExponential(0).replace(/^-/, "−").replace("e+", "e");
  const areSmall = most > 0 && most < 0.05;
  const text = value
    .toFixed(areSmall ? 3 : Math.abs(value) >= 99.5 ? 0 : digits)
    .replace(/^-(?=0[.0]*$)/, "")
    .replace("-", "−");
  return areSmall ? text.replace("0.", ".") : text;
};
const signed = (value) => (value < 0 ? "− " : "+ ") + number(Math.abs(value));
const percent = (share) => {
  if (share < 0.0005) return "< 0.1 %";
  if (share > 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
};
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const times = (sizes) => sizes.join(" × ");

// Blue for negative, the card's own colour for 0, orange for positive: also told apart by those who see few colours.
const STOPS = {
  light: {
    zero: [255, 255, 255],
    positive: [
      [244, 146, 66],
      [150, 52, 0],
    ],
    negative: [
      [104, 160, 232],
      [12, 52, 138],
    ],
    ink: [20, 19, 18],
    paper: [255, 255, 255],
  },
  dark: {
    zero: [37, 41, 51],
    positive: [
      [226, 116, 38],
      [255, 214, 160],
    ],
    negative: [
      [58, 118, 214],
      [178, 214, 255],
    ],
    ink: [250, 248, 243],
    paper: [16, 18, 23],
  },
};
let colours = STOPS.light;
const isDark = () =>
  (document.documentElement.dataset.theme ||
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const between = (a, b, share) => a.map((from, k) => Math.round(from + (b[k] - from) * share));

// The colours of -1 … 1 in 255 steps, made once for each theme.
let palette = [];
function makePalette() {
  colours = isDark() ? STOPS.dark : STOPS.light;
  palette = Array.from({ length: 255 }, (_, k) => {
    const value = (k - 127) / 127,
      size = Math.abs(value),
      [half, full] = value < 0 ? colours.negative : colours.positive;
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

// From 0 to 1, where all values are, else from the least to the greatest.
const rangeOf = (values) =>
  values.every((value) => value >= 0 && value <= 1) ? [0, 1] : [values.reduce((a, b) => Math.min(a, b)), greatest(values)];

// Pixels of an image (C, H, W) as RGBA; grey ones as ink on paper, in the colours of the theme.
function imageData(pixels, [C, H, W] = inputShape) {
  const data = new ImageData(W, H);
  const [blank, full] = CHANNELS === 1 ? [model.paper, model.ink] : rangeOf(pixels);
  const share = (value) => clamp((value - blank) / (full - blank || 1), 0, 1);
  for (let cell = 0; cell < H * W; cell++) {
    const rgb =
      C === 3
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
