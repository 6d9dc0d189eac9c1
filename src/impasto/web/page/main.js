// The page: input pictures to the left, the main picture in the middle, controls to the right.

import * as api from "./api.js";
import * as controls from "./controls.js";
import { $, later, say } from "./dom.js";
import * as easel from "./easel.js";
import * as gallery from "./gallery.js";
import * as trays from "./trays.js";
import { watch } from "./watch.js";

let state = { jobs: [], queue: [] };

const going = (job) => job && ["queued", "running", "paused"].includes(job.state);
const painting = (job) => job && ["running", "paused"].includes(job.state);
const steerable = (job) => painting(job) && !job.order.vary.length; // a sheet is painted as it was begun

const order = () => ({ ...trays.asked(), ...controls.asked() });

function wrong(message) {
  $("order-error").textContent = message && controls.wrong(message) ? "" : message;
  if (!message) controls.wrong("");
}

// The input pictures changed: the job shown is of other pictures now, unless it can be steered.
function picturesChanged(same = false) {
  if (same && steerable(easel.current())) return steer();
  leave();
}

// Show the input pictures, and no job.
function leave() {
  if (location.hash) history.pushState(null, "", location.pathname);
  easel.lay(trays.pictures().content);
  gallery.show(state, null, wrong);
  say("");
  buttons();
}

const settingsChanged = later(300, async () => {
  try {
    await api.check(controls.asked());
    wrong("");
    if (steerable(easel.current())) await steer();
  } catch (error) { wrong(error.message); }
});

async function steer() {
  const job = easel.current();
  try {
    await api.wish(job.id, "steer", { ...order(), content: job.order.content, init: job.order.init });
    say("Changed; painting goes on");
  } catch (error) { wrong(error.message); }
}

async function paint(vary = [], failed = wrong) {
  wrong("");
  $("sheet-error").textContent = "";
  if (!trays.ready()) return failed(trays.pictures().content ? "Choose a painting: it is what the photo is painted like." : "Choose a photo and a painting first.");
  $("paint").disabled = $("paint-sheet").disabled = true;
  try {
    const { id } = await api.order({ ...order(), vary });
    location.hash = id;
  } catch (error) { failed(error.message); }
  $("paint").disabled = $("paint-sheet").disabled = false;
}

function paintSheet() {
  const vary = controls.varied(), failed = (message) => { $("sheet-error").textContent = message; };
  return vary.length ? paint(vary, failed) : failed("Choose a setting to compare.");
}

async function again() {
  try {
    trays.startFrom(await api.upload(await easel.stage(), "stage.jpg"));
    await paint();
  } catch (error) { wrong(error.message); }
}

async function useText() {
  const toml = $("toml").value;
  try {
    const { values } = await api.check({ toml });
    controls.own(values, toml);
    settingsChanged();
  } catch (error) { wrong(error.message); }
}

// The address names the job being shown.
async function opened() {
  const id = location.hash.slice(1);
  if (!/^[0-9a-f]{16}$/.test(id)) return leave();
  try {
    const detail = await api.job(id);
    trays.take(detail.order, detail.pictures);
    controls.take(detail.order.base, detail.order.settings, detail.order.recipe, detail.toml);
    controls.takeVaried(detail.order.vary);
    easel.open(detail);
    gallery.show(state, id, wrong);
  } catch (error) {
    leave();
    $("job-error").textContent = error.message;
  }
  buttons();
}

let fetched = 0;

async function news(given) {
  state = given;
  const job = easel.current();
  gallery.show(state, job?.id, wrong);
  const brief = job && state.jobs.find((each) => each.id === job.id);
  if (job && !brief) leave();
  if (brief) {
    const ended = going(job) && !going(brief);
    easel.update(brief);
    // The stream leaves the loss curve out, since it is long; fetch it from time to time.
    if (ended || (painting(brief) && Date.now() > fetched + 1500)) {
      fetched = Date.now();
      try {
        const detail = await api.job(brief.id);
        if (easel.current()?.id === detail.id) easel.open(detail);
      } catch { /* the next news will tell */ }
    }
  }
  buttons();
}

function buttons() {
  const job = easel.current();
  $("pause").hidden = !painting(job);
  $("pause").textContent = job?.state === "paused" ? "Go on" : "Pause";
  $("stop").hidden = !going(job);
  $("stop").textContent = job?.state === "queued" ? "Cancel" : "Stop";
  $("steer-note").hidden = !steerable(job);
  $("paint").textContent = job ? (going(job) ? "Paint another" : "Paint again") : "Paint";
  $("paint").classList.toggle("main", !going(job));
  document.title = painting(job) ? `${Math.round(job.progress * 100)} % · impasto` : "impasto";
}

const wish = (verb) => async () => {
  try { await api.wish(easel.current().id, verb()); } catch (error) { wrong(error.message); }
};

async function begin() {
  const schema = await api.schema();
  controls.build(schema, settingsChanged);
  trays.build(picturesChanged, schema);
  easel.build(schema.formats);
  $("paint").addEventListener("click", () => paint());
  $("paint-sheet").addEventListener("click", paintSheet);
  $("again").addEventListener("click", again);
  $("use-toml").addEventListener("click", useText);
  $("pause").addEventListener("click", wish(() => (easel.current().state === "paused" ? "resume" : "pause")));
  $("stop").addEventListener("click", wish(() => "cancel"));
  // Not in the address, which names the job.
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("easel").focus(); });
  addEventListener("hashchange", opened);
  addEventListener("popstate", opened);
  if (!location.hash) {
    const job = (await api.jobs()).jobs.find(painting);
    if (job) history.replaceState(null, "", `#${job.id}`);
  }
  await opened();
  watch(news, (message) => { $("order-error").textContent = message || ($("order-error").textContent.startsWith("impasto does not answer") ? "" : $("order-error").textContent); });
  document.documentElement.dataset.ready = "yes";
}

begin().catch((error) => { $("order-error").textContent = error.message; });
