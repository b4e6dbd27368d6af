// The forward pass: one small function a layer, over the model's own weights.
//
// Layer k reads the activations network.layers[k].reads and gives activation k + 1; activation 0 is the input. Nearly
// every layer reads the one before; only a residual's sum reads two, and its first layers read what the block reads.
//
// Numbers of one image or vector lie in a Float32Array, row by row: x[(c·H + i)·W + j] for an image (C, H, W).
// Letters are those of handconv's layers: C channels, H W input, F filters, OH OW output, KH KW kernel, s stride,
// d dilation, p padding.
"use strict";

const greatest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

// The outputs o with 0 <= o·stride + shift < size: only these look at a cell inside of the image.
function inside(shift, stride, size, outputs) {
  const first = Math.max(0, Math.ceil(-shift / stride));
  return [first, Math.min(outputs, Math.floor((size - 1 - shift) / stride) + 1)];
}

// The rows and columns from the first to the last cell of the window of output (i, j), without what lies beyond the edge.
function windowOf({ kernel, stride, before, dilation }, [, H, W], i, j) {
  const top = i * stride[0] - before[0],
    left = j * stride[1] - before[1];
  return {
    rows: [Math.max(0, top), Math.min(H, top + (kernel[0] - 1) * dilation[0] + 1)],
    columns: [Math.max(0, left), Math.min(W, left + (kernel[1] - 1) * dilation[1] + 1)],
  };
}

// The numbers in the window of output (i, j) of channel c, row by row; null beyond the edge.
function patchOf(x, { kernel, stride, before, dilation }, [, H, W], c, i, j) {
  const patch = [];
  for (let u = 0; u < kernel[0]; u++) {
    for (let v = 0; v < kernel[1]; v++) {
      const row = i * stride[0] + u * dilation[0] - before[0],
        column = j * stride[1] + v * dilation[1] - before[1];
      const isInside = row >= 0 && row < H && column >= 0 && column < W;
      patch.push(isInside ? x[(c * H + row) * W + column] : null);
    }
  }
  return patch;
}

// The channels [first, end) that filter f reads: those of its group, all where there is one group.
function channelsOf({ shape: [F], groups }, C, f) {
  const first = Math.floor((f * groups) / F) * (C / groups);
  return [first, first + C / groups];
}

// y[f, i, j] = b[f] + sum over c, u, v of w[f, c, u, v] · x[c, i·s + u·d - p, j·s + v·d - p], c in the group of f
function convolve(x, layer, [C, H, W]) {
  const [F, OH, OW] = layer.shape,
    [KH, KW] = layer.kernel,
    [down, right] = layer.stride;
  const y = new Float32Array(F * OH * OW),
    sums = new Float64Array(OH * OW);
  let weight = 0; // the place of w[f, c, u, v]
  for (let f = 0; f < F; f++) {
    const [firstChannel, endChannel] = channelsOf(layer, C, f);
    sums.fill(layer.biases ? layer.biases[f] : 0);
    for (let c = firstChannel; c < endChannel; c++) {
      for (let u = 0; u < KH; u++) {
        const below = u * layer.dilation[0] - layer.before[0];
        const [firstRow, endRow] = inside(below, down, H, OH);
        for (let v = 0; v < KW; v++) {
          const beside = v * layer.dilation[1] - layer.before[1];
          const [firstColumn, endColumn] = inside(beside, right, W, OW);
          const w = layer.weights[weight++];
          for (let i = firstRow; i < endRow; i++) {
            let from = (c * H + i * down + below) * W + firstColumn * right + beside;
            for (let j = firstColumn; j < endColumn; j++, from += right) sums[i * OW + j] += w * x[from];
          }
        }
      }
    }
    y.set(sums, f * OH * OW);
  }
  return y;
}

// y[c, i, j] = fold of the cells in the window, beginning with start, then finish
const pool = (start, fold, finish) => (x, layer, shape) => {
  const [C, OH, OW] = layer.shape,
    [, H, W] = shape;
  const y = new Float32Array(C * OH * OW);
  for (let i = 0; i < OH; i++) {
    for (let j = 0; j < OW; j++) {
      const { rows, columns } = windowOf(layer, shape, i, j);
      for (let c = 0; c < C; c++) {
        let value = start;
        for (let row = rows[0]; row < rows[1]; row++) {
          for (let column = columns[0]; column < columns[1]; column++) {
            value = fold(value, x[(c * H + row) * W + column]);
          }
        }
        y[(c * OH + i) * OW + j] = finish(value, layer);
      }
    }
  }
  return y;
};

// y[c] = mean over i, j of x[c, i, j]
function averageChannels(x, layer, [C, H, W]) {
  return Float32Array.from({ length: C }, (_, c) => {
    let sum = 0;
    for (let cell = c * H * W; cell < (c + 1) * H * W; cell++) sum += x[cell];
    return sum / (H * W);
  });
}

// Numbers that lie one behind the other share a scale and a shift: one of each a channel, or one a number.
const shareOf = (values, cell, x) => values[Math.floor((cell * values.length) / x.length)];

// y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, with the mean and the variance that training kept
function normalizeByTraining(x, { running_mean, running_var, gamma, beta, epsilon }) {
  return x.map((value, cell) => {
    const normal = (value - shareOf(running_mean, cell, x)) / Math.sqrt(shareOf(running_var, cell, x) + epsilon);
    return shareOf(gamma, cell, x) * normal + shareOf(beta, cell, x);
  });
}

// The numbers that are normalised together with x[cell], their mean and their variance: a group of maps, or all.
function companyOf(x, { groups = 1 }, cell) {
  const size = x.length / groups,
    start = cell - (cell % size),
    values = x.subarray(start, start + size),
    middle = mean(values);
  return { values, mean: middle, variance: values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / size };
}

// y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, with the mean and the variance of this very image
function normalizeByItself(x, layer) {
  const { groups = 1, gamma, beta, epsilon } = layer,
    size = x.length / groups;
  const company = Array.from({ length: groups }, (_, g) => companyOf(x, layer, g * size));
  return x.map((value, cell) => {
    const { mean, variance } = company[Math.floor(cell / size)];
    return shareOf(gamma, cell, x) * ((value - mean) / Math.sqrt(variance + epsilon)) + shareOf(beta, cell, x);
  });
}

// y[c, i + top, j + left] = x[c, i, j], 0 elsewhere
function surround(x, { shape, before: [top, left] }, [C, H, W]) {
  const [, OH, OW] = shape,
    y = new Float32Array(C * OH * OW);
  for (let c = 0; c < C; c++) {
    for (let i = 0; i < H; i++) {
      const row = (c * H + i) * W;
      y.set(x.subarray(row, row + W), (c * OH + i + top) * OW + left);
    }
  }
  return y;
}

// y = F(x) + P(x): the ends of both ways
const add = (branch, _, __, shortcut) => branch.map((value, cell) => value + shortcut[cell]);

// y[k] = b[k] + sum over d of x[d] · w[d, k]
function weigh(x, layer) {
  const [K] = layer.shape,
    sums = new Float64Array(K);
  if (layer.biases) sums.set(layer.biases);
  for (let d = 0; d < x.length; d++) {
    if (x[d] === 0) continue;
    for (let k = 0; k < K; k++) sums[k] += x[d] * layer.weights[d * K + k];
  }
  return Float32Array.from(sums);
}

// y[k] = exp(x[k] - max x) / sum over j of exp(x[j] - max x), over the last axis
function softmax(x, { shape }) {
  const K = shape[shape.length - 1],
    y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += K) {
    const scores = x.subarray(start, start + K);
    const most = greatest(scores);
    const powers = Float64Array.from(scores, (score) => Math.exp(score - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    y.set(
      powers.map((power) => power / sum),
      start,
    );
  }
  return y;
}

const each = (f) => (x, layer) => x.map((value) => f(value, layer));
const same = (x) => x;
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// To add a layer: its function here, and what it needs in stages.py.
const FORWARD = {
  Conv2D: convolve,
  MaxPool2D: pool(-Infinity, Math.max, same),
  AveragePool2D: pool(
    0,
    (a, b) => a + b,
    (sum, { kernel }) => sum / (kernel[0] * kernel[1]),
  ),
  GlobalAveragePool2D: averageChannels,
  Dense: weigh,
  Flatten: same,
  Reshape: same,
  ZeroPad2D: surround,
  Dropout: same, // it silences units in training alone
  SpatialDropout2D: same,
  BatchNorm: normalizeByTraining,
  LayerNorm: normalizeByItself,
  GroupNorm: normalizeByItself,
  Residual: add,
  ReLU: each((x) => Math.max(x, 0)),
  LeakyReLU: each((x, { alpha }) => Math.max(x, alpha * x)),
  ELU: each((x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x))),
  GELU: each((x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  SiLU: each((x) => x * sigmoid(x)),
  Softplus: each((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  Sigmoid: each(sigmoid),
  Tanh: each(Math.tanh),
  Softmax: softmax,
};

// All activations: the input, then the output of each layer.
function forward(network, input) {
  const activations = [input];
  for (const layer of network.layers) {
    const [main, aside] = layer.reads;
    activations.push(FORWARD[layer.type](activations[main], layer, network.shapes[main], activations[aside]));
  }
  return activations;
}

// One probability a class: the outputs themselves after Softmax; after one Sigmoid no and yes; else their softmax.
function probabilitiesOf(network, outputs) {
  if (network.ending === "softmax") return outputs;
  if (network.ending === "sigmoid") return Float32Array.of(1 - outputs[0], outputs[0]);
  return softmax(outputs, { shape: [outputs.length] });
}

// What a box of units is made from: a box {maps, rows, columns} of the layer's input, each [first, end); null where that
// is nothing but padding. A vector is one map for each unit. Layers that are not here look at the one place of the input.
const everything = (_, __, [C, H, W]) => ({ maps: [0, C], rows: [0, H], columns: [0, W] });
const through = (box, layer, shape) => {
  const first = windowOf(layer, shape, box.rows[0], box.columns[0]);
  const last = windowOf(layer, shape, box.rows[1] - 1, box.columns[1] - 1);
  return boxOf(box.maps, [first.rows[0], last.rows[1]], [first.columns[0], last.columns[1]]);
};
const reread = (box, layer, shape) => {
  const isOneCell = [box.maps, box.rows, box.columns].every(([first, end]) => end - first === 1);
  if (!isOneCell) return everything(box, layer, shape);
  const [, H, W] = imageShape(layer.shape);
  return cellOf(shape, (box.maps[0] * H + box.rows[0]) * W + box.columns[0]);
};
const company = (box, { groups }, [C, H, W]) => {
  const size = C / groups;
  const maps = [Math.floor(box.maps[0] / size) * size, Math.ceil(box.maps[1] / size) * size];
  return { maps, rows: [0, H], columns: [0, W] };
};
const LOOKS_AT = {
  Conv2D: (box, layer, shape) => {
    const [first] = channelsOf(layer, shape[0], box.maps[0]),
      [, end] = channelsOf(layer, shape[0], box.maps[1] - 1);
    return through({ ...box, maps: [first, end] }, layer, shape);
  },
  MaxPool2D: through,
  AveragePool2D: through,
  GlobalAveragePool2D: (box, layer, [, H, W]) => ({ maps: box.maps, rows: [0, H], columns: [0, W] }),
  ZeroPad2D: ({ maps, rows, columns }, { before: [top, left] }, [, H, W]) =>
    boxOf(
      maps,
      rows.map((row) => clamp(row - top, 0, H)),
      columns.map((column) => clamp(column - left, 0, W)),
    ),
  LayerNorm: everything,
  GroupNorm: company,
  Dense: everything,
  Softmax: everything,
  Flatten: reread,
  Reshape: reread,
};

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const boxOf = (maps, rows, columns) => (rows[0] < rows[1] && columns[0] < columns[1] ? { maps, rows, columns } : null);

// The least box that holds both.
function boxAround(a, b) {
  if (!a || !b) return a ?? b;
  const around = (axis) => [Math.min(a[axis][0], b[axis][0]), Math.max(a[axis][1], b[axis][1])];
  return { maps: around("maps"), rows: around("rows"), columns: around("columns") };
}

// Any shape as that of an image: what is no image is one map for each unit.
const imageShape = (shape) => (shape.length === 3 ? shape : [sizeOf(shape), 1, 1]);

function cellOf(shape, index) {
  const [, H, W] = imageShape(shape);
  const map = Math.floor(index / (H * W)),
    row = Math.floor(index / W) % H,
    column = index % W;
  return { maps: [map, map + 1], rows: [row, row + 1], columns: [column, column + 1] };
}

// The boxes that unit `index` of activation k depends on: boxes[k] is the unit itself, boxes[0] a part of the input.
// Activations that lie on none of its ways have no box.
function fieldOf(network, k, index) {
  const boxes = [];
  boxes[k] = cellOf(network.shapes[k], index);
  for (let m = k; m > 0; m--) {
    const layer = network.layers[m - 1],
      step = LOOKS_AT[layer.type];
    if (!boxes[m]) continue;
    for (const read of layer.reads) {
      const box = step ? step(boxes[m], layer, imageShape(network.shapes[read])) : boxes[m];
      boxes[read] = boxAround(boxes[read], box);
    }
  }
  return boxes;
}

// How sure the network is of class k: log(p / (1 - p)), from the outputs before the final Softmax where there is one.
function logOdds(network, activations, k) {
  const last = activations.length - 1;
  if (network.ending === "sigmoid") {
    const yes = Math.min(Math.max(activations[last][0], 1e-7), 1 - 1e-7);
    return (k === 1 ? 1 : -1) * Math.log(yes / (1 - yes));
  }
  const scores = activations[network.ending === "softmax" ? last - 1 : last];
  const most = greatest(scores);
  const others = scores.reduce((sum, score, j) => (j === k ? sum : sum + Math.exp(score - most)), 0);
  return scores[k] - most - Math.log(Math.max(others, 1e-30));
}

// What speaks for class k and what against it, by occlusion: a square of the image is blanked, and the change of the
// log odds is shared out over it. A generator, so that a page can draw meanwhile; it returns one number a pixel.
function* occlusion(network, image, k) {
  const [C, H, W] = network.shapes[0];
  const side = Math.max(3, Math.round(Math.min(H, W) / 6)),
    step = Math.max(1, Math.floor(side / 2));
  const heat = new Float64Array(H * W),
    looks = new Float64Array(H * W);
  const paper = Array.from({ length: C }, (_, c) => (C === 1 ? network.paper : mean(image.subarray(c * H * W, (c + 1) * H * W))));
  const whole = logOdds(network, forward(network, image), k);
  for (let top = 1 - side; top < H; top += step) {
    for (let left = 1 - side; left < W; left += step) {
      const blanked = image.slice();
      let changed = 0;
      const cells = [];
      for (let row = Math.max(0, top); row < Math.min(H, top + side); row++) {
        for (let column = Math.max(0, left); column < Math.min(W, left + side); column++) {
          const cell = row * W + column;
          cells.push(cell);
          for (let c = 0; c < C; c++) {
            changed += Math.abs(image[c * H * W + cell] - paper[c]);
            blanked[c * H * W + cell] = paper[c];
          }
        }
      }
      let share = 0;
      if (changed > 0.05) {
        share = whole - logOdds(network, forward(network, blanked), k);
        yield;
      }
      for (const cell of cells) {
        heat[cell] += share;
        looks[cell] += 1;
      }
    }
  }
  return heat.map((sum, cell) => sum / looks[cell]);
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// From the description that html.py wrote to a network that can be run: base64 becomes float32.
function unpack(model) {
  const numbers = new Float32Array(bytesOf(model.numbers).buffer);
  const layers = model.layers.map(({ arrays, ...layer }) => {
    for (const [name, [start, end]] of Object.entries(arrays)) layer[name] = numbers.subarray(start, end);
    return layer;
  });
  return { layers, ending: model.ending, paper: model.paper, shapes: [model.inputShape, ...layers.map((layer) => layer.shape)] };
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
