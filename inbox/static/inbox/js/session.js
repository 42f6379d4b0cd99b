// The agent of this page, and what happens when their session ends: the page stays as it is. A
// request made by the agent opens the login on top of the page and is repeated afterwards; a
// request made by the page itself only shows a bar, because the agent may be typing.
//
// Scripts that call fetch get their headers from the event inbox:request (detail.headers), and pass
// a 401 response to inbox:refused (detail: {answer, again}; `again` repeats what the agent asked
// for). inbox:logged-in says that the same agent is back.
import { isAway } from "./attention.js";
import "./passkeys.js";

const dialog = document.getElementById("log-in");
const content = document.getElementById("log-in-content");
const bar = document.querySelector("#session-bar > *");
const root = document.documentElement;
const { agent, address, username } = dialog?.dataset ?? {};
const words = document.getElementById("words")?.dataset ?? {};
const later = []; // Requests of the agent that wait for the login.

function cookie(name) {
  return document.cookie.match(`(?:^|; )(?:__Host-)?${name}=([^;]*)`)?.[1] ?? "";
}

// --- Every request names the agent, and says whether they are present ---------------------------
function sign(headers) {
  headers["X-Agent"] = agent;
  // From the cookie, not from the page: another login of the same agent may have changed it.
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

// --- Another agent has logged in with this browser, or this one has logged out ------------------
function giveWay() {
  root.dataset.session = "other";
  location.reload();
}

function look() {
  const [now] = cookie("agent").split(".");
  if (now && now !== agent) return giveWay();
  // Another tab may have logged in again.
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

function ask(body, at = address) {
  const headers = { "X-Fragment": "log-in", "X-Page-Language": root.lang };
  return fetch(at, { method: body ? "POST" : "GET", headers, body, credentials: "same-origin", cache: "no-store" });
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
  try { answer = await asked; } catch { /* reported below */ }
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
  if (name) name.value ||= username;
  // The second step has a code instead of a password.
  content.querySelector("[name=password], [name=code]")?.focus();
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

// Repeats a request after the login. Never one that moves money: the agent has to confirm it again.
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
  // The live stream was refused, which may have other reasons, so check first.
  document.addEventListener("inbox:ended", async () => {
    const answer = await ask().catch(() => null);
    if (answer?.status === 200) isOver("ended");
  });
  // Any successful response shows that another tab has logged in again.
  document.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
    if (root.dataset.session === "ended" && xhr.status && xhr.status < 500 && xhr.status !== 401) isBack();
  });
  // Until then, the page makes no requests of its own.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { requestConfig } = event.detail;
    if (root.dataset.session && requestConfig.verb === "get" && requestConfig.elt.matches("[data-live-src]")) event.preventDefault();
  });
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-log-in]")) open();
    if (target.closest?.("[data-log-in-close]")) dialog.close();
  });
  // Canceled: what waited must not happen later, when the agent no longer expects it.
  dialog.addEventListener("close", () => {
    later.length = 0;
    if (root.dataset.session) bar.hidden = false;
  });
  dialog.addEventListener("submit", (event) => {
    // To the company's provider, which takes the whole page.
    if ("leaves" in event.target.dataset) return;
    event.preventDefault();
    show(ask(new FormData(event.target), event.target.action));
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  addEventListener("focus", look);
  addEventListener("pageshow", look);
}
