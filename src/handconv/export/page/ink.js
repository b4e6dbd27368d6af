// From strokes to the image that the network sees, as MNIST's digits were made: the ink in a box of 20 of 28 pixels,
// its centre of mass in the middle, its edges soft.
"use strict";

const BOX = 20 / 28; // of the image's side
const THINNEST = 1.7 / 28,
  THICKEST = 3.1 / 28; // MNIST's pens
const SOFTNESS = 1.3; // pixels in which an edge fades
const LARGEST = 10; // a dot is not blown up to a digit

// strokes: [{width, points: [[x, y], …]}] on a pad from 0 to 1; the result has side · side numbers from 0 to 1.
function inkOf(strokes, side, isCentred) {
  const image = new Float32Array(side * side);
  if (!strokes.length) return image;
  if (!isCentred)
    return render(
      image,
      strokes,
      side,
      ([x, y]) => [x * side, y * side],
      (width) => width * side,
    );

  const points = strokes.flatMap((stroke) => stroke.points);
  const [left, top, right, bottom] = points.reduce(
    ([x0, y0, x1, y1], [x, y]) => [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x), Math.max(y1, y)],
    [Infinity, Infinity, -Infinity, -Infinity],
  );
  const extent = Math.max(right - left, bottom - top, 1e-6);
  const widest = Math.max(...strokes.map((stroke) => stroke.width));
  // The pen grows with the digit, within the widths of MNIST's pens; ink and pen together fill the box.
  const pen = clamp((BOX * widest) / (extent + widest), THINNEST, THICKEST);
  const scale = Math.min((BOX - pen) / extent, LARGEST) * side;
  const width = (own) => (side * pen * own) / widest;
  const place =
    (x0, y0) =>
    ([x, y]) => [x0 + (x - (left + right) / 2) * scale, y0 + (y - (top + bottom) / 2) * scale];

  render(image, strokes, side, place(side / 2, side / 2), width);
  const [x, y] = centreOfMass(image, side);
  // The middle of MNIST's images is the middle of pixel 14, counted from 0.
  return render(image.fill(0), strokes, side, place(side + 0.5 - x, side + 0.5 - y), width);
}

// Each pixel gets the ink of the stroke that is nearest: 1 under the pen, fading to 0 over its edge.
function render(image, strokes, side, place, widthOf) {
  for (const { points, width } of strokes) {
    const radius = widthOf(width) / 2,
      reach = radius + SOFTNESS / 2;
    const placed = points.map(place);
    for (let k = 0; k < placed.length; k++) {
      const [ax, ay] = placed[Math.max(0, k - 1)],
        [bx, by] = placed[k];
      const lengthSquared = (bx - ax) ** 2 + (by - ay) ** 2;
      const firstRow = Math.max(0, Math.floor(Math.min(ay, by) - reach));
      const firstColumn = Math.max(0, Math.floor(Math.min(ax, bx) - reach));
      const endRow = Math.min(side, Math.ceil(Math.max(ay, by) + reach));
      const endColumn = Math.min(side, Math.ceil(Math.max(ax, bx) + reach));
      for (let row = firstRow; row < endRow; row++) {
        for (let column = firstColumn; column < endColumn; column++) {
          const x = column + 0.5 - ax,
            y = row + 0.5 - ay;
          const along = lengthSquared && clamp((x * (bx - ax) + y * (by - ay)) / lengthSquared, 0, 1);
          const distance = Math.hypot(x - along * (bx - ax), y - along * (by - ay));
          const ink = clamp((reach - distance) / SOFTNESS, 0, 1),
            cell = row * side + column;
          if (ink > image[cell]) image[cell] = ink;
        }
      }
    }
  }
  return image;
}

function centreOfMass(image, side) {
  let mass = 0,
    x = 0,
    y = 0;
  for (let cell = 0; cell < image.length; cell++) {
    mass += image[cell];
    x += image[cell] * ((cell % side) + 0.5);
    y += image[cell] * (Math.floor(cell / side) + 0.5);
  }
  return mass ? [x / mass, y / mass] : [side / 2, side / 2];
}
