// Elements with data-live-topics are fetched again (data-live-src) when one of their topics changes,
// and morphed in place: focus, scroll, open details and typed text stay. Their position
// (data-live-position, inbox.live.events) says how current they are: a change announced while an
// element was being fetched triggers another fetch, and one that it already shows doesn't.
import { parsePosition } from "./clock.js";
import { wasMissed } from "./heard.js";

const GATHER_MS = 120;
// No matter how fast changes come, an element is fetched at most this often.
const EVERY_MS = 500;
const RETRY_MS = 1500;
const LONGEST_RETRY_MS = 15_000;
// A connection may be dead without the browser noticing: then no response ever arrives.
const ANSWERED_WITHIN_MS = 8000;
// In a resync every page reloads everything: spread these out, and limit how often they happen.
const RESYNC_SPREAD_MS = 2000;
const RESYNC_EVERY_MS = 10_000;
const waiting = new Map(); // id -> timer
const busy = new Set();
const again = new Set(); // those of the busy ones that have changed since
const fetched = new Map(); // id -> when it was last fetched
const asked = new Map(); // id -> {src, at}: when what it shows was requested
const failed = new Map(); // id -> number of failures in a row
let views = 0; // the number of conversations that have been left

function topicsOf(element) {
  return element.dataset.liveTopics.split(/\s+/);
}

function positionOf(element) {
  return parsePosition(element.closest("[data-live-position]")?.dataset.livePosition).at;
}

// Everything but the list and the navigation is replaced when another conversation is opened.
function isOfView(id) {
  return id !== "list" && id !== "waiting";
}

function isBeingEdited(element) {
  return [...element.querySelectorAll("input:not([type=hidden], [type=radio], [type=checkbox], [type=search]), textarea")]
    .some((field) => field.value !== field.defaultValue);
}

// The count in the navigation is also in the tab's title, and announced on the desktop.
function isUnseen(element) {
  return document.hidden && element.id !== "waiting";
}

function isHeld(element) {
  return isUnseen(element) || isBeingEdited(element)
    || element.querySelector(".menu[open], dialog[open]") !== null;
}

function ask(element, delay = GATHER_MS) {
  const id = element.id;
  // Further changes must not postpone it: under a steady stream it would never happen.
  if (waiting.has(id)) return;
  const rest = (fetched.get(id) ?? -EVERY_MS) + EVERY_MS - performance.now();
  waiting.set(id, setTimeout(() => refresh(id), Math.max(delay, rest)));
}

async function refresh(id) {
  waiting.delete(id);
  const element = document.getElementById(id);
  if (!element?.dataset.liveSrc) return;
  if (busy.has(id)) {
    again.add(id);
    return;
  }
  if (isHeld(element)) {
    // A hidden tab waits for visibilitychange; anything else is retried soon.
    if (isUnseen(element)) stale.add(id);
    else ask(element, RETRY_MS);
    return;
  }
  const { liveSrc: src, livePosition: before } = element.dataset;
  const view = views;
  busy.add(id);
  fetched.set(id, performance.now());
  asked.set(id, { src, at: performance.now() });
  try {
    await htmx.ajax("GET", src, { source: element, target: element, swap: "morph:outerHTML" });
  } catch {
    // Noticed below by the unchanged position, like an error response.
  } finally {
    busy.delete(id);
  }
  if (view !== views && isOfView(id)) return;
  const shown = document.getElementById(id);
  const isAsBefore = before && shown?.dataset.livePosition === before && shown.dataset.liveSrc === src;
  const failures = isAsBefore ? (failed.get(id) ?? 0) + 1 : 0;
  failed.set(id, failures);
  isBehind([...failed.values()].some((count) => count > 0));
  const isWanted = again.delete(id);
  if (failures) ask(shown, Math.min(RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS));
  else if (isWanted && shown) ask(shown, 0);
}

const stale = new Set();

// The page doesn't count as live while some part of it could not be refreshed.
let wasBehind = false;
function isBehind(now) {
  if (now !== wasBehind) document.dispatchEvent(new CustomEvent("live:behind", { detail: now }));
  wasBehind = now;
}

function refreshAll(matches) {
  for (const element of document.querySelectorAll("[data-live-topics]")) {
    if (element.parentElement?.closest("[data-live-topics]")) continue;
    if (matches(element)) ask(element);
  }
}

// Normally the thread scrolls; in a very low window, such as at 200 % zoom, the page does (inbox.css).
function scrollerOf(element) {
  return getComputedStyle(element).overflowY === "visible" ? document.scrollingElement : element;
}

// How many pixels of the end are below the visible area.
function hiddenBelow(element) {
  const scroller = scrollerOf(element);
  return scroller === element
    ? element.scrollHeight - element.scrollTop - element.clientHeight
    : element.getBoundingClientRect().bottom - scroller.clientHeight;
}

function isAtEnd(element) {
  return hiddenBelow(element) < 48;
}

function toEnd(element) {
  scrollerOf(element).scrollTop += Math.max(0, hiddenBelow(element));
}

// A reader at the end is kept there when a font or an image loads late or the composer grows. Only
// scrolling up leaves the end; growing content doesn't.
let isKeptAtEnd = true;
let lastTop = 0;
const sizes = new ResizeObserver(() => {
  if (isKeptAtEnd) document.querySelectorAll("[data-stick-to-end]").forEach(toEnd);
});

function notePlace(element) {
  const top = scrollerOf(element).scrollTop;
  if (isAtEnd(element)) isKeptAtEnd = true;
  else if (top < lastTop) isKeptAtEnd = false;
  lastTop = top;
}

// Whether the reader is at the end is decided when the response arrives, not when it is requested:
// a reader who scrolls up in between stays there.
let landing = null; // {last, wasAtEnd, place} of the thread that is being swapped
function land({ detail: { target } }) {
  landing = target?.matches?.("[data-stick-to-end]")
    ? { last: target.dataset.last, wasAtEnd: isAtEnd(target), place: placeIn(target) }
    : null;
}

const topOf = (element) => element.getBoundingClientRect().top;

// The first visible message and its position: content that arrives above must not move it.
function placeIn(thread) {
  if (scrollerOf(thread) !== thread) return null;
  const first = [...thread.querySelectorAll(".thread-inner > [id]")]
    .find((entry) => entry.getBoundingClientRect().bottom > topOf(thread));
  return first ? { id: first.id, top: topOf(first) } : null;
}

function backTo(thread, place) {
  const entry = place && document.getElementById(place.id);
  const moved = entry ? topOf(entry) - place.top : 0;
  if (Math.abs(moved) >= 1) thread.scrollTop += moved;
}

function landed() {
  const thread = landing && document.querySelector("[data-stick-to-end]");
  if (thread && !landing.wasAtEnd) backTo(thread, landing.place);
  if (thread && thread.dataset.last !== landing.last) {
    if (landing.wasAtEnd) toEnd(thread);
    else showNewBelow(thread);
  }
  landing = null;
}
document.addEventListener("htmx:beforeSwap", land);
document.addEventListener("htmx:afterSwap", landed);
// The response to a write includes the thread out of band.
document.addEventListener("htmx:oobBeforeSwap", land);
document.addEventListener("htmx:oobAfterSwap", landed);
// A refused swap leaves it set, but it doesn't apply to the next conversation.
document.addEventListener("inbox:leave", () => { landing = null; });

function showNewBelow(element) {
  const button = element.querySelector(".new-below");
  if (!button) return;
  button.hidden = false;
  button.onclick = () => { toEnd(element); button.hidden = true; };
}

function look({ topics, at }) {
  refreshAll((element) => positionOf(element) <= at && topicsOf(element).some((topic) => topics.includes(topic)));
}

// The response to a write (writes.js) includes what it has changed, so events that the stream
// delivers before it are held back for a moment.
const HELD_MS = 1000;
let writes = 0;
const told = [];
document.addEventListener("live:topics", ({ detail }) => {
  if (writes) told.push(detail);
  else look(detail);
});
document.addEventListener("htmx:beforeRequest", ({ detail: { xhr, requestConfig } }) => {
  if (!requestConfig.press) return;
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    writes -= 1;
    if (!writes) told.splice(0).forEach(look);
  };
  writes += 1;
  xhr.addEventListener("loadend", end);
  setTimeout(end, HELD_MS);
});

// A change announced while an element was being fetched may be missing from the response.
function catchUp() {
  refreshAll((element) => {
    const last = asked.get(element.id);
    const askedAt = last?.src === element.dataset.liveSrc ? last.at : -1;
    return wasMissed(topicsOf(element), positionOf(element), askedAt);
  });
}
document.addEventListener("htmx:afterSwap", catchUp);
document.addEventListener("inbox:view", catchUp);
// The next view may have the same URL, but was requested at an unknown time.
document.addEventListener("inbox:leave", () => {
  views += 1;
  asked.clear();
  failed.clear();
  isBehind(false);
  // Its parts have the same IDs, so drop the pending retries and responses of the previous view.
  for (const id of [...waiting.keys()].filter(isOfView)) {
    clearTimeout(waiting.get(id));
    waiting.delete(id);
  }
  for (const id of [...busy].filter(isOfView)) {
    again.delete(id);
    document.getElementById(id)?.dispatchEvent(new CustomEvent("htmx:abort", { bubbles: true }));
  }
});

let resync = 0;
let resyncedAt = -RESYNC_EVERY_MS;
document.addEventListener("live:resync", () => {
  const rest = Math.max(0, resyncedAt + RESYNC_EVERY_MS - performance.now());
  resync ||= setTimeout(() => {
    resync = 0;
    resyncedAt = performance.now();
    refreshAll(() => true);
  }, rest + Math.random() * RESYNC_SPREAD_MS);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  const ids = [...stale];
  stale.clear();
  ids.forEach((id) => { if (!waiting.has(id)) refresh(id); });
});

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb === "get" && busy.has(detail.elt.id)) detail.timeout = ANSWERED_WITHIN_MS;
});
// Name the open cards, so that they are rendered with their details again.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.target?.id !== "panel") return;
  detail.parameters.open = [...document.querySelectorAll("#panel .order[open]")].map((card) => card.id.replace("order-", "")).join(",");
});

// A response for the previous conversation must not end up in the next one.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { liveSrc } = detail.target?.dataset ?? {};
  const asked = detail.requestConfig;
  if (asked?.verb === "get" && liveSrc && busy.has(detail.target.id) && asked.path !== liveSrc) detail.shouldSwap = false;
});

function start() {
  isKeptAtEnd = true;
  lastTop = 0;
  sizes.disconnect();
  for (const element of document.querySelectorAll("[data-stick-to-end]")) {
    // The page may still be scrolled to where the previous conversation was left.
    if (scrollerOf(element) !== element) scrollTo(0, 0);
    toEnd(element);
    sizes.observe(element);
    for (const child of element.children) sizes.observe(child);
  }
}
// A write may affect any part of the page: don't wait for the stream to say so.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  // For a response whose target has left the page, htmx doesn't set `successful`.
  const isDone = detail.successful ?? (detail.xhr.status >= 200 && detail.xhr.status < 300);
  if (detail.requestConfig?.verb !== "post" || !isDone || detail.target?.id === "refund-summary") return;
  if (detail.target?.id === "composer" && detail.successful) document.querySelectorAll("[data-stick-to-end]").forEach(toEnd);
  // Some responses say what has changed; then only that is fetched.
  const changed = detail.xhr.getResponseHeader("X-Changed")?.split(" ");
  refreshAll((element) => element !== detail.target
    && (!changed || topicsOf(element).some((topic) => changed.includes(topic))));
  // The pressed button is gone: focus its neighbor instead of starting from the top of the page.
  if (detail.target?.id === "header" && document.activeElement === document.body) {
    document.querySelector("#assign-menu summary")?.focus();
  }
});
document.addEventListener("scroll", ({ target }) => {
  for (const element of document.querySelectorAll("[data-stick-to-end]")) {
    if (target !== element && target !== document) continue;
    notePlace(element);
    const button = element.querySelector(".new-below");
    if (button && isAtEnd(element)) button.hidden = true;
  }
}, true);

// Rows and messages whose HTML hasn't changed are skipped in morphing: with ten changes a second
// that is nearly all of them.
const REPEATED = "#list li[id], .thread-inner > [id]";
const sent = new WeakMap();
function isAsSent(node, next) {
  if (!node.matches?.(REPEATED)) return false;
  const html = next.outerHTML;
  if (sent.get(node) === html) return true;
  sent.set(node, html);
  return false;
}

// Morphing preserves what the agent did: opened details, and the field being edited.
if (window.Idiomorph) {
  const { defaults } = Idiomorph;
  defaults.restoreFocus = true;
  // Not Idiomorph's ignoreActiveValue: it would also keep the label of a focused button whose form
  // changes, and a button labeled "Assign to me" would then resolve the conversation.
  defaults.callbacks.beforeNodeMorphed = (node, next) =>
    !(node === document.activeElement && node.matches("input, textarea, select"))
    // The search text and its results exist only on this page.
    && !node.matches?.("#panel-words, #panel-found")
    && !isAsSent(node, next);
  defaults.callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node.nodeName === "DETAILS")
    && !(name === "hidden" && node.matches(".new-below"))
    // Only this page knows which row is open; a fetched list doesn't.
    && !(name === "aria-current" && node.matches(".conversation-row"));
}
document.addEventListener("inbox:view", start);
start();
