// One event stream per browser, however many tabs: a browser allows six connections to a site,
// and agents open ten tabs. The tab that holds the lock leads: it listens and tells the others.
// Tabs hear `live:topics` (detail: {topics, at}) and `live:resync` on the document.
//
// Each tab knows its position: every change before it was heard here. A tab that has just come,
// was asleep, or finds itself behind says "hello" with it, and the leader tells it what it missed.
// Until then it does not say that it is live.
import { parsePosition, setClock } from "./clock.js";
import { forget, reached, remember, since } from "./heard.js";
import { Line, Moment, SILENCE_MS } from "./line.js";

const source = document.querySelector("meta[name=live-stream]")?.content;
const POLL_MS = 30_000;
const HELLO_MS = 1000;
const UNANSWERED_MS = 5000; // A leader that does not answer for so long is replaced.
const LOCK = "inbox-live";
const root = document.documentElement;
// Without locks (a page without TLS) each tab listens for itself.
const channel = navigator.locks && "BroadcastChannel" in window ? new BroadcastChannel(LOCK) : null;
const me = `${Math.random()}`;

let position = root.dataset.livePosition ?? "";
let line = null; // only the leader's
let isInStep = false; // with the leader, or one ourselves
let isBehind = false; // with what is shown: it could not be fetched
let state = ""; // of the stream, as far as we know
let heardAt = new Moment(); // anything of the leader
let askedAt = null; // a hello that was not answered
let saidHelloAt = null;
let polling = 0;

// --- What is heard ------------------------------------------------------------------------------
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
  // Without a stream every tab looks by itself, as long as somebody looks at it.
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

// --- The tab that leads ---------------------------------------------------------------------------
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
    // Another tab took it: this one had not answered.
  }
  stopLeading();
}

async function takeTurns() {
  for (;;) await take({});
}

function answer({ tab, position: theirs }) {
  // Whoever asks has reason to doubt.
  line.check(SILENCE_MS / 2);
  line.retry();
  const events = state === "live" ? since(parsePosition(theirs).at) : [];
  channel.postMessage({ kind: "told", to: tab, events, position, state, isHidden: document.hidden });
}

// --- The tabs that follow -------------------------------------------------------------------------
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
    // A hidden tab's timers run once a minute: whoever is looked at does better.
    if (state === "live" || !message.isHidden) askedAt = null;
    if (state === "live") {
      isInStep = true;
      if (message.events) message.events.forEach((event) => hear({ ...event, kind: "event" }));
      else hear({ kind: "resync", position: message.position });
      position = message.position;
    }
    show();
  } else if (message.kind === "leads") {
    // It begins where it was itself; we may be behind that.
    if (parsePosition(position).at < parsePosition(message.position).at) isInStep = false;
  } else {
    if (message.kind === "beat" && message.isNewer) setClock(parsePosition(message.position).ms);
    hear(message);
    if (state === "live" && !isInStep) sayHello();
  }
}

// The leader may be gone, asleep or stuck; a hidden tab can wait until somebody looks.
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
    // The line of another network is dead, and does not know it.
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
