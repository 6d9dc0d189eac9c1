// The input pictures: dropped, pasted, chosen or taken from the samples, with weights and masks.

import * as api from "./api.js";
import { $, make } from "./dom.js";
import { paintMask } from "./masks.js";

// Each {id, name, width, height}; the photo also {content_mask, protect}, styles {weight, scale, part, mask};
// start, if any, is the image to start from instead of the recipe's.
const table = { content: null, styles: [], start: null };
const NEW = { weight: 1, scale: 1, part: "all" };
const KINDS = { content: "photo", style: "painting", start: "start" };
const MEANING = { all: "everything", fine: "strokes and colours", coarse: "forms" };
let changed = () => {}, words = [];

export const pictures = () => table;
export const ready = () => table.content && table.styles.length > 0;

export function build(whenChanged, { samples, parts }) {
  changed = whenChanged;
  words = parts;
  for (const input of document.querySelectorAll(".add input")) {
    input.addEventListener("change", async () => { const files = [...input.files]; input.value = ""; await add(files, input.closest(".tray").dataset.role); });
  }
  $("swap").addEventListener("click", swap);
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter(isPicture);
    if (files.length) { event.preventDefault(); add(files); }
  });
  dropping();
  const photos = samples.filter((name) => /^(astronaut|chelsea|coffee)/.test(name)), paintings = samples.filter((name) => !photos.includes(name));
  for (const name of samples) $("sample-list").append(sample(name, photos.includes(name) ? "content" : "style"));
  const pairs = [["chelsea", "watercolor"], ["coffee", "night_swirls"], ["astronaut", "woodcut"]];
  for (const pair of pairs) $("pairs").append(pairButton(pair.map((name) => `${name}.jpg`)));
  draw();
}

const plain = (name) => name.replace(/\.\w+$/, "").replaceAll("_", " ");
const isPicture = (file) => file.type.startsWith("image/") || /\.(tiff?|heic|heif|ppm|pgm|pbm|pnm)$/i.test(file.name);

function sample(name, role) {
  const image = make("img", { src: `samples/${name}`, alt: "", loading: "lazy" });
  return make("button", { type: "button", class: "sample", "aria-label": `${plain(name)}, as ${role === "content" ? "the photo" : "a painting"}`, title: plain(name), onclick: () => takeSample(name, role) }, image);
}

function pairButton(names) {
  const images = names.map((name) => make("img", { src: `samples/${name}`, alt: "" }));
  return make("button", { type: "button", class: "pair", onclick: async () => { table.styles = []; await takeSample(names[0], "content"); await takeSample(names[1], "style"); } },
    make("span", {}, ...images), `${plain(names[0])} in ${plain(names[1])}`);
}

async function takeSample(name, role) {
  try { await put(await api.blob(`samples/${name}`), name, role); } catch (error) { wrong(error.message); }
}

// Without a role, the first picture becomes the photo if there is none, and the others styles.
export async function add(files, role) {
  wrong("");
  for (const file of files) {
    if (!isPicture(file)) { wrong(`${file.name}: is no picture`); continue; }
    try { await put(file, file.name || "pasted.png", role ?? (table.content ? "style" : "content")); } catch (error) { wrong(error.message); }
  }
}

async function put(file, name, role) {
  const place = $(`${role}-cards`), waiting = make("p", { class: "about" }, `reading ${name} …`);
  place.append(waiting);
  try {
    const stored = await api.upload(file, name);
    if (role === "style") table.styles.push({ ...stored, ...NEW });
    else table[role] = { ...stored };
    // The start picture belongs to the photo that was replaced.
    if (role === "content") table.start = null;
    touched();
  } finally { waiting.remove(); }
}

function touched() {
  // Masks painted for other pictures do not fit any more.
  if (table.content && table.content.regions !== table.styles.length) table.content.content_mask = null;
  draw();
  changed();
}

function swap() {
  const [first, ...rest] = table.styles;
  [table.content, table.styles] = [strip(first), [{ ...strip(table.content), ...NEW }, ...rest]];
  table.start = null;
  touched();
}

const strip = ({ id, name, width, height }) => ({ id, name, width, height });

function draw() {
  $("content-cards").replaceChildren(...(table.content ? [card(table.content, "content")] : []));
  $("style-cards").replaceChildren(...table.styles.map((each, index) => card(each, "style", index)));
  $("start-cards").replaceChildren(...(table.start ? [card(table.start, "start")] : []));
  $("start").open ||= table.start !== null;
  $("swap").hidden = !ready();
  document.querySelector('label[for="content-file"]').textContent = table.content ? "Another photo" : "Choose a photo";
  document.querySelector('label[for="style-file"]').textContent = table.styles.length ? "Add a painting" : "Choose paintings";
}

function card(each, role, index = 0) {
  const what = KINDS[role];
  const remove = () => {
    if (role === "style") table.styles.splice(index, 1); else table[role] = null;
    touched();
    $(`${role}-file`).focus();
  };
  const masked = each.mask || each.content_mask || each.protect;
  const parts = [
    make("div", { class: "picture" }, make("img", { src: api.picture(each.id), alt: `${what} ${each.name}` })),
    make("figcaption", {}, `${each.name}, ${each.width} × ${each.height}`, ...(each.notes ?? []).map((note) => make("p", {}, note))),
  ];
  if (role === "style") parts.push(...counting(each));
  const buttons = [make("button", { type: "button", class: "quiet", "aria-label": `Remove ${what} ${each.name}`, onclick: remove }, "Remove")];
  if (role !== "start") {
    const word = masked ? "Change mask" : "Mask";
    buttons.unshift(make("button", { type: "button", class: "quiet", "aria-label": `${word} (${what} ${each.name})`, onclick: () => maskOf(each, role) }, word));
  }
  return make("figure", { class: "card" }, ...parts, make("div", { class: "row" }, ...buttons));
}

// The settings of one style; its weight and scale only if there are several.
function counting(style) {
  const set = (key) => (value) => { style[key] = value; changed(true); };
  const several = table.styles.length > 1 ? [
    slider("Weight", { min: 0, max: 2, step: 0.05 }, style.weight, Number, (value) => value, set("weight")),
    slider("Scale", { min: -2, max: 2, step: 0.25 }, style.scale, (place) => Number((2 ** place).toPrecision(3)), Math.log2, set("scale")),
  ] : [];
  const part = make("select", { onchange: (event) => set("part")(event.target.value) },
    ...words.map((word) => make("option", { value: word, selected: word === style.part }, MEANING[word] ?? word)));
  return [...several, make("label", { class: "about" }, "Counts for", part)];
}

function slider(label, range, value, read, place, set) {
  const shown = make("output", {}, String(value));
  const input = make("input", { type: "range", ...range, value: place(value), oninput: () => { shown.textContent = read(input.value); }, onchange: () => set(read(input.value)) });
  return make("label", { class: "about" }, `${label} `, shown, input);
}

async function maskOf(each, role) {
  const painted = await paintMask(each, role, table.styles.map((style) => style.name));
  if (!painted) return;
  try {
    for (const [key, file] of Object.entries(painted)) each[key] = file ? (await api.upload(file, `${plain(each.name)}-${key.replace("_", "-")}.png`)).id : null;
    each.regions = table.styles.length;
  } catch (error) { wrong(error.message); }
  draw();
  changed(true);
}

function dropping() {
  const over = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const target = (event) => event.target.closest?.(".tray");
  const mark = (tray) => document.querySelectorAll(".tray").forEach((each) => each.classList.toggle("over", each === tray));
  document.addEventListener("dragover", (event) => {
    if (!over(event)) return;
    event.preventDefault();
    $("drop-hint").hidden = false;
    $("board").classList.add("over");
    mark(target(event));
  });
  const leave = () => { $("drop-hint").hidden = true; $("board").classList.remove("over"); mark(null); };
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) leave(); });
  document.addEventListener("drop", (event) => {
    if (!over(event)) return;
    event.preventDefault();
    leave();
    add([...event.dataTransfer.files], target(event)?.dataset.role);
  });
}

export const wrong = (message) => { $("tray-error").textContent = message; };

// Show the input pictures of an existing job.
export function take(order, known) {
  if (!known[order.content] || order.styles.some((style) => !known[style.picture])) return;
  table.content = { ...known[order.content], content_mask: order.content_mask, protect: order.protect, regions: order.styles.length };
  table.styles = order.styles.map((style) => ({ ...known[style.picture], weight: style.weight, scale: style.scale, part: style.part, mask: style.mask }));
  table.start = known[order.init] ?? null;
  draw();
}

// Start from a stored picture.
export function startFrom(stored) {
  table.start = stored;
  draw();
}

// The input pictures in the form of an order.
export const asked = () => ({
  content: table.content?.id ?? null,
  styles: table.styles.map((style) => ({ picture: style.id, weight: style.weight, scale: style.scale, part: style.part, mask: style.mask ?? null })),
  content_mask: table.content?.content_mask ?? null,
  protect: table.content?.protect ?? null,
  init: table.start?.id ?? null,
});
