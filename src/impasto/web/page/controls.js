// The controls, built from the recipe's fields; their ranges and help texts come from the server.

import { $, make, title } from "./dom.js";

const WIDE = 8;      // a slider without an end goes from an eighth to eight times the recipe's value
const NOTCHES = 200; // of a slider

let schema, controls = new Map(), changed = () => {};

export function build(given, whenChanged) {
  schema = given;
  changed = whenChanged;
  for (const { name, description } of schema.recipes) $("recipe").append(make("option", { value: name, title: description }, name));
  $("recipe").addEventListener("change", () => { fill(); changed(); });
  fill();
}

const recipe = () => schema.recipes.find((each) => each.name === $("recipe").value) ?? schema.recipes[0];

// A recipe written by hand is one more to choose from.
export function own(values, toml) {
  schema.recipes = schema.recipes.filter((each) => each.name !== "custom");
  schema.recipes.push({ name: "custom", description: "written by hand: see Everything else", values, text: toml });
  if (![...$("recipe").options].some((option) => option.value === "custom")) $("recipe").append(make("option", { value: "custom" }, "custom"));
  $("recipe").value = "custom";
  fill();
}

// Show the controls for the chosen recipe, with its values.
function fill() {
  const { values, description, text: toml } = recipe();
  $("recipe-about").textContent = description;
  $("toml").value = toml;
  controls = new Map();
  const optimizer = schema.optimizers[values.optimizer.name];
  const byName = new Map([...schema.fields, ...optimizer].map((field) => [field.name, field]));
  const first = schema.first.map((name) => byName.get(name));
  const others = [...byName.values()].filter((field) => !schema.first.includes(field.name));
  $("first").replaceChildren(...first.map(control));
  $("others").replaceChildren(...others.map(control));
  fillSheet();
}

// The settings that vary on a sheet: two, of which the second is optional.
function fillSheet() {
  $("varied").replaceChildren(...["First", "Second"].map((which, index) => {
    const options = schema.fields.map(({ name }) => make("option", { value: name }, title(name)));
    const name = make("select", { id: `vary-${index}`, "aria-label": `${which} setting to compare` }, make("option", { value: "" }, index ? "nothing else" : "choose a setting"), ...options);
    const values = make("input", { id: `vary-${index}-values`, type: "text", "aria-label": `Values of the ${which.toLowerCase()} setting`, "aria-describedby": "sheet-about sheet-error" });
    name.addEventListener("change", () => { values.value = suggested(schema.fields.find((field) => field.name === name.value)); });
    return make("div", { class: "vary" }, name, values);
  }));
}

// Suggested values: all words of a choice, or half, once and twice the present number.
function suggested(field) {
  if (!field) return "";
  if (field.kind === "choice") return field.choices.join(", ");
  const now = controls.get(field.name)?.value() ?? standard(field.name);
  if (field.kind === "list") return now.join(":");
  if (typeof now !== "number") return (field.words ?? []).join(", ");
  const near = (now === 0 ? [0, 0.5, 1] : [now / 2, now, now * 2]).map((value) => rounded(Math.min(field.maximum ?? Infinity, Math.max(field.minimum ?? -Infinity, value)), field));
  return [...new Set(near)].join(", ");
}

const plain = (text) => (text.trim() !== "" && !isNaN(text) ? Number(text) : text.trim());
const value = (text) => (text.includes(":") ? text.split(":").map(plain) : plain(text));

// The varying settings in the server's form; lists inside a list of values use colons.
export function varied() {
  const isList = (name) => schema.fields.find((field) => field.name === name)?.kind === "list";
  return [0, 1].map((index) => [$(`vary-${index}`).value, $(`vary-${index}-values`).value]).filter(([name]) => name).map(([name, text]) => ({
    name, values: text.split(",").map((each) => (isList(name) ? [value(each)].flat() : value(each))),
  }));
}

export function takeVaried(vary) {
  $("sheet").open ||= vary.length > 0;
  vary.forEach(({ name, values }, index) => {
    $(`vary-${index}`).value = name;
    $(`vary-${index}-values`).value = values.map((each) => [each].flat().join(":")).join(", ");
  });
}

function standard(name) {
  const [table, key] = name.includes(".") ? [recipe().values[name.split(".")[0]], name.split(".")[1]] : [recipe().values, name];
  return table[key];
}

function control(field) {
  const id = `c-${field.name.replace(".", "-")}`;
  const make_ = field.kind === "choice" ? choice : field.kind === "list" ? list : field.name === "seed" ? plainNumber : number;
  const reset = make("button", { type: "button", class: "quiet", hidden: true, "aria-label": `reset ${title(field.name)} to the recipe's` }, "reset");
  const error = make("p", { class: "error", id: `${id}-error` });
  const part = make_(field, id, () => { mark(); changed(); });
  const box = make("div", { class: "control" },
    make("div", { class: "head" }, make("label", { for: id }, title(field.name)), reset),
    part.element,
    make("p", { class: "about", id: `${id}-about` }, field.help + (field.range && !schema.first.includes(field.name) ? ` (${field.range})` : "")), error);
  const mark = () => { reset.hidden = JSON.stringify(part.value()) === JSON.stringify(standard(field.name)); };
  reset.addEventListener("click", () => { part.set(standard(field.name)); mark(); changed(); $(id)?.focus(); });
  part.set(standard(field.name));
  controls.set(field.name, { ...part, error, box, mark, set: (value) => { part.set(value); mark(); } });
  return box;
}

const described = (id) => ({ "aria-describedby": `${id}-about ${id}-error` });

function choice(field, id, touched) {
  const select = make("select", { id, ...described(id), onchange: touched }, ...field.choices.map((word) => make("option", { value: word }, word)));
  return { element: select, value: () => select.value, set: (value) => { select.value = value; } };
}

function list(field, id, touched) {
  const input = make("input", { id, type: "text", inputmode: "numeric", class: "alone", ...described(id), onchange: touched });
  return {
    element: input,
    value: () => input.value.split(",").map((part) => (part.trim() === "" || isNaN(part) ? part.trim() : Number(part))),
    set: (value) => { input.value = value.join(", "); },
  };
}

function plainNumber(field, id, touched) {
  const input = make("input", { id, type: "number", step: field.whole ? 1 : "any", ...described(id), onchange: touched });
  const dice = () => { input.value = Math.floor(Math.random() * 1e6); touched(); };
  const element = make("div", { class: "pairing" }, input, make("button", { type: "button", onclick: dice }, "other"));
  return { element, value: () => read(input), set: (value) => { input.value = value; } };
}

const read = (input) => (input.value === "" ? "" : Number(input.value));

// A slider and a number field with the same value; some settings also take words, such as "original".
function number(field, id, touched) {
  const usual = standard(field.name);
  const scale = extent(field, typeof usual === "number" ? usual : 512);
  const words = field.words ?? [];
  const slider = make("input", { type: "range", min: 0, max: NOTCHES, "aria-label": `${title(field.name)}, slider` });
  const input = make("input", { id, type: "number", step: field.whole ? 1 : "any", ...described(id) });
  const chosen = make("select", { "aria-label": `${title(field.name)}, in pixels or in words` },
    make("option", { value: "" }, "px"), ...words.map((word) => make("option", { value: word }, word)));
  const word = () => (words.length ? chosen.value : "");
  const fade = () => { slider.disabled = input.disabled = word() !== ""; };
  slider.addEventListener("input", () => { input.value = rounded(scale.at(slider.value / NOTCHES), field); });
  slider.addEventListener("change", touched);
  input.addEventListener("change", () => { slider.value = scale.place(Number(input.value)) * NOTCHES; touched(); });
  chosen.addEventListener("change", () => { fade(); if (!word() && input.value === "") input.value = 512; touched(); });
  const element = make("div", { class: words.length ? "pairing three" : "pairing" }, slider, input, ...(words.length ? [chosen] : []));
  return {
    element,
    value: () => word() || read(input),
    set: (value) => {
      if (words.length) chosen.value = typeof value === "string" ? value : "";
      if (typeof value === "number") { input.value = value; slider.value = scale.place(value) * NOTCHES; }
      fade();
    },
  };
}

function extent(field, usual) {
  const low = field.minimum ?? field.above ?? 0;
  const high = field.maximum ?? Infinity;
  if (high - low <= 4 || usual === 0) {
    const end = high === Infinity ? 1 : high;
    return { at: (part) => low + part * (end - low), place: (value) => (value - low) / (end - low) };
  }
  const from = Math.max(low, usual / WIDE) || usual / WIDE, to = Math.min(high, usual * WIDE);
  return { at: (part) => from * (to / from) ** part, place: (value) => Math.log(Math.max(value, from) / from) / Math.log(to / from) };
}

function rounded(value, field) {
  if (!field.whole) return Number(value.toPrecision(3));
  return value > 64 ? Math.round(value / 16) * 16 : Math.round(value);
}

// The changes to the recipe, in the server's form.
export function asked() {
  const settings = {};
  for (const [name, part] of controls) {
    const value = part.value();
    if (JSON.stringify(value) !== JSON.stringify(standard(name))) settings[name] = value;
  }
  return recipe().name === "custom" ? { settings, toml: recipe().text } : { recipe: recipe().name, settings };
}

// Show the recipe of an existing job.
export function take(base, settings, values, toml) {
  if (base === "custom") return own(values, toml);
  $("recipe").value = base;
  fill();
  for (const [name, value] of Object.entries(settings)) controls.get(name)?.set(value);
}

// Show an error beside its control; return whether it belongs to one.
export function wrong(message) {
  let found = false;
  for (const [name, part] of controls) {
    const mine = message.startsWith(`${name} `) || message.startsWith(`${name.split(".").at(-1)} is `);
    part.error.textContent = mine && !found ? message : "";
    part.box.classList.toggle("wrong", mine && !found);
    if (mine && !found && part.box.closest("details")) part.box.closest("details").open = true;
    found ||= mine;
  }
  return found;
}
