// The queue, and finished jobs.

import * as api from "./api.js";
import { $, make, say } from "./dom.js";

let drawn = "";

export function show(state, current, failed) {
  const byId = new Map(state.jobs.map((job) => [job.id, job]));
  const waiting = state.queue.map((id) => byId.get(id)).filter(Boolean);
  const over = state.jobs.filter((job) => !["queued"].includes(job.state));
  // Built anew only if something in it has changed, so that it keeps the focus.
  const key = JSON.stringify([state.queue, over.map((job) => [job.id, job.state, Math.floor(job.stages / 3)]), current]);
  if (key === drawn) return;
  drawn = key;
  const focused = document.activeElement?.dataset?.key;
  $("queue").hidden = !waiting.length;
  $("queue-list").replaceChildren(...waiting.map((job, index) => queued(job, index, waiting.length, failed)));
  $("gallery").hidden = !over.length;
  $("gallery-list").replaceChildren(...over.map((job) => finished(job, job.id === current, failed)));
  if (focused) document.querySelector(`[data-key="${focused}"]`)?.focus();
}

const act = (work, failed) => async () => { try { await work(); } catch (error) { failed(error.message); } };

function queued(job, index, count, failed) {
  const button = (name, label, work, disabled = false) => make("button", { type: "button", class: "quiet", "data-key": `${name}-${job.id}`, "aria-label": `${label} (number ${index + 1})`, disabled, onclick: act(work, failed) }, name);
  return make("li", {}, make("div", { class: "row" },
    make("a", { href: `#${job.id}` }, `picture ${job.id.slice(0, 6)}, ${job.recipe}`),
    button("earlier", "Paint earlier", () => api.wish(job.id, "move", { place: index - 1 }), index === 0),
    button("later", "Paint later", () => api.wish(job.id, "move", { place: index + 1 }), index === count - 1),
    button("cancel", "Cancel", () => api.wish(job.id, "cancel"))));
}

function finished(job, current, failed) {
  const when = new Date(job.created * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const state = { running: "painting", paused: "paused", finished: "", stopped: "stopped", failed: "failed" }[job.state];
  const image = make("img", { src: job.preview ? api.preview(job.id, `${job.state}-${Math.floor(job.stages / 3)}`) : "page/icon.svg", alt: "", loading: "lazy" });
  const link = make("a", { href: `#${job.id}`, "data-key": `open-${job.id}`, "aria-current": current ? "true" : null, "aria-label": `Open the picture of ${when}, ${job.recipe} ${state}` }, image);
  const remove = make("button", { type: "button", class: "quiet", "aria-label": `Delete the picture of ${when}`, onclick: act(async () => { await api.remove(job.id); say("Deleted"); }, failed) }, "Delete");
  const going = ["running", "paused"].includes(job.state);
  return make("li", {}, link, make("div", { class: "row" }, make("span", {}, state || job.recipe), going ? null : remove));
}
