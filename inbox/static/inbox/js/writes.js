// What a press of a button carries (inbox/conversations/writing.py): an id of its own, and what the page shows.
// An answer may be lost after the server has done what was asked: until one comes, the same press
// keeps its id, so that pressing again does nothing twice.
import { newId } from "./ids.js";
import { seen } from "./seen.js";

const GATEWAYS = [502, 503, 504]; // These answer for a server of which they do not know.
const words = document.getElementById("words")?.dataset ?? {};
const unanswered = new Map(); // what was pressed -> its id; of messages, the composer keeps its own

// From which message on it shows the thread; a page of the past is not asked for again.
function firstShown(thread) {
  const { liveSrc } = thread.dataset;
  return liveSrc ? new URL(liveSrc, location.href).searchParams.get("since") : null;
}

// --- What goes out ----------------------------------------------------------------------------
document.addEventListener("htmx:configRequest", ({ detail }) => {
  const { parameters, path, verb } = detail;
  detail.wasOnline = navigator.onLine;
  if (verb !== "post" || parameters.client_id === undefined) return;
  // Of a menu, the button that was pressed; of the composer, the words.
  detail.press = JSON.stringify([path, parameters.assignee, parameters.hours, parameters.text]);
  // A message has its composer's id as long as that stands there. By its words it would get that of
  // an earlier one of the same words, which was written although no answer came.
  const isMessage = parameters.text !== undefined;
  if (!isMessage) parameters.client_id = unanswered.get(detail.press) ?? newId();
  const thread = document.getElementById("thread");
  const header = document.getElementById("header");
  if (thread) {
    parameters.seen = seen(thread);
    const since = firstShown(thread);
    if (since) parameters.since = since;
  }
  if (header) {
    parameters.expected_state = header.dataset.state;
    parameters.expected_state_mark = header.dataset.stateMark;
    parameters.expected_assignee = header.dataset.assignee;
  }
});

// --- And what comes back, or does not ---------------------------------------------------------
// On the request itself: of an element that has left the page no event comes up to the document.
document.addEventListener("htmx:beforeRequest", ({ detail: { xhr, requestConfig, elt, target } }) => {
  const { press, parameters } = requestConfig;
  if (!press) return;
  // The agent has gone on to another conversation: its address is none of this answer's.
  let isLeft = false;
  elt.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr !== xhr || event.detail.target.isConnected) return;
    isLeft = true;
    event.preventDefault();
  });
  xhr.addEventListener("loadend", () => {
    const isAnswered = xhr.status && !GATEWAYS.includes(xhr.status);
    if (isAnswered) unanswered.delete(press);
    else unanswered.set(press, parameters.client_id);
    // Nothing else tells who has gone on meanwhile. 401: the log-in does, and sends it after all.
    // An answer that was shown has replaced its target by now.
    const isGone = xhr.status ? isLeft : !target.isConnected;
    if (!isGone || parameters.text === undefined || xhr.status === 401) return;
    if (isAnswered && xhr.status < 400) return;
    document.dispatchEvent(new CustomEvent("inbox:toast", { detail: isAnswered ? words.leftBehind : words.unansweredBehind }));
  });
});

function wordOf({ verb, wasOnline, press, parameters }) {
  if (verb === "get") return "unreachable";
  if (!wasOnline) return "notSent";
  if (press && parameters.text !== undefined) return "unansweredMessage";
  // A summary of money is confirmed once, however often it is pressed (its token).
  return press || parameters.token !== undefined ? "unanswered" : "unreachable";
}

function say({ detail }) {
  const told = { word: wordOf(detail.requestConfig), element: detail.elt };
  document.dispatchEvent(new CustomEvent("inbox:unanswered", { detail: told }));
}
document.addEventListener("htmx:sendError", say);
document.addEventListener("htmx:timeout", say);
// Before ui.js, which has but a general sentence for it.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.requestConfig.verb === "get" || !GATEWAYS.includes(event.detail.xhr.status)) return;
  event.stopImmediatePropagation();
  say(event);
}, true);

// The notice of what is new takes the focus from the button that was pressed and is gone.
document.addEventListener("htmx:oobAfterSwap", ({ detail: { target } }) => {
  if (target?.id === "overtaken") document.getElementById("overtaken-news")?.scrollIntoView({ block: "nearest" });
});
document.addEventListener("htmx:afterSettle", () => {
  if (document.activeElement === document.body) document.getElementById("overtaken-news")?.focus({ preventScroll: true });
});
