// The panel inside another help desk (docs/sidebar.md). The pass is kept in this module's memory and
// sent in the Authorization header, and goes nowhere else: no cookie, no storage, no URL. That the
// agent has logged in is in a cookie of its own, which only the address to resume at reads.
import { parsePosition } from "./clock.js";
import { forget, reached, remember } from "./heard.js";
import { randomHex } from "./ids.js";
import { Line, SILENCE_MS } from "./line.js";
import { contextOf, isObject } from "./told.js";

const main = document.getElementById("main");
const { frame, signed, swap, look, renew, resume, connect } = main.dataset;
const origins = main.dataset.origins.split(" ");
const words = document.getElementById("frame-words").dataset;
const RENEW_MS = 4 * 60_000;
const POLL_MS = 30_000;
const ASK_MS = 1500;
const GIVE_UP_MS = 6000;
const RELOAD_MS = 5000; // No frame reloads itself more often.

let pass = "";
let validUntil = 0;
let mayAct = true;
let heardAt = 0;
let customer = null; // What the help desk last said, as the form fields we send.
let verifier = "";
let windowOpened = null;
let isConnecting = false;
let line = null;
let polling = 0;
let turn = 0; // Incremented for each customer: late responses for an earlier one are dropped.

// --- What is shown ----------------------------------------------------------------------------
function show(name) {
  const template = document.getElementById(`state-${name}`) ?? document.getElementById("state-again");
  document.dispatchEvent(new CustomEvent("inbox:leave"));
  const state = document.createElement("div");
  state.id = "frame-state";
  state.dataset.state = name;
  state.append(template.content.cloneNode(true));
  main.querySelector("#frame-state, #panel")?.replaceWith(state);
  const title = state.querySelector("h2");
  if (title) document.dispatchEvent(new CustomEvent("inbox:announce", { detail: title.textContent }));
}

// Gets a pass and shows its panel. If the customer changes in between, the result is dropped.
async function enter(ask) {
  const mine = ++turn;
  show("waiting");
  try {
    const told = await ask();
    if (mine !== turn) return;
    const address = take(told);
    // The placeholder is the source too, not main: htmx queues the requests of one element. And
    // once the next customer has replaced it, a late response has no target.
    const place = main.querySelector("#frame-state");
    await htmx.ajax("GET", address, { source: place, target: place, swap: "outerHTML" });
  } catch (error) {
    if (mine === turn) refuse(error);
  }
}

// --- The pass ---------------------------------------------------------------------------------
class Refused extends Error {}

// Chatwoot builds a new frame for each conversation. An earlier one's login is in a cookie that the
// browser keeps for this help desk's site alone.
const MAY_USE_COOKIES = [swap, resume];

async function post(address, fields) {
  const headers = pass ? { Authorization: `Frame ${pass}` } : {};
  const answer = await fetch(address, {
    method: "POST",
    headers,
    body: new URLSearchParams(fields),
    credentials: MAY_USE_COOKIES.includes(address) ? "same-origin" : "omit",
    referrerPolicy: "no-referrer",
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(told.code ?? "off");
  return told;
}

function take(told, isRenewed = false) {
  pass = told.pass;
  validUntil = Date.now() + told.valid_s * 1000;
  mayAct = told.may_act;
  // A renewed pass continues the stream; another customer's starts before their panel is fetched.
  listen(told, isRenewed && line ? line.position : told.position);
  return told.panel;
}

function drop() {
  pass = "";
  validUntil = 0;
  line?.close();
  line = null;
  poll(false);
}

function refuse(error) {
  if (!(error instanceof Refused)) return show("unreachable");
  const code = error.message;
  // Without a valid pass or code, the agent has to get in again.
  if (code === "ended" || code === "bad_code" || code === "used" || code === "late") {
    drop();
    if (!signed && code !== "ended") toast(words.badCode);
    return show(signed ? "again" : "log-in");
  }
  return show(code);
}

async function extend() {
  if (!pass) return;
  const mine = pass;
  try {
    const told = await post(renew, {});
    // If another customer's pass has arrived since, this one would bring the previous one back.
    if (pass === mine) take(told, true);
  } catch (error) {
    if (pass !== mine) return;
    // Without a connection the pass may still be valid, so wait until it expires.
    if (error instanceof Refused || Date.now() > validUntil) refuse(error);
  }
}
setInterval(extend, RENEW_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && pass && validUntil - Date.now() < RENEW_MS) extend();
});

function toast(text) {
  document.dispatchEvent(new CustomEvent("inbox:toast", { detail: text }));
}

// --- Requests of the panel --------------------------------------------------------------------
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (pass) detail.headers.Authorization = `Frame ${pass}`;
  delete detail.parameters.csrfmiddlewaretoken;
});
// Captured before ui.js, which has only a generic message for it.
document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  let code = "";
  try { code = JSON.parse(xhr.responseText).code ?? ""; } catch { /* a response of the panel itself */ }
  if (!code) return;
  event.stopImmediatePropagation();
  refuse(new Refused(code));
}, true);

// --- Live updates: a stream of this customer's orders only ------------------------------------
function listen({ stream, stream_token: token }, position) {
  line?.close();
  line = new Line({ address: stream, token, position, hear });
}

function hear(message) {
  const { at } = parsePosition(message.position);
  if (message.kind === "event" && remember(message)) {
    document.dispatchEvent(new CustomEvent("live:topics", { detail: { topics: message.topics, at: message.at } }));
  } else if (message.kind === "beat") reached(at);
  else if (message.kind === "resync") {
    forget(at);
    resync();
  } else if (message.kind === "state") {
    document.documentElement.dataset.live = message.state;
    poll(message.state === "polling");
  }
}

function poll(isWanted) {
  if (!isWanted) clearInterval(polling);
  polling = isWanted ? polling || setInterval(() => { if (!document.hidden) resync(); }, POLL_MS * (0.8 + 0.4 * Math.random())) : 0;
}

for (const name of ["pageshow", "focus", "online", "visibilitychange"]) {
  addEventListener(name, () => {
    if (document.hidden && name !== "online") return;
    line?.retry();
    line?.check(name === "online" ? 0 : SILENCE_MS / 2);
  });
}

function resync() {
  if (pass) document.dispatchEvent(new CustomEvent("live:resync"));
}

// --- Getting in with an address signed by the help desk's server -------------------------------
function enterSigned() {
  // Browsers don't send the fragment, so the customer's address ends up in no server log.
  const query = location.hash.slice(1);
  // It works only once, so remove it from the URL.
  history.replaceState(null, "", `${location.pathname}?frame=${frame}`);
  if (!new URLSearchParams(query).has("sig")) return show("again");
  return enter(() => post(swap, { frame, signed: query }));
}

// The help desk opens another conversation: only the fragment changes.
addEventListener("hashchange", () => {
  if (!signed || location.hash.length < 2) return;
  turn += 1;
  drop();
  enterSigned();
});

// --- Getting in with a login: the page around names the customer -------------------------------------
function lookAt(said) {
  // A new message alone doesn't reload the panel: a dialog may be open.
  const isSame = ["email", "phone", "assignee"].every((name) => said[name] === customer?.[name]);
  customer = said;
  if (!pass) {
    const isUnderWay = isConnecting || main.querySelector("[data-state=log-in]");
    if (!isUnderWay && !(isSame && main.querySelector("[data-state=waiting]"))) resumeAt(said);
    return;
  }
  if (isSame && main.querySelector("#panel")) return;
  enter(() => post(look, said));
}

function resumeAt(said) {
  enter(() => post(resume, { frame, ...said }));
}

// With two dashboard apps, Chatwoot's answer goes to the one it created last, whoever asked; the
// load of a frame it always answers to that frame.
function askForContext() {
  for (const origin of parentOrigins()) parent.postMessage("chatwoot-dashboard-app:fetch-info", origin);
  introduce();
}

// Help Scout, and the apps in integrations/, say nothing before they are asked in this form.
function introduce() {
  const asked = { type: "GET_APP_CONTEXT", appId: window.name.replace(/app-side-panel-|app-/, ""), iframeId: window.name };
  for (const origin of parentOrigins()) parent.postMessage(asked, origin);
}

// The origin of the page around us, if the browser reveals it; only listed origins count.
function parentOrigins() {
  const above = location.ancestorOrigins?.[0] ?? (document.referrer && new URL(document.referrer).origin);
  if (above) return origins.filter((origin) => origin === above);
  return origins;
}

// The agent was told to assign the conversation to themselves, and comes back.
function askAgain() {
  if (signed || !pass || mayAct || document.querySelector("dialog[open]")) return;
  const askedAt = performance.now();
  askForContext();
  setTimeout(() => {
    const isUnanswered = heardAt < askedAt && !document.querySelector("dialog[open]");
    if (isUnanswered && performance.now() > RELOAD_MS) location.reload();
  }, ASK_MS);
}
addEventListener("focus", askAgain);
new IntersectionObserver(([seen]) => { if (seen.isIntersecting) askAgain(); }).observe(main);

function startConnecting() {
  // Opened right away, or popup blockers would stop it; navigated once the hash is computed.
  windowOpened = window.open("", "agent-inbox-connect", "popup,width=480,height=640");
  if (!windowOpened) return toast(words.blocked);
  return challengeOf(verifier = randomHex(32)).then((challenge) => {
    windowOpened.location = `${connect}?${new URLSearchParams({ frame, challenge })}`;
  });
}

async function challengeOf(secret) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function connected(code) {
  const said = customer;
  isConnecting = true;
  try {
    const told = await post(swap, { frame, code, verifier, ...said });
    verifier = "";
    windowOpened?.postMessage({ kind: "frame-connected" }, location.origin);
    if (customer === said) return told;
    // The help desk has moved on to another customer.
    take(told);
    return await post(look, customer);
  } finally {
    isConnecting = false;
  }
}

addEventListener("message", ({ origin, source, data }) => {
  if (signed) return;
  if (source === parent && parent !== window && origins.includes(origin)) {
    const said = contextOf(data);
    if (!said) return;
    heardAt = performance.now();
    lookAt(said);
  } else if (origin === location.origin && source === windowOpened && verifier
      && isObject(data) && data.kind === "frame-code" && typeof data.code === "string") {
    enter(() => connected(data.code));
  }
});

document.addEventListener("click", (event) => {
  const { target } = event;
  if (target.closest("[data-connect-start]")) startConnecting();
  if (target.closest("[data-frame-retry]")) again();
  const toWindow = target.closest("[data-window]");
  if (toWindow) {
    setTimeout(() => document.getElementById("dialog").close());
    toast(words.inWindow);
  }
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-code-form]")) return;
  event.preventDefault();
  const code = new FormData(event.target).get("code").trim();
  enter(() => connected(code));
});
addEventListener("online", () => { if (main.querySelector("[data-state=unreachable]")) again(); });

function begin() {
  if (pass) return enter(() => post(renew, {}));
  if (signed) return enterSigned();
  show("waiting");
  introduce();
  // Chatwoot says it once the frame is loaded; if that was missed, it is asked.
  setTimeout(() => { if (!customer) askForContext(); }, ASK_MS);
  setTimeout(() => { if (!customer) show("no-context"); }, GIVE_UP_MS);
  return null;
}

function again() {
  if (pass || signed) return begin();
  const said = customer;
  // Chatwoot answers a load reliably, and a question only if we are its only app.
  if (!said) return location.reload();
  customer = null;
  return lookAt(said);
}
begin();
