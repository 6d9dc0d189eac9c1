// State from the server's stream. A browser opens six connections to a server, so at most three pages hold a
// stream, none of them hidden; the others poll once a second.

import * as api from "./api.js";

const STREAMS = 3;

export function watch(show, lost) {
  let source = null, release = null, timer = 0, version = -1;

  function tell(state) {
    lost(false);
    if (state.version !== version) { version = state.version; show(state); }
  }

  async function poll() {
    clearTimeout(timer);
    if (document.hidden || source) return;
    try { tell(await api.jobs()); } catch (error) { lost(error.message); }
    timer = setTimeout(poll, 1000);
  }

  function close() {
    source?.close();
    source = null;
    release?.();
    release = null;
  }

  function listen() {
    source = new EventSource("api/events");
    source.onmessage = (event) => tell(JSON.parse(event.data));
    source.onerror = () => { close(); poll(); setTimeout(open, 5000); };
  }

  async function slot(number) {
    if (number >= STREAMS || document.hidden || source) return;
    await navigator.locks.request(`impasto-${number}`, { ifAvailable: true }, (lock) => {
      if (!lock || source || document.hidden) return lock ? undefined : void slot(number + 1);
      return new Promise((resolve) => { release = resolve; listen(); });
    });
  }

  function open() {
    if (document.hidden) return;
    poll();
    if (navigator.locks && !source) slot(0);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}
