// The answer: the probabilities of the classes, and what speaks for one of them.
"use strict";

const ranks = () => [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
let rows = []; // one for each class that is listed: {k, element, bar, share}

function makeChances() {
  const listed = model.classes.length <= 12 ? [...model.classes.keys()] : Array(10).fill(0);
  const width = Math.min(8, greatest(model.classes.map((name) => name.length)) * 0.62);
  byId("chances").style.setProperty("--names", `${Math.max(1.2, width)}em`);
  const areWords = model.classes.some((name) => !/^(.|\d\d)$/u.test(name)); // wider: no room beside bars, under images
  for (const part of ["answer", "images"]) byId(part).classList.toggle("words", areWords);
  rows = listed.map((k) => {
    const bar = h("i", { className: "bar" }),
      share = h("span", { className: "share" }),
      name = h("b", { className: "two-lines" });
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
  const best = bestClass(),
    order = rows.length < model.classes.length ? ranks() : null;
  rows.forEach((row, place) => {
    if (order) row.k = order[place];
    const chance = probabilities[row.k],
      name = model.classes[row.k];
    row.name.textContent = name;
    row.bar.style.transform = `scaleX(${chance})`;
    row.share.textContent = percent(chance);
    row.element.classList.toggle("first", row.k === best && !isBlank());
    row.button.setAttribute("aria-pressed", row.k === explained);
  });
  const name = model.classes[best],
    output = byId("best");
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
    const answer = `The network says ${model.classes[bestClass()]}, ${byId("sure").textContent}.`;
    say(isBlank() ? "Nothing is drawn." : `${answer} ${byId("truth").textContent}`);
  }, 700);
}
const say = (text) => {
  clearTimeout(speaking); // what is asked for comes before what changes by itself
  byId("spoken").textContent = text;
};

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

let heatShown = [[], 0]; // what is painted: the heat, and the class that it speaks for

// The heat over the image: orange where covering lowers the odds, blue where it raises them.
function paintWhy(heat, k) {
  heatShown = [heat, k];
  const room = pictureSide() / Math.max(HEIGHT, WIDTH),
    scale = Math.floor(room) || room,
    most = largest(heat);
  const context = sized(byId("why"), WIDTH * scale, HEIGHT * scale),
    data = new ImageData(WIDTH, HEIGHT);
  const pixels = activations[0],
    mine = isDark()
      ? [
          [242, 140, 60],
          [91, 156, 240],
        ]
      : [
          [217, 100, 15],
          [36, 104, 196],
        ];
  heat.forEach((value, cell) => {
    data.data.set(
      [...mine[value < 0 ? 1 : 0], Math.round(235 * Math.sqrt(most ? Math.abs(value) / most : 0))],
      4 * cell,
    );
  });
  context.globalAlpha = 1;
  context.fillStyle = css(colours.paper);
  context.fillRect(0, 0, WIDTH * scale, HEIGHT * scale);
  context.globalAlpha = CHANNELS === 1 ? 0.3 : 0.45;
  context.drawImage(bitmapOf(imageData(pixels)), 0, 0, WIDTH * scale, HEIGHT * scale);
  context.globalAlpha = 1;
  context.imageSmoothingEnabled = true;
  context.drawImage(bitmapOf(data), 0, 0, WIDTH * scale, HEIGHT * scale);
  byId("why").setAttribute(
    "aria-label",
    `Heat map of what speaks for ${model.classes[k]}, in orange, and against it, in blue`,
  );
}
