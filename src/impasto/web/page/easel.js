// The main picture: preview, before and after, stages, the loss curve, and downloads.

import * as api from "./api.js";
import { $, duration, make, say } from "./dom.js";

let job = null, shown = -1, loading = false, wanted = -1, formats = [], told = "";

export function build(given) {
  formats = given;
  $("format").append(...formats.map(({ name, ending }) => make("option", { value: ending }, name.toUpperCase())));
  $("format").value = ".png";
  for (const id of ["format", "deep", "quality"]) $(id).addEventListener("change", takeaway);
  $("compare").addEventListener("input", cut);
  $("rewind").addEventListener("input", rewind);
  $("zoom").addEventListener("change", zoom);
  $("copy").addEventListener("click", copy);
  $("canvas").addEventListener("pointermove", (event) => { if (event.buttons && $("zoom").value === "fit" && !$("before").hidden) drag(event); });
  $("shown").addEventListener("load", zoom);
}

export const current = () => job;

// Show the chosen pictures before there is a job.
export function lay(content) {
  job = null;
  shown = wanted = -1;
  told = "";
  for (const id of ["progress", "tools", "takeaway", "before", "divider"]) $(id).hidden = true;
  $("job-error").textContent = "";
  $("notes").replaceChildren();
  $("empty").hidden = Boolean(content);
  $("frame").hidden = !content;
  if (content) { $("shown").src = api.picture(content.id); $("shown").alt = `the photo ${content.name}, not painted yet`; }
}

// Show everything about a job.
export function open(detail) {
  if (job?.id !== detail.id) { lay({ id: detail.order.content, name: detail.pictures[detail.order.content]?.name ?? "" }); $("compare").value = 0; }
  job = detail;
  $("before").src = api.picture(detail.order.content);
  $("before").alt = "the photo";
  $("notes").replaceChildren(...detail.notes.map((note) => make("li", {}, note)));
  $("command").textContent = detail.command;
  $("line-details").hidden = !detail.command;
  curve(detail.curve);
  update(detail);
}

// Update from the stream of events.
export function update(brief) {
  Object.assign(job, brief);
  const going = ["queued", "running", "paused"].includes(job.state);
  $("progress").hidden = !going && !job.curve?.length;
  $("bar").value = job.progress;
  $("bar").hidden = !going;
  $("line").replaceChildren(...line().map((text) => make("span", {}, text)));
  $("job-error").textContent = job.error;
  const painted = job.preview > 0;
  $("tools").hidden = !painted;
  // A sheet cannot be compared with the photo.
  $("again").hidden = $("compare-tool").hidden = job.cells > 0;
  $("takeaway").hidden = !job.size;
  const atEnd = Number($("rewind").value) >= Number($("rewind").max);
  $("rewind").max = job.stages;
  if (atEnd) $("rewind").value = job.stages;
  $("rewind-tool").hidden = job.stages < 2;
  takeaway();
  cut();
  if (painted && atEnd) pull(job.preview + (going ? 0 : 0.5));
  aloud();
}

function line() {
  const words = { queued: "waiting for its turn", paused: "paused", finished: "finished", stopped: "stopped", failed: "failed" };
  const parts = job.state === "running" ? [] : [words[job.state]];
  if (job.state === "running" && !job.present) return ["getting ready"];
  if (job.present && ["running", "paused"].includes(job.state)) {
    const [height, width, steps] = job.present;
    if (job.cells) parts.push(`picture ${job.cell + 1} of ${job.cells}`);
    parts.push(`${width} × ${height}, scale ${job.scale + 1} of ${job.scales}`, `step ${job.step} of ${steps}`);
    if (job.left) parts.push(`about ${duration(job.left)} left`);
  } else if (job.seconds) parts.push(`after ${duration(job.seconds)}`);
  if (job.size) parts.push(`${job.size[0]} × ${job.size[1]}`);
  const last = job.curve?.at(-1);
  if (last) parts.push(`loss ${last[1].toPrecision(4)}`);
  return parts;
}

// Announcements for screen readers, not for every step.
function aloud() {
  const text = job.state === "running" ? (job.present ? `Painting, ${Math.floor(job.progress * 4) * 25} %` : "Getting ready")
    : { queued: "Waiting for its turn", paused: "Paused", finished: "Finished", stopped: "Stopped", failed: "Failed" }[job.state];
  if (text !== told) say(told = text);
}

// Fetch a preview; the next one only when this one is shown, so that requests never pile up on a slow line.
async function pull(number) {
  wanted = number;
  if (loading || number === shown || !job) return;
  loading = true;
  const id = job.id, image = new Image();
  image.src = api.preview(id, number);
  try {
    await image.decode();
    if (job?.id === id && Number($("rewind").value) >= Number($("rewind").max)) {
      $("shown").src = image.src;
      $("shown").alt = job.size ? "the painted picture" : "the picture as it is now";
      $("shown").dataset.number = number;
      shown = number;
    }
  } catch { shown = number; }
  loading = false;
  if (wanted !== shown) pull(wanted);
}

function rewind() {
  const number = Number($("rewind").value);
  if (number >= job.stages) { shown = -1; return pull(job.preview + 0.5); }
  $("shown").src = api.stage(job.id, number);
  $("rewind").setAttribute("aria-valuetext", `${Math.round((job.at?.[number] ?? number / job.stages) * 100)} % painted`);
}

// The stage being shown, as a file; null for the result.
export async function stage() {
  const number = Number($("rewind").value);
  return api.blob(number >= job.stages ? api.preview(job.id, job.preview) : api.stage(job.id, number));
}

function cut() {
  const part = Number($("compare").value);
  $("before").hidden = $("divider").hidden = part === 0 || !job;
  $("canvas").style.setProperty("--cut", `${part}%`);
  $("compare").setAttribute("aria-valuetext", `${part} % photo`);
}

function drag(event) {
  const box = $("canvas").getBoundingClientRect();
  $("compare").value = Math.round((100 * (event.clientX - box.left)) / box.width);
  cut();
}

function zoom() {
  const factor = $("zoom").value, zoomed = factor !== "fit";
  $("canvas").style.setProperty("--aspect", $("shown").naturalWidth / $("shown").naturalHeight || 1.5);
  $("frame").classList.toggle("zoomed", zoomed);
  if (zoomed) { $("frame").tabIndex = 0; $("canvas").style.setProperty("--width", `${$("shown").naturalWidth * factor}px`); } else $("frame").removeAttribute("tabindex");
}

export function curve(points) {
  if (job) job.curve = points;
  const line_ = document.querySelector("#curve polyline");
  $("curve").classList.toggle("unseen", points.length < 2);
  if (points.length < 2) return line_.setAttribute("points", "");
  const logs = points.map(([, loss]) => Math.log(Math.max(loss, 1e-30)));
  const low = Math.min(...logs), high = Math.max(...logs);
  line_.setAttribute("points", points.map(([at], index) => `${(at * 300).toFixed(1)},${(38 - (36 * (logs[index] - low)) / (high - low || 1)).toFixed(1)}`).join(" "));
  $("curve").setAttribute("aria-label", `The loss so far: from ${points[0][1].toPrecision(3)} to ${points.at(-1)[1].toPrecision(3)}`);
}

function takeaway() {
  const format = formats.find(({ ending }) => ending === $("format").value);
  $("deep-label").hidden = !format.deep;
  $("quality-label").hidden = !format.quality;
  const query = { ending: format.ending.slice(1) };
  if (format.deep && $("deep").checked) query.bits = 16;
  if (format.quality && $("quality").value) query.quality = $("quality").value;
  if (job) $("download").href = api.result(job.id, query);
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("command").textContent);
    say("Copied");
  } catch {
    getSelection().selectAllChildren($("command"));
    say("Selected: press Ctrl+C");
  }
}
