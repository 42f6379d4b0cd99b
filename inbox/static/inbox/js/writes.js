// Adds to each button press an ID of its own and what the page shows (inbox/conversations/writing.py).
// A response may get lost after the server has done its work: until one arrives, the same press
// keeps its ID, so that pressing again does nothing twice.
import { newId } from "./ids.js";
import { seen } from "./seen.js";

const GATEWAYS = [502, 503, 504]; // From a proxy that doesn't know what the server has done.
const words = document.getElementById("words")?.dataset ?? {};
const unanswered = new Map(); // press -> ID; for messages, the composer holds the ID

// The first message of the thread as shown; null on a page of the past, which isn't refreshed.
function firstShown(thread) {
  const { liveSrc } = thread.dataset;
  return liveSrc ? new URL(liveSrc, location.href).searchParams.get("since") : null;
}

// --- Requests ---------------------------------------------------------------------------------
document.addEventListener("htmx:configRequest", ({ detail }) => {
  const { parameters, path, verb } = detail;
  detail.wasOnline = navigator.onLine;
  if (verb !== "post" || parameters.client_id === undefined) return;
  // Identifies the press: by the button in a menu, by the text in the composer.
  detail.press = JSON.stringify([path, parameters.assignee, parameters.hours, parameters.text]);
  // A message uses its composer's ID. Looked up by its text, it might get the ID of an earlier
  // message with the same text that was written although no response arrived.
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

// --- Responses, or the lack of one ------------------------------------------------------------
// Listen on the request itself: events of an element that has left the page don't bubble up.
document.addEventListener("htmx:beforeRequest", ({ detail: { xhr, requestConfig, elt, target } }) => {
  const { press, parameters } = requestConfig;
  if (!press) return;
  // If the agent has moved on to another conversation, this response must not change its URL.
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
    // Tell an agent who has moved on; nothing else does. Except for 401: the login shows up then,
    // and the message is sent afterwards. A response that was shown has replaced its target by now.
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
  // Confirming money is idempotent too, by the token of the summary.
  return press || parameters.token !== undefined ? "unanswered" : "unreachable";
}

function say({ detail }) {
  const told = { word: wordOf(detail.requestConfig), element: detail.elt };
  document.dispatchEvent(new CustomEvent("inbox:unanswered", { detail: told }));
}
document.addEventListener("htmx:sendError", say);
document.addEventListener("htmx:timeout", say);
// Captured before ui.js, which has only a generic message for it.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.requestConfig.verb === "get" || !GATEWAYS.includes(event.detail.xhr.status)) return;
  event.stopImmediatePropagation();
  say(event);
}, true);

// The pressed button is gone, so the focus moves to the notice of what is new.
document.addEventListener("htmx:oobAfterSwap", ({ detail: { target } }) => {
  if (target?.id === "overtaken") document.getElementById("overtaken-news")?.scrollIntoView({ block: "nearest" });
});
document.addEventListener("htmx:afterSettle", () => {
  if (document.activeElement === document.body) document.getElementById("overtaken-news")?.focus({ preventScroll: true });
});
