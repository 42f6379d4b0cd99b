// Elements with data-live-topics fetch themselves again (data-live-src) when one of their topics
// changes, and are morphed in place: focus, scroll, open details and typed text stay.
const DEBOUNCE_MS = 120;
const RETRY_MS = 1500;
const waiting = new Map(); // id -> timer
const busy = new Set();

function topicsOf(element) {
  return element.dataset.liveTopics.split(/\s+/);
}

function isBeingEdited(element) {
  return [...element.querySelectorAll("input:not([type=hidden], [type=radio], [type=checkbox]), textarea")]
    .some((field) => field.value !== field.defaultValue);
}

function isHeld(element) {
  return document.hidden || busy.has(element.id) || isBeingEdited(element)
    || element.querySelector(".menu[open], dialog[open]") !== null;
}

function ask(element, delay = DEBOUNCE_MS) {
  const id = element.id;
  clearTimeout(waiting.get(id));
  waiting.set(id, setTimeout(() => refresh(id), delay));
}

async function refresh(id) {
  waiting.delete(id);
  const element = document.getElementById(id);
  if (!element?.dataset.liveSrc) return;
  if (isHeld(element)) {
    // A hidden tab waits for visibilitychange; anything else is over in a moment.
    if (document.hidden) stale.add(id);
    else ask(element, RETRY_MS);
    return;
  }
  busy.add(id);
  const scroller = element.matches("[data-stick-to-end]") ? element : null;
  const wasAtEnd = scroller && scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;
  const before = scroller?.dataset.last;
  try {
    await htmx.ajax("GET", element.dataset.liveSrc, { source: element, target: element, swap: "morph:outerHTML" });
  } finally {
    busy.delete(id);
  }
  const after = document.getElementById(id);
  if (scroller && after && after.dataset.last !== before) {
    if (wasAtEnd) toEnd(after);
    else showNewBelow(after);
  }
}

const stale = new Set();

function refreshAll(matches) {
  for (const element of document.querySelectorAll("[data-live-topics]")) {
    if (element.parentElement?.closest("[data-live-topics]")) continue;
    if (matches(element)) ask(element);
  }
}

function toEnd(element) {
  element.scrollTop = element.scrollHeight;
}

function showNewBelow(element) {
  const button = element.querySelector(".new-below");
  if (!button) return;
  button.hidden = false;
  button.onclick = () => { toEnd(element); button.hidden = true; };
}

document.addEventListener("live:topics", ({ detail }) => {
  refreshAll((element) => topicsOf(element).some((topic) => detail.includes(topic)));
});
document.addEventListener("live:resync", () => refreshAll(() => true));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  const ids = [...stale];
  stale.clear();
  ids.forEach(refresh);
});

function start() {
  document.querySelectorAll("[data-stick-to-end]").forEach(toEnd);
}
// Whatever was posted may show in any part of the page: do not wait for the stream to say so.
document.addEventListener("htmx:afterRequest", ({ detail, target }) => {
  if (detail.requestConfig?.verb !== "post" || !detail.successful || detail.target?.id === "refund-summary") return;
  if (target.closest?.("#composer")) document.querySelectorAll("[data-stick-to-end]").forEach(toEnd);
  refreshAll((element) => element !== detail.target);
  // The button that was pressed is gone: go on from its neighbour, not from the top of the page.
  if (detail.target?.id === "header" && document.activeElement === document.body) {
    document.querySelector("#assign-menu summary")?.focus();
  }
});
document.addEventListener("scroll", ({ target }) => {
  if (!target.matches?.("[data-stick-to-end]")) return;
  if (target.scrollHeight - target.scrollTop - target.clientHeight < 48) {
    const button = target.querySelector(".new-below");
    if (button) button.hidden = true;
  }
}, true);

// Morphing keeps what the person did: opened details, and the field being typed into.
if (window.Idiomorph) {
  const { defaults } = Idiomorph;
  defaults.restoreFocus = true;
  // Not Idiomorph's ignoreActiveValue: it would also keep the words of a focused button whose
  // form becomes another one, and "Assign to me" would then resolve the conversation.
  defaults.callbacks.beforeNodeMorphed = (node) =>
    !(node === document.activeElement && node.matches("input, textarea, select"));
  defaults.callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node.nodeName === "DETAILS")
    && !(name === "hidden" && node.matches(".new-below"))
    // Which row is open is known to this page, not to the list that is fetched again.
    && !(name === "aria-current" && node.matches(".conversation-row"));
}
start();
