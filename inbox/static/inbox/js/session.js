// Whose page this is, and what happens when the session behind it ends: nothing leaves the page.
// What a person asked for opens the log-in over it and is done afterwards; what the page asked for
// by itself only shows a bar, because somebody may be in the middle of a word.
//
// Scripts that fetch by themselves ask for headers with the event inbox:request (detail.headers),
// and hand an answer 401 to inbox:refused (detail: {answer, again}; with `again` a person asked).
// inbox:logged-in says that the same agent is back.
import { isAway } from "./attention.js";

const dialog = document.getElementById("log-in");
const content = document.getElementById("log-in-content");
const bar = document.querySelector("#session-bar > *");
const root = document.documentElement;
const { agent, address, username } = dialog?.dataset ?? {};
const words = document.getElementById("words")?.dataset ?? {};
const later = []; // What was asked for and waits for the log-in.

function cookie(name) {
  return document.cookie.match(`(?:^|; )(?:__Host-)?${name}=([^;]*)`)?.[1] ?? "";
}

// --- Every request says whose page asks, and whether somebody is there --------------------------
function sign(headers) {
  headers["X-Agent"] = agent;
  // The cookie's, not the page's: another log-in of the same agent may have changed it.
  const token = cookie("csrftoken");
  if (token) headers["X-CSRFToken"] = token;
  if (isAway()) headers["X-Background"] = "1";
  return token;
}

document.addEventListener("inbox:request", ({ detail }) => { sign(detail.headers); });
document.addEventListener("htmx:configRequest", ({ detail }) => {
  const token = sign(detail.headers);
  if (token && detail.parameters.csrfmiddlewaretoken) detail.parameters.csrfmiddlewaretoken = token;
});

// --- Somebody else has logged in with this browser, or this agent has logged out ----------------
function giveWay() {
  root.dataset.session = "other";
  location.reload();
}

function look() {
  const [now] = cookie("agent").split(".");
  if (now && now !== agent) return giveWay();
  // Perhaps another tab has logged in again meanwhile.
  if (root.dataset.session === "ended") return isBack();
  return null;
}

// --- The session has ended -----------------------------------------------------------------------
function isOver(answer, again) {
  if (answer === "other") return giveWay();
  root.dataset.session = "ended";
  if (!again) {
    bar.hidden = false;
    return null;
  }
  later.push(again);
  return open();
}

async function isBack() {
  const answer = await ask().catch(() => null);
  if (answer?.status === 204) settle(answer);
}

function ask(body) {
  const headers = { "X-Fragment": "log-in", "X-Page-Language": root.lang };
  return fetch(address, { method: body ? "POST" : "GET", headers, body, credentials: "same-origin", cache: "no-store" });
}

async function open() {
  if (dialog.open) return;
  content.replaceChildren();
  dialog.showModal();
  document.getElementById("log-in-title").focus();
  await show(ask());
}

async function show(asked) {
  let answer;
  try { answer = await asked; } catch { /* told below */ }
  if (!answer || (answer.status !== 204 && answer.status !== 200)) {
    document.dispatchEvent(new CustomEvent("inbox:toast", { detail: words.failed }));
    return;
  }
  if (answer.status === 204) {
    settle(answer);
    return;
  }
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  content.replaceChildren(template.content);
  const name = content.querySelector("[name=username]");
  if (!name) return;
  name.value ||= username;
  content.querySelector("[name=password]").focus();
}

function settle(answer) {
  if (answer.headers.get("X-Agent") !== agent) {
    giveWay();
    return;
  }
  delete root.dataset.session;
  bar.hidden = true;
  const waiting = later.splice(0);
  if (dialog.open) dialog.close();
  document.dispatchEvent(new CustomEvent("inbox:logged-in"));
  for (const again of waiting) again();
  document.dispatchEvent(new CustomEvent("live:resync"));
}

// What is done again. Money is not: the agent confirms it once more, after the log-in.
function again({ requestConfig: { verb, path, elt, target, triggeringEvent }, etc }) {
  const isSafe = verb === "get" || elt.closest("#composer");
  if (isSafe && elt.isConnected) htmx.ajax(verb, path, { source: elt, target, swap: etc.swapOverride, event: triggeringEvent });
  else if (verb !== "get") document.dispatchEvent(new CustomEvent("inbox:toast", { detail: words.again }));
}

if (dialog) {
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (xhr.status !== 401) return;
    event.stopImmediatePropagation();
    const isAsked = ["click", "submit"].includes(requestConfig.triggeringEvent?.type);
    isOver(xhr.getResponseHeader("X-Session"), isAsked ? () => again(event.detail) : null);
  }, true);
  document.addEventListener("inbox:refused", ({ detail }) => {
    isOver(detail.answer.headers.get("X-Session"), detail.again);
  });
  // The stream of live updates was refused: that may have other reasons.
  document.addEventListener("inbox:ended", async () => {
    const answer = await ask().catch(() => null);
    if (answer?.status === 200) isOver("ended");
  });
  // Another tab has logged in again: whatever was answered tells of it.
  document.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
    if (root.dataset.session === "ended" && xhr.status && xhr.status < 500 && xhr.status !== 401) isBack();
  });
  // Until then, no part of the page asks by itself.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { requestConfig } = event.detail;
    if (root.dataset.session && requestConfig.verb === "get" && requestConfig.elt.matches("[data-live-src]")) event.preventDefault();
  });
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-log-in]")) open();
    if (target.closest?.("[data-log-in-close]")) dialog.close();
  });
  // Put off: what waited is not done at some later time, when nobody thinks of it any more.
  dialog.addEventListener("close", () => {
    later.length = 0;
    if (root.dataset.session) bar.hidden = false;
  });
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    show(ask(new FormData(event.target)));
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  addEventListener("focus", look);
  addEventListener("pageshow", look);
}
