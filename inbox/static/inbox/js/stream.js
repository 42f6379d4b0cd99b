// One event stream per browser, no matter how many tabs: a browser allows six connections per site,
// and agents open ten tabs. The tab that holds the lock leads: it listens and informs the others.
// In each tab, changes arrive as `live:topics` (detail: {topics, at}) and `live:resync` events on
// the document.
//
// Each tab knows its position: it has received every change before that. A tab that has just opened,
// was asleep, or has fallen behind says "hello" with its position, and the leader sends what it
// missed. Until then the tab doesn't claim to be live.
import { parsePosition, setClock } from "./clock.js";
import { forget, reached, remember, since } from "./heard.js";
import { Line, Moment, SILENCE_MS } from "./line.js";

const source = document.querySelector("meta[name=live-stream]")?.content;
const POLL_MS = 30_000;
const HELLO_MS = 1000;
const UNANSWERED_MS = 5000; // A leader that doesn't respond for this long is replaced.
const LOCK = "inbox-live";
const root = document.documentElement;
// Without the Locks API (on pages without TLS) each tab opens a stream of its own.
const channel = navigator.locks && "BroadcastChannel" in window ? new BroadcastChannel(LOCK) : null;
const me = `${Math.random()}`;

let position = root.dataset.livePosition ?? "";
let line = null; // only the leader's
let isInStep = false; // in sync with the leader, or leading
let isBehind = false; // some part of the page could not be refreshed
let state = ""; // of the stream, as far as this tab knows
let heardAt = new Moment(); // when the leader was last heard from
let askedAt = null; // when the first unanswered hello was sent
let saidHelloAt = null;
let polling = 0;

// --- Handling messages --------------------------------------------------------------------------
function hear(message) {
  if (message.kind === "event") {
    if (remember(message)) announce("live:topics", { topics: message.topics, at: message.at });
  } else if (message.kind === "resync") {
    forget(parsePosition(message.position).at);
    announce("live:resync");
  } else if (message.kind === "beat" && message.position) reached(parsePosition(message.position).at);
  else if (message.kind === "state") {
    if (message.state === "ended" && state !== "ended") announce("inbox:ended");
    state = message.state;
  }
  if (message.position && isInStep) position = message.position;
  show();
}

function announce(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

function show() {
  const shown = state === "live" && (!isInStep || isBehind) ? "reconnecting" : state;
  if (shown !== root.dataset.live && shown) {
    root.dataset.live = shown;
    const words = document.getElementById("words")?.dataset;
    const label = document.querySelector(".live-state span");
    if (label && words) label.textContent = words[shown] ?? "";
  }
  // Without a stream, each visible tab polls on its own.
  if (shown === "polling") polling ||= setTimeout(poll, pause());
  else {
    clearTimeout(polling);
    polling = 0;
  }
}

const pause = () => POLL_MS * (0.8 + 0.4 * Math.random());

function poll() {
  polling = setTimeout(poll, pause());
  if (!document.hidden) announce("live:resync");
}

// --- The leading tab ------------------------------------------------------------------------------
function tell(message) {
  hear(message);
  channel?.postMessage(message);
}

function lead() {
  isInStep = true;
  askedAt = null;
  return new Promise((over) => {
    line = new Line({ address: source, position, hear: tell });
    line.over = over;
    channel?.postMessage({ kind: "leads", position });
  });
}

function stopLeading() {
  line?.close();
  line?.over?.();
  line = null;
  isInStep = false;
}

async function take(options) {
  try {
    await navigator.locks.request(LOCK, options, lead);
  } catch {
    // Another tab has stolen the lock because this one didn't respond.
  }
  stopLeading();
}

async function takeTurns() {
  for (;;) await take({});
}

function answer({ tab, position: theirs }) {
  // A tab that asks has reason to doubt the stream, so check it.
  line.check(SILENCE_MS / 2);
  line.retry();
  const events = state === "live" ? since(parsePosition(theirs).at) : [];
  channel.postMessage({ kind: "told", to: tab, events, position, state, isHidden: document.hidden });
}

// --- The following tabs ---------------------------------------------------------------------------
function sayHello() {
  if (line || !channel || (saidHelloAt && !saidHelloAt.isOver(HELLO_MS))) return;
  saidHelloAt = new Moment();
  askedAt ??= new Moment();
  channel.postMessage({ kind: "hello", tab: me, position });
}

function follow(message) {
  heardAt = new Moment();
  if (message.kind === "told") {
    if (message.to !== me) return;
    state = message.state;
    // A hidden leader's timers are throttled to once a minute: unless its stream is live, let a
    // visible tab take over.
    if (state === "live" || !message.isHidden) askedAt = null;
    if (state === "live") {
      isInStep = true;
      if (message.events) message.events.forEach((event) => hear({ ...event, kind: "event" }));
      else hear({ kind: "resync", position: message.position });
      position = message.position;
    }
    show();
  } else if (message.kind === "leads") {
    // The new leader starts from its own position; this tab may be behind that.
    if (parsePosition(position).at < parsePosition(message.position).at) isInStep = false;
  } else {
    if (message.kind === "beat" && message.isNewer) setClock(parsePosition(message.position).ms);
    hear(message);
    if (state === "live" && !isInStep) sayHello();
  }
}

// The leader may be gone, asleep or stuck; a hidden tab can wait until it is shown.
function watch() {
  if (line || document.hidden) return;
  if (heardAt.isOver(SILENCE_MS)) isInStep = false;
  if (!isInStep) sayHello();
  if (askedAt?.isOver(UNANSWERED_MS)) {
    askedAt = null;
    take({ steal: true });
  }
  if (state === "live") show();
}

function wake({ type }) {
  if (document.hidden && type !== "online") return;
  if (line) {
    line.retry();
    // After a change of networks, the connection is dead without noticing.
    line.check(type === "online" ? 0 : SILENCE_MS / 2);
  } else if (channel) {
    isInStep = false;
    sayHello();
  }
}

if (source) {
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.kind !== "hello") { if (!line || data.kind === "told") follow(data); }
      else if (line) answer(data);
    };
    sayHello();
    setInterval(watch, HELLO_MS);
    takeTurns();
  } else lead();
  for (const name of ["pageshow", "focus", "online"]) addEventListener(name, wake);
  document.addEventListener("visibilitychange", wake);
  document.addEventListener("inbox:logged-in", wake);
  document.addEventListener("live:behind", ({ detail }) => {
    isBehind = detail;
    show();
  });
  addEventListener("offline", () => { if (state !== "live") return; state = "offline"; show(); });
  setTimeout(() => { if (!root.dataset.live) { state ||= "reconnecting"; show(); } }, 3000);
}
