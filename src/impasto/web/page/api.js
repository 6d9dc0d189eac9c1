// Requests to the server. Addresses are relative: everything is below the secret first part of the path.

export class Refused extends Error {}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused("impasto does not answer; is 'impasto serve' still running?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = text.trim();
  try { message = JSON.parse(text).error; } catch { /* the door speaks plain text */ }
  throw new Refused(message || `the server answered ${answer.status}`);
}

const send = (path, body) => ask(path, { method: "POST", body: JSON.stringify(body ?? {}), headers: { "content-type": "application/json" } });

export const schema = async () => (await ask("api/schema")).json();
export const jobs = async () => (await ask("api/jobs")).json();
export const job = async (id) => (await ask(`api/jobs/${id}`)).json();
export const check = async (recipe) => (await send("api/check", recipe)).json();
export const order = async (asked) => (await send("api/jobs", asked)).json();
export const wish = (id, verb, body) => send(`api/jobs/${id}/${verb}`, body);
export const remove = (id) => ask(`api/jobs/${id}`, { method: "DELETE" });
export const blob = async (path) => (await ask(path)).blob();
export const upload = async (file, name) =>
  (await ask(`api/pictures?name=${encodeURIComponent(name)}`, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } })).json();

export const picture = (id) => `api/pictures/${id}`;
export const preview = (id, number) => `api/jobs/${id}/preview?n=${number}`;
export const stage = (id, number) => `api/jobs/${id}/stages/${number}`;
export const result = (id, query) => `api/jobs/${id}/result?${new URLSearchParams(query)}`;
