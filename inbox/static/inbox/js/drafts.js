// Drafts: the text an agent is writing, and its mode. The server keeps one per agent and
// conversation (inbox/conversations/drafts.py); until it has been saved, this browser keeps it
// under the agent's ID. When a conversation opens, the server's draft wins unless this browser
// holds a newer one that never arrived.
import { newId } from "./ids.js";

const SAVE_AFTER_MS = 600;
const AGAIN_AFTER_MS = 5000;
// A page may be in flight that was rendered just before the draft was saved, so this browser keeps
// a saved draft for this long.
const HELD_FOR_MS = 10_000;
const KEEPALIVE_LIMIT = 50_000; // Browsers reject keepalive requests with bodies over 64 KB.
const MOST_VERSIONS = 50;
const AGAIN = [408, 425, 429]; // Statuses that are worth a retry.
const agent = document.getElementById("log-in")?.dataset.agent;
const words = document.getElementById("words")?.dataset ?? {};
// Conversation -> {text, mode, client, versions, isKept, at, address}. `versions`: every save that
// this page has made or seen; `isKept`: the server has this text, since `at`; `address`: the URL
// that saves it.
const known = new Map();
let timer = 0;
let isSaving = false;
let sending = null; // {id, client, text} while a message is being sent

// --- The contents of the composer ---------------------------------------------------------------
const form = () => document.querySelector("#composer form[data-draft]");
const conversation = () => document.getElementById("view")?.dataset.conversation;
const field = () => document.getElementById("composer-text");

function standing() {
  const { mode, client_id: client } = form().elements;
  return { text: field().value, mode: mode.value, client: client.value };
}

function put({ text, mode, client }) {
  field().value = text;
  form().elements.mode.value = mode;
  if (client) form().elements.client_id.value = client;
}

const isSame = (one, other) => one.text.trim() === other.text.trim() && one.mode === other.mode;

// --- The copy in this browser -------------------------------------------------------------------
const key = (id) => `draft:${agent}:${id}`;

function stored(id) {
  try {
    const held = JSON.parse(localStorage.getItem(key(id)));
    return held?.versions ? held : null;
  } catch { return null; }
}

function store(id) {
  try {
    const { text, mode, client, versions, isKept, at = 0 } = known.get(id);
    const rest = at + HELD_FOR_MS - Date.now();
    if (isKept && rest <= 0) localStorage.removeItem(key(id));
    else localStorage.setItem(key(id), JSON.stringify({ text, mode, client, versions, isKept, at }));
    if (isKept && rest > 0) setTimeout(store, rest + 1, id);
  } catch { /* storage is off or full: there is only the server's copy */ }
}

// The draft's message has been written: notifies other tabs through a storage event.
function forget(id, client) {
  try {
    localStorage.setItem(key(id), JSON.stringify({ sent: client }));
    localStorage.removeItem(key(id));
  } catch { /* nothing was stored */ }
}

function mark(id, has) {
  const label = document.querySelector(`#row-${id} .draft-mark`);
  if (label) label.hidden = !has;
}

// --- Opening ------------------------------------------------------------------------------------
// `later`: what was typed while the previous message was being sent.
function begin(later = null) {
  const id = conversation();
  if (!form() || !id || !agent) return;
  const shown = standing();
  const version = form().elements.version.value;
  const held = stored(id) ?? known.get(id);
  const record = { ...shown, versions: version ? [version] : [], isKept: true, address: form().dataset.draft };
  known.set(id, record);
  if (later) {
    put({ ...later, client: shown.client });
    changed();
  } else if (held && isNewer(held, version)) {
    put(held);
    // If that text has been sent since, the save will find out.
    Object.assign(record, standing(), { versions: held.versions, isKept: false });
    soon();
  } else if (held && !held.isKept && held.text.trim() && !isSame(held, shown)) {
    // Both have changed: keep this browser's text and show the other one next to it.
    put(held);
    Object.assign(record, standing(), { versions: [...held.versions, version], isKept: false });
    showOther(shown);
    soon();
  } else {
    store(id);
  }
  // Continue writing at the end.
  field().setSelectionRange(field().value.length, field().value.length);
  mark(id, Boolean(field().value.trim()));
}

// Whether the text was based on the version that the page was rendered with, or on none.
function isNewer({ versions, isKept, at, text }, version) {
  if (!version) return Boolean(text.trim()) && (!isKept || Date.now() - at < HELD_FOR_MS);
  return versions.includes(version) && (!isKept || versions.at(-1) !== version);
}

// --- Saving -------------------------------------------------------------------------------------
function changed() {
  const id = conversation();
  const record = known.get(id);
  if (!record || !form()) return;
  Object.assign(record, standing(), { isKept: false });
  // Empty, and never saved: there is no draft to clear.
  if (!record.text.trim() && !record.versions.length) record.isKept = true;
  store(id);
  mark(id, Boolean(record.text.trim()));
  soon();
}

function soon(delay = SAVE_AFTER_MS) {
  if (!timer) timer = setTimeout(() => { timer = 0; saveAll(); }, delay);
}

// Saves every conversation of this page whose text the server doesn't have; usually the open one.
function saveAll(isLeaving = false) {
  const open = known.get(conversation());
  // A change that fired no event.
  if (open && form() && field().value.trim() && !isSame(standing(), open)) changed();
  if (isSaving && !isLeaving) return soon();
  for (const [id, record] of known) {
    // What is being sent is about to become a message, and then it is no draft.
    if (!record.isKept && (isLeaving || sending?.id !== id)) save(id, record);
  }
  return null;
}

async function save(id, record) {
  if (document.documentElement.dataset.session) return;
  const { text, mode, client } = record;
  // Leaving a page fires both visibilitychange and pagehide.
  if (record.flying && isSame(record, record.flying)) return;
  record.flying = { text, mode };
  const version = newId();
  const body = new FormData();
  for (const [name, value] of Object.entries({ text, mode, version, client_id: client })) body.append(name, value);
  for (const seen of record.versions) body.append("follows", seen);
  record.versions = [...record.versions, version].slice(-MOST_VERSIONS);
  store(id);
  isSaving = true;
  try {
    const headers = { "X-Fragment": "draft" };
    document.dispatchEvent(new CustomEvent("inbox:request", { detail: { headers } }));
    const keepalive = new Blob([text]).size < KEEPALIVE_LIMIT;
    const answer = await fetch(record.address, { method: "POST", body, headers, keepalive, credentials: "same-origin" });
    if (answer.ok) heard(id, record, { text, mode, client, version }, await answer.json());
    else if (AGAIN.includes(answer.status) || answer.status >= 500) soon(AGAIN_AFTER_MS);
    else await refused(id, answer);
  } catch {
    soon(AGAIN_AFTER_MS); // No connection: this browser keeps the text for now.
  } finally {
    isSaving = false;
    record.flying = null;
  }
}

// The text stays in this browser and is saved again on the next change or after a login. 403 may
// mean that the session has ended, or that this agent may no longer write.
async function refused(id, answer) {
  const { problem = "" } = answer.status === 422 ? await answer.json().catch(() => ({})) : {};
  showUnsaved(id, `${words.notSaved} ${problem}`.trim());
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("inbox:refused", { detail: { answer } }));
  if (answer.status === 403) document.dispatchEvent(new CustomEvent("inbox:ended"));
}

// Shows why the draft isn't saved; "" clears the notice.
function showUnsaved(id, text) {
  const place = id === conversation() && form()?.querySelector("[data-unsaved]");
  if (!place || place.textContent === text) return;
  place.textContent = text;
}

function heard(id, record, saved, told) {
  if (known.get(id) !== record) return;
  if (told.outcome === "sent") {
    if (record.client === saved.client) wasSent(id, record, told.text);
    return;
  }
  if (told.outcome === "other") {
    // Not a conflict if it is an earlier save of this very page.
    if (!record.versions.includes(told.version)) {
      record.versions.push(told.version);
      if (told.text.trim() && !isSame(told, record) && id === conversation()) showOther(told);
    }
    if (!record.isKept) soon();
    return;
  }
  document.dispatchEvent(new CustomEvent("inbox:draft-saved"));
  showUnsaved(id, "");
  if (isSame(record, saved) && record.client === saved.client) Object.assign(record, { isKept: true, at: Date.now() });
  else soon();
  if (id === conversation() && form()) form().elements.version.value = told.version;
  store(id);
}

// --- A draft from another window ----------------------------------------------------------------
function showOther({ text, mode }) {
  const place = form()?.querySelector("[data-other]");
  if (!place) return;
  place.querySelector("[data-other-text]").textContent = text;
  place.dataset.mode = mode;
  place.hidden = false;
}

document.addEventListener("click", ({ target }) => {
  const place = target.closest?.("[data-other]");
  if (!place || !target.closest("[data-other-insert], [data-other-dismiss]")) return;
  if (target.closest("[data-other-insert]")) {
    const text = place.querySelector("[data-other-text]").textContent;
    field().value = field().value ? `${field().value}\n\n${text}` : text;
    // If any part was meant for the team only, all of it becomes a note.
    if (place.dataset.mode === "note") form().elements.mode.value = "note";
    changed();
  }
  place.hidden = true;
  field().focus();
});

// Two tabs of this browser with the same conversation share one text.
addEventListener("storage", ({ key: changedKey, newValue }) => {
  const id = conversation();
  const record = known.get(id);
  if (!record || changedKey !== key(id) || !newValue || !form() || sending) return;
  const told = JSON.parse(newValue);
  if (told.sent) {
    if (told.sent === record.client && record.isKept) wasSent(id, record, record.text, { isTold: true });
    return;
  }
  if (told.client !== record.client && record.text.trim()) return;
  // A person types in one tab at a time, so this text is newer than what the other tab has saved.
  record.versions = [...new Set([...record.versions, ...told.versions])].slice(-MOST_VERSIONS);
  if (!record.isKept) return;
  put(told);
  Object.assign(record, standing());
});

// --- Sending ------------------------------------------------------------------------------------
// What was typed while the message was being sent, which stays for the next message.
function rest(typed, sent) {
  if (typed.trim() === sent.trim()) return "";
  return typed.startsWith(sent) ? typed.slice(sent.length).trimStart() : typed;
}

// The message was written without this page knowing: the response was lost, or another tab sent it.
function wasSent(id, record, text, { isTold = false } = {}) {
  const { client } = record;
  const left = rest(record.text, text);
  const next = { text: left, mode: record.mode, client: newId() };
  Object.assign(record, next, { versions: [], isKept: !left });
  if (id === conversation() && form()) {
    put(next);
    form().elements.version.value = "";
    document.dispatchEvent(new CustomEvent("inbox:announce", { detail: words.wasSent }));
  }
  if (!isTold) forget(id, client);
  store(id);
  mark(id, Boolean(left));
  if (left) soon();
}

const isComposer = (detail) => detail.target?.id === "composer";

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (!isComposer(detail) || !form()) return;
  const id = conversation();
  const { text, client } = standing();
  sending = { id, client, text };
  const mine = sending;
  detail.xhr.addEventListener("loadend", () => {
    if (sending === mine) sending = null;
    const record = known.get(id);
    // Events from a view that is gone don't bubble up to the document, so listen on the request.
    const isGone = record?.client === client && (id !== conversation() || form()?.elements.client_id.value === client);
    if (detail.xhr.status === 200 && isGone) wasSent(id, record, text);
    // Without a response, the next save finds out whether it was written.
    else if (record && !detail.xhr.status) record.isKept = false;
    if (record && !record.isKept) soon();
  });
});
let before = null;
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  before = isComposer(detail) && form() ? standing() : null;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (!isComposer(detail) || !before) return;
  const { text, mode } = before;
  before = null;
  // If it was refused, the text stays.
  const isSent = detail.xhr.status === 200;
  const left = isSent ? rest(text, sending?.text ?? "") : text;
  known.delete(conversation());
  if (isSent) forget(conversation(), sending?.client);
  begin(left ? { text: left, mode } : null);
});
// The button must match the chosen mode: Enter on a radio button would press the first button.
document.addEventListener("submit", (event) => {
  if (event.target !== form() || !event.submitter) return;
  const { value } = event.target.elements.mode;
  if (event.submitter.matches(`.for-${value}`)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  event.target.querySelector(`button.for-${value}`).click();
}, true);

// --- When ---------------------------------------------------------------------------------------
document.addEventListener("input", ({ target }) => { if (target.id === "composer-text") changed(); });
document.addEventListener("change", ({ target }) => {
  if (target.matches?.("#composer [name=mode]") && field().value.trim()) changed();
});
document.addEventListener("inbox:leave", () => saveAll(true));
document.addEventListener("inbox:view", () => begin());
document.addEventListener("inbox:logged-in", () => saveAll());
document.addEventListener("visibilitychange", () => { if (document.hidden) saveAll(true); });
addEventListener("pagehide", () => saveAll(true));
// Clean up after earlier pages that were closed before they could.
try {
  for (const name of Object.keys(localStorage).filter((one) => one.startsWith(key("")))) {
    const held = JSON.parse(localStorage.getItem(name));
    if (held.isKept && Date.now() - held.at > HELD_FOR_MS) localStorage.removeItem(name);
  }
} catch { /* storage is off */ }
begin();
