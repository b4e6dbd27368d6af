// The unit that is looked at: the patch and the kernel that made it, with the numbers of the sum.
"use strict";

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
  if (!isHeld) return;
  const { place, value } = nameOf(k, index);
  say(`${place}: ${number(value)}`);
  views[k].scrollTo(index);
}
function release() {
  unit.isHeld = false;
  document.documentElement.classList.remove("holding");
  byId("release").hidden = true;
}

// Whether the units of an activation stand for the classes: the outputs, and the scores before a final Softmax.
const namesClasses = (k) =>
  sizeOf(network.shapes[k]) === model.classes.length &&
  k >= network.layers.length - (network.ending === "softmax" ? 1 : 0);

// What to call a unit, and its number.
function nameOf(k, index) {
  const [, H, W] = imageShape(network.shapes[k]),
    value = activations[k][index];
  const map = Math.floor(index / (H * W)),
    row = Math.floor(index / W) % H,
    column = index % W;
  const noun = k > 0 && network.layers[k - 1].type === "Conv2D" ? "filter" : k ? "map" : "channel";
  const place =
    H * W === 1
      ? namesClasses(k)
        ? `class ${model.classes[map]}`
        : `unit ${map + 1}`
      : `${noun} ${map + 1}, row ${row + 1}, column ${column + 1}`;
  return { place, value, map, row, column };
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

// A matrix of numbers as coloured cells.
function grid(values, columns, most, { won = -1, title }) {
  const isPlain = values.length > 25,
    size = isPlain ? `${clamp(Math.floor(110 / columns), 4, 14)}px` : columns > 3 ? "1.95rem" : "minmax(1.6rem, 1fr)";
  const cells = values.map((value, cell) => {
    const colour = value === null ? null : colourOf(value, most);
    const text = isPlain || value === null ? "" : short(value, most);
    return h("span", {
      className: cell === won ? "won" : "",
      style: colour ? `background:${colour.css};color:${readable(colour)}` : "border:1px dashed var(--line)",
      textContent: text,
    });
  });
  const matrix = h(
    "div",
    { className: isPlain ? "grid plain" : "grid", style: `grid-template-columns:repeat(${columns},${size})` },
    ...cells,
  );
  return h("div", {}, matrix, title);
}

// A list of terms of a sum, the largest ones; the others are added up.
function terms(list, { label, limit = 8, pick = null, rest }) {
  const order = [...list].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const shown = list.length <= limit + 1 ? list : order.slice(0, limit);
  const others = list.length - shown.length;
  const most = largest(list.map(({ value }) => value));
  const lines = shown.map((term) => {
    const { value, key } = term;
    const share = (50 * Math.abs(value)) / (most || 1);
    const side = value < 0 ? `right:50%;background:var(--against)` : `left:50%;background:var(--for)`;
    const content = [
      h("span", { textContent: label(term) }),
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
    lines.push(
      h("li", {}, `the ${others} ${rest}`, h("span"), h("span", { className: "number", textContent: number(left) })),
    );
  }
  return h("ul", { className: "terms" }, ...lines);
}

const line = (...parts) => h("p", { className: "sum" }, ...parts);
const strong = (text) => h("b", { textContent: text });

// y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, in numbers.
function normalized(x, layer, { index }, value, mean, variance) {
  const gamma = shareOf(layer.gamma, index, x),
    beta = shareOf(layer.beta, index, x),
    normal = (x[index] - mean) / Math.sqrt(variance + layer.epsilon);
  return [
    line(
      `(${number(x[index])} ${signed(-mean)}) / √(${number(variance)} + ${layer.epsilon}) = `,
      strong(number(normal)),
    ),
    line(
      `${number(normal)} × ${number(gamma)} (the learnt scale) ${signed(beta)} (the learnt shift) = `,
      strong(number(value)),
    ),
  ];
}
function normalizedByItself(x, layer, shape, unit, value) {
  const together = companyOf(x, layer, unit.index),
    maps = shape[0] / (layer.groups ?? 1),
    whose = layer.type === "LayerNorm" ? "all numbers" : `its group of ${plural(maps, "map")}`;
  return [
    line(
      `Mean ${number(together.mean)} and variance ${number(together.variance)} are those of ${whose}, in this image.`,
    ),
    ...normalized(x, layer, unit, value, together.mean, together.variance),
  ];
}

const onlyInTraining =
  (noun) =>
  (_, { rate }) => [
    line("Unchanged: it only acts in training."),
    line(
      `There, a random ${+(100 * rate).toPrecision(3)} % of these ${noun} are set to 0 at each step, ` +
        "so that the network relies on none of them.",
    ),
  ];

// An activation of one number: its formula with the number put in.
const formula =
  (text) =>
  (x, layer, _, { index }, value) => [
    line(`${text(layer)} with x = ${number(x[index])} gives `, strong(number(value))),
  ];

// Each function tells how the number of a unit came about: x is the layer's input.
const EXPLAIN = {
  Conv2D(x, layer, shape, { map, row, column }, value) {
    const [KH, KW] = layer.kernel,
      size = KH * KW,
      bias = layer.biases ? layer.biases[map] : 0,
      [first, end] = channelsOf(layer, shape[0], map);
    const channels = Array.from({ length: end - first }, (_, c) => {
      const patch = patchOf(x, layer, shape, first + c, row, column),
        start = (map * (end - first) + c) * size;
      const kernel = [...layer.weights.subarray(start, start + size)];
      const products = patch.map((cell, k) => (cell ?? 0) * kernel[k]);
      return { key: c, patch, kernel, products, value: sum(products) };
    });
    const strongest = channels.reduce((a, b) => (Math.abs(b.value) > Math.abs(a.value) ? b : a));
    const shown = channels[unit.channel ?? strongest.key],
      label = ({ key }) => `map ${first + key + 1}`;
    const most = largest(shown.products);
    const parts = [
      h(
        "div",
        { className: KW > 3 ? "product" : "product tight" },
        grid(shown.patch, KW, largest(shown.patch), {
          title: shape[0] > 1 ? `patch of ${label(shown)}` : "patch",
        }),
        h("span", { className: "operator", textContent: "×" }),
        grid(shown.kernel, KW, largest(shown.kernel), { title: "kernel" }),
        h("span", { className: "operator", textContent: "=" }),
        grid(shown.products, KW, most, { title: "products" }),
      ),
    ];
    if (channels.length > 1) {
      const pick = {
        chosen: shown.key,
        choose: (key) => {
          unit.channel = key;
          paintUnit();
        },
      };
      parts.push(
        line(
          size === 1 ? "This product is " : `These ${size} products add up to `,
          strong(number(shown.value)),
          `. Each of the ${channels.length} maps gives such a ${size === 1 ? "product" : "sum"}:`,
        ),
      );
      parts.push(terms(channels, { label, limit: 16, pick, rest: "other maps" }));
    }
    const whole =
      channels.length > 1 ? `sum of the ${plural(channels.length, "map")}` : `sum of the ${plural(size, "product")}`;
    parts.push(
      line(
        `${whole} `,
        strong(number(sum(channels.map((each) => each.value)))),
        ` ${signed(bias)} (bias) = `,
        strong(number(value)),
      ),
    );
    return parts;
  },
  MaxPool2D(x, layer, shape, { map, row, column }, value) {
    const cells = patchOf(x, layer, shape, map, row, column);
    const won = cells.indexOf(
      cells.reduce((best, cell) => (cell !== null && (best === null || cell > best) ? cell : best), null),
    );
    const [i, j] = [Math.floor(won / layer.kernel[1]) + 1, (won % layer.kernel[1]) + 1];
    return [
      h(
        "div",
        { className: "product" },
        grid(cells, layer.kernel[1], largest(cells), { won, title: "the window" }),
        h("span", { className: "operator", textContent: "→" }),
        strong(number(value)),
      ),
      line(
        "The greatest number wins: ",
        strong(`row ${i}, column ${j} of the window`),
        ". In training, the gradient goes back to this cell alone.",
      ),
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
      // A larger one is seen well enough where it is drawn.
      H * W > 1024 ? "" : h("div", { className: "product" }, grid(cells, W, largest(cells), { title: `map ${map + 1}` })),
      line(`sum ${number(sum(cells))} / ${plural(H * W, "cell")} = `, strong(number(value))),
    ];
  },
  Dense(x, layer, shape, { map }, value, k) {
    const K = layer.shape[0],
      bias = layer.biases ? layer.biases[map] : 0;
    const list = [...x].map((input, d) => ({ value: input * layer.weights[d * K + map], key: d }));
    const label = ({ key: d }) => `${origin(inputOf(k), d)}: ${number(x[d])} × ${number(layer.weights[d * K + map])}`;
    return [
      line(`The largest of ${plural(list.length, "product")}, input × weight:`),
      terms(list, { label, rest: "others" }),
      line(
        "sum ",
        strong(number(sum(list.map((term) => term.value)))),
        ` ${signed(bias)} (bias) = `,
        strong(number(value)),
      ),
    ];
  },
  BatchNorm(x, layer, _, unit, value) {
    const mean = shareOf(layer.running_mean, unit.index, x),
      variance = shareOf(layer.running_var, unit.index, x);
    return [
      line(
        `Mean ${number(mean)} and variance ${number(variance)} are what this ${mapOr(layer.shape)} had in training, on average.`,
      ),
      ...normalized(x, layer, unit, value, mean, variance),
    ];
  },
  LayerNorm: normalizedByItself,
  GroupNorm: normalizedByItself,
  Residual(branch, { reads, depth }, _, { index }, value) {
    const shortcut = activations[reads[1]],
      isProjected = reads[1] > 0 && network.layers[reads[1] - 1].depth > depth;
    return [
      line(`What the layers within give, ${called(reads[0])}: `, strong(number(branch[index]))),
      line(`What passes them by, ${called(reads[1])}: `, strong(number(shortcut[index]))),
      line(
        "The sum is ",
        strong(number(value)),
        isProjected ? "." : ". So the layers within only had to learn the difference.",
      ),
    ];
  },
  ZeroPad2D(x, { before: [top, left] }, [, H, W], { row, column }) {
    const isInside = row >= top && row < top + H && column >= left && column < left + W;
    return [
      line(
        isInside
          ? `The same number as before, at row ${row - top + 1}, column ${column - left + 1}.`
          : "A zero of the margin.",
      ),
    ];
  },
  LeakyReLU: (x, { alpha }, _, { index }, value) => [
    line(`max(x, ${alpha} · x) with x = ${number(x[index])} gives `, strong(number(value))),
    line(
      x[index] > 0
        ? "Positive: it passes unchanged."
        : `Not positive: only ${+(100 * alpha).toPrecision(3)} % of it passes.`,
    ),
  ],
  ReLU: formula(() => "max(x, 0)"),
  ELU: formula(({ alpha }) => `x where it is positive, else ${alpha} · (exp(x) − 1),`),
  GELU: formula(() => "x / 2 · (1 + tanh(0.798 · (x + 0.0447 · x³)))"),
  SiLU: formula(() => "x / (1 + exp(−x))"),
  Softplus: formula(() => "log(1 + exp(x))"),
  Sigmoid: formula(() => "1 / (1 + exp(−x))"),
  Tanh: formula(() => "tanh(x)"),
  Dropout: onlyInTraining("units"),
  SpatialDropout2D: onlyInTraining("maps"),
  Softmax(x, { shape }, _, { index }, value) {
    const K = shape[shape.length - 1],
      start = index - (index % K),
      scores = x.subarray(start, start + K);
    const most = greatest(scores),
      powers = [...scores].map((score) => Math.exp(score - most));
    return [
      line(
        `exp(score − largest score) = exp(${number(x[index])} − ${number(most)}) = `,
        strong(number(powers[index - start])),
      ),
      line(`divided by the sum of all ${K}, ${number(sum(powers))}: `, strong(percent(value))),
    ];
  },
};
const reshaped = (x, _, __, { index }, ___, k) => [
  line("The same number under another address: ", strong(nameOf(inputOf(k), index).place), "."),
];
EXPLAIN.Flatten = EXPLAIN.Reshape = reshaped;

// The activation that the layer before activation k reads.
const inputOf = (k) => network.layers[k - 1].reads[0];

// Where a number came from before it was laid out as a vector.
function origin(k, index) {
  while (
    k > 0 &&
    network.shapes[k].length === 1 &&
    ["Flatten", "Reshape", "Dropout"].includes(network.layers[k - 1].type)
  )
    k = inputOf(k);
  return nameOf(k, index).place.replace("channel 1, ", "").replace("row ", "").replace("column ", "");
}

function paintUnit() {
  if (unit.k === null || !activations.length) return;
  const { k, index } = unit,
    named = nameOf(k, index),
    layer = k ? network.layers[k - 1] : null;
  byId("unit-title").textContent = layer ? `One unit of ${layer.type}` : "One pixel";
  const small = h("canvas", { role: "img", "aria-label": "The part of the input that this unit depends on" });
  const head = h(
    "div",
    { className: "where" },
    h(
      "div",
      {},
      h("div", { className: "value", textContent: number(named.value) }),
      h("div", { className: "place", textContent: named.place }),
    ),
    h(
      "figure",
      {},
      small,
      h("figcaption", { textContent: k ? (unit.boxes[0] ? "it looks at" : "it looks at nothing") : "here" }),
    ),
  );
  const explain = layer && EXPLAIN[layer.type];
  const parts = explain
    ? explain(
        activations[inputOf(k)],
        layer,
        imageShape(network.shapes[inputOf(k)]),
        { ...named, index },
        named.value,
        k,
      )
    : [
        line(
          layer
            ? layer.title
            : CHANNELS === 1
              ? `A pixel of the image: ${+model.paper.toPrecision(3)} is paper, ${+model.ink.toPrecision(3)} is full ink.`
              : "One number of the image.",
        ),
      ];
  const focused = [...byId("unit").querySelectorAll("button")].indexOf(document.activeElement);
  byId("unit").replaceChildren(head, ...parts);
  if (focused >= 0) byId("unit").querySelectorAll("button")[focused]?.focus();
  paintField(small);
}

// The input, with a frame around what the unit depends on.
function paintField(canvas) {
  const scale = 84 / Math.max(HEIGHT, WIDTH),
    context = sized(canvas, WIDTH * scale, HEIGHT * scale),
    box = unit.boxes[0];
  context.drawImage(bitmapOf(imageData(activations[0])), 0, 0, WIDTH * scale, HEIGHT * scale);
  if (!box) return; // a zero of the margin looks at nothing
  const frame = [box.columns[0], box.rows[0], box.columns[1] - box.columns[0], box.rows[1] - box.rows[0]].map(
    (size) => size * scale,
  );
  context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--for");
  context.lineWidth = 3;
  context.strokeRect(
    Math.max(1.5, frame[0]),
    Math.max(1.5, frame[1]),
    Math.min(frame[2], WIDTH * scale - 3),
    Math.min(frame[3], HEIGHT * scale - 3),
  );
}
