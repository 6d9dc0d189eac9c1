// Painting masks: regions of the photo, one colour each, and soft grey masks of what is protected or used.

import * as api from "./api.js";
import { $, make } from "./dom.js";

// In the program's order of colours: that of the rainbow.
const HUES = {
  2: ["#ff0000", "#00ff00"], 3: ["#ff0000", "#00ff00", "#0000ff"], 4: ["#ff0000", "#ffff00", "#00ff00", "#0000ff"],
  5: ["#ff0000", "#ffff00", "#00ff00", "#00ffff", "#0000ff"], 6: ["#ff0000", "#ffff00", "#00ff00", "#00ffff", "#0000ff", "#ff00ff"],
};
const SOFT = "#2f6fed"; // how white, which is what is written, is shown on a picture
const LARGEST = 1024; // px, of a mask; it is stretched over the picture

// Earlier painting on a picture, by the picture's id, so that it can be continued.
const layers = new Map();

// Open the dialog; return {content_mask, protect} or {mask} as files (null for none), or null for no change.
export function paintMask(picture, role, styles) {
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const size = [Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale))];
  const hues = role === "content" ? HUES[styles.length] ?? [] : [];
  const key = `${picture.id}-${role}-${hues.length}`;
  const state = layers.get(key) ?? { regions: layer(size), soft: layer(size), dividing: false, softened: false };
  const before = [copy(state.regions), copy(state.soft), state.dividing, state.softened];
  const brushes = [...hues.map((hue, index) => ({ name: styles[index], hue })),
    { name: role === "content" ? "keep the photo" : "leave out", hue: "#ffffff", shown: SOFT, soft: true }, { name: "erase", hue: null }];
  const view = board(picture, role, hues, size, state);
  let brush = brushes[0];
  $("brushes").replaceChildren(make("legend", {}, "Brush"), ...brushes.map((each, index) => brushChoice(each, index, (chosen) => { brush = chosen; })));
  view.listen((x, y) => { stroke(state, brush, hues, x, y, brushRadius(size)); view.draw(); });
  $("masks-clear").onclick = () => { clear(state); view.draw(); };
  $("masks").showModal();
  return new Promise((resolve) => {
    const end = async (done) => {
      view.end();
      $("masks").close();
      if (!done) { [state.regions, state.soft, state.dividing, state.softened] = before; layers.set(key, state); return resolve(null); }
      layers.set(key, state);
      resolve(await files(state, role, hues, size));
    };
    $("masks-done").onclick = (event) => { event.preventDefault(); end(true); };
    $("masks-cancel").onclick = () => end(false);
    $("masks").oncancel = (event) => { event.preventDefault(); end(false); };
  });
}

const brushRadius = (size) => Math.max(1, (Number($("brush-size").value) / 100) * Math.max(...size));

function brushChoice(each, index, choose) {
  const input = make("input", { type: "radio", name: "brush", checked: index === 0, onchange: () => choose(each) });
  const swatch = make("canvas", { class: "swatch", width: 8, height: 8, "aria-hidden": "true" });
  if (each.hue) { const context = swatch.getContext("2d"); context.fillStyle = each.shown ?? each.hue; context.fillRect(0, 0, 8, 8); }
  return make("label", {}, input, swatch, each.name);
}

function layer([width, height]) {
  const canvas = make("canvas", { width, height });
  return canvas;
}

function copy(canvas) {
  const other = layer([canvas.width, canvas.height]);
  other.getContext("2d").drawImage(canvas, 0, 0);
  return other;
}

function tinted(canvas) {
  const other = copy(canvas), context = other.getContext("2d");
  context.globalCompositeOperation = "source-in";
  context.fillStyle = SOFT;
  context.fillRect(0, 0, other.width, other.height);
  return other;
}

function clear(state) {
  for (const canvas of [state.regions, state.soft]) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  state.dividing = state.softened = false;
}

function stroke(state, brush, hues, x, y, radius) {
  if (!brush.hue) {
    for (const canvas of [state.regions, state.soft]) disc(canvas, x, y, radius, "#000", true, canvas === state.soft);
  } else if (brush.soft) {
    state.softened = true;
    disc(state.soft, x, y, radius, brush.hue, false, true);
  } else {
    state.dividing = true;
    disc(state.regions, x, y, radius, brush.hue, false, false);
  }
}

function disc(canvas, x, y, radius, color, erase, soft) {
  const context = canvas.getContext("2d");
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  if (soft) {
    const fade = context.createRadialGradient(x, y, radius * 0.4, x, y, radius);
    fade.addColorStop(0, color);
    fade.addColorStop(1, `${color.length === 4 ? "#000000" : color}00`);
    context.fillStyle = fade;
  } else context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
  context.globalCompositeOperation = "source-over";
}

function board(picture, role, hues, size, state) {
  const canvas = $("masks-canvas"), context = canvas.getContext("2d");
  [canvas.width, canvas.height] = size;
  $("masks-picture").src = api.picture(picture.id);
  $("masks-title").textContent = role === "content" ? "What is painted where" : "What of this painting counts";
  $("masks-about").textContent = role !== "content" ? "Paint over what is to be left out."
    : hues.length ? "Give each painting its part of the photo; what is not painted goes to the first." : "Paint over what is to stay as the photo has it.";
  let x = size[0] / 2, y = size[1] / 2, down = false, keys = false, paint = () => {};
  const draw = () => {
    context.clearRect(0, 0, ...size);
    context.drawImage(state.regions, 0, 0);
    context.drawImage(tinted(state.soft), 0, 0);
    if (!keys) return;
    context.strokeStyle = "#000";
    context.lineWidth = 3;
    context.beginPath();
    context.arc(x, y, brushRadius(size), 0, 7);
    context.stroke();
  };
  const place = (event) => { const box = canvas.getBoundingClientRect(); x = ((event.clientX - box.left) / box.width) * size[0]; y = ((event.clientY - box.top) / box.height) * size[1]; };
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const handlers = {
    pointerdown: (event) => { down = true; keys = false; canvas.setPointerCapture(event.pointerId); place(event); paint(x, y); },
    pointermove: (event) => { if (!down) return; const [fromX, fromY] = [x, y]; place(event); between(fromX, fromY, x, y, brushRadius(size) / 3, paint); },
    pointerup: () => { down = false; },
    pointercancel: () => { down = false; },
    keydown: (event) => {
      const step = steps[event.key];
      if (!step && event.key !== " ") return;
      event.preventDefault();
      keys = true;
      if (step) { x = Math.min(size[0], Math.max(0, x + step[0] * brushRadius(size) / 2)); y = Math.min(size[1], Math.max(0, y + step[1] * brushRadius(size) / 2)); }
      else paint(x, y);
      draw();
    },
  };
  for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler);
  draw();
  return {
    draw,
    listen: (work) => { paint = work; },
    end: () => { for (const [name, handler] of Object.entries(handlers)) canvas.removeEventListener(name, handler); },
  };
}

function between(fromX, fromY, toX, toY, step, work) {
  const count = Math.max(1, Math.ceil(Math.hypot(toX - fromX, toY - fromY) / step));
  for (let index = 1; index <= count; index++) work(fromX + ((toX - fromX) * index) / count, fromY + ((toY - fromY) * index) / count);
}

const file = (canvas) => new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });

async function files(state, role, hues, size) {
  const soft = state.softened ? await file(grey(state.soft, size, role === "style")) : null;
  if (role === "style") return { mask: soft };
  return { content_mask: state.dividing ? await file(plainColours(state.regions, hues, size)) : null, protect: soft };
}

// The painted coverage as grey; inverted for a style, of which the white parts are used.
function grey(canvas, size, turned) {
  const result = layer(size), context = result.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, ...size);
  context.drawImage(canvas, 0, 0);
  if (turned) { context.globalCompositeOperation = "difference"; context.fillStyle = "#fff"; context.fillRect(0, 0, ...size); }
  return result;
}

// Every pixel gets exactly one of the colours, since any other would be one more region; the first if unpainted.
function plainColours(canvas, hues, [width, height]) {
  const data = canvas.getContext("2d").getImageData(0, 0, width, height), pixels = data.data;
  const colours = hues.map((hue) => [1, 3, 5].map((at) => parseInt(hue.slice(at, at + 2), 16)));
  for (let at = 0; at < pixels.length; at += 4) {
    let best = 0, least = Infinity;
    if (pixels[at + 3] >= 128) colours.forEach((colour, index) => {
      const distance = colour.reduce((sum, value, channel) => sum + (value - pixels[at + channel]) ** 2, 0);
      if (distance < least) [best, least] = [index, distance];
    });
    pixels.set([...colours[best], 255], at);
  }
  const result = layer([width, height]);
  result.getContext("2d").putImageData(data, 0, 0);
  return result;
}
