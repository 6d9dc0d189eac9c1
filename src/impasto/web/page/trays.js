// The photo and the paintings: dropped, pasted, chosen, taken from the samples, weighed and masked.

import * as api from "./api.js";
import { $, make } from "./dom.js";
import { paintMask } from "./masks.js";

// Each {id, name, width, height, weight, mask}; for the photo also {content_mask, protect}.
const table = { content: null, styles: [] };
let changed = () => {};

export const pictures = () => table;
export const ready = () => table.content && table.styles.length > 0;

export function build(whenChanged, samples) {
  changed = whenChanged;
  for (const role of ["content", "style"]) {
    $(`${role}-file`).addEventListener("change", async (event) => { const files = [...event.target.files]; event.target.value = ""; await add(files, role); });
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

// Without a role the first picture becomes the photo, if there is none, and the others paintings.
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
    if (role === "content") table.content = { ...stored };
    else table.styles.push({ ...stored, weight: 1 });
    touched();
  } finally { waiting.remove(); }
}

function touched() {
  // What was painted for other pictures fits no more.
  if (table.content && table.content.regions !== table.styles.length) table.content.content_mask = null;
  draw();
  changed();
}

function swap() {
  const [first, ...rest] = table.styles;
  [table.content, table.styles] = [strip(first), [{ ...strip(table.content), weight: 1 }, ...rest]];
  touched();
}

const strip = ({ id, name, width, height }) => ({ id, name, width, height });

function draw() {
  $("content-cards").replaceChildren(...(table.content ? [card(table.content, "content")] : []));
  $("style-cards").replaceChildren(...table.styles.map((each, index) => card(each, "style", index)));
  $("swap").hidden = !ready();
  document.querySelector('label[for="content-file"]').textContent = table.content ? "Another photo" : "Choose a photo";
  document.querySelector('label[for="style-file"]').textContent = table.styles.length ? "Add a painting" : "Choose paintings";
}

function card(each, role, index = 0) {
  const what = role === "content" ? "photo" : "painting";
  const remove = () => {
    if (role === "content") table.content = null; else table.styles.splice(index, 1);
    touched();
    $(`${role}-file`).focus();
  };
  const masked = each.mask || each.content_mask || each.protect;
  const parts = [
    make("div", { class: "picture" }, make("img", { src: api.picture(each.id), alt: `${what} ${each.name}` })),
    make("figcaption", {}, `${each.name}, ${each.width} × ${each.height}`, ...(each.notes ?? []).map((note) => make("p", {}, note))),
  ];
  if (role === "style" && table.styles.length > 1) {
    const slider = make("input", { type: "range", min: 0, max: 2, step: 0.05, value: each.weight, onchange: (event) => { each.weight = Number(event.target.value); changed(true); } });
    parts.push(make("label", { class: "about" }, "Weight", slider));
  }
  const mask = make("button", { type: "button", class: "quiet", onclick: () => maskOf(each, role) }, masked ? "Change mask" : "Mask");
  mask.setAttribute("aria-label", `${masked ? "Change mask" : "Mask"} (${what} ${each.name})`);
  parts.push(make("div", { class: "row" }, mask, make("button", { type: "button", class: "quiet", "aria-label": `Remove ${what} ${each.name}`, onclick: remove }, "Remove")));
  return make("figure", { class: "card" }, ...parts);
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

// Put the pictures of a job that is there already on the table.
export function take(order, known) {
  if (!known[order.content] || order.styles.some((style) => !known[style.picture])) return;
  table.content = { ...known[order.content], content_mask: order.content_mask, protect: order.protect, regions: order.styles.length };
  table.styles = order.styles.map((style) => ({ ...known[style.picture], weight: style.weight, scale: style.scale, part: style.part, mask: style.mask }));
  draw();
}

// The pictures as an order names them.
export const asked = () => ({
  content: table.content?.id ?? null,
  styles: table.styles.map((style) => ({ picture: style.id, weight: style.weight, scale: style.scale ?? 1, part: style.part ?? "all", mask: style.mask ?? null })),
  content_mask: table.content?.content_mask ?? null,
  protect: table.content?.protect ?? null,
});
