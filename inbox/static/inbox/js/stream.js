// One event stream per browser, however many tabs: a browser allows six connections to a site,
// and agents open ten tabs. The tab that holds the lock listens and tells the others.
// Tabs hear `live:topics` (detail: list of topics) and `live:resync` on the document.
const source = document.querySelector("meta[name=live-stream]")?.content;
const POLL_MS = 10_000;
const RETRY_MS = 30_000;
const root = document.documentElement;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("inbox-live") : null;
let polling = 0;

function hear(message) {
  if (message.kind === "state") show(message.state);
  else if (message.kind === "resync") document.dispatchEvent(new CustomEvent("live:resync"));
  else document.dispatchEvent(new CustomEvent("live:topics", { detail: message.topics }));
}

function tell(message) {
  hear(message);
  channel?.postMessage(message);
}

function show(state) {
  root.dataset.live = state;
  const words = document.getElementById("words")?.dataset;
  const label = document.querySelector(".live-state span");
  if (label && words) label.textContent = words[state] ?? "";
  // Without a stream every tab looks by itself, as long as somebody looks at it.
  if (state === "live") {
    clearInterval(polling);
    polling = 0;
  } else if (!polling) {
    polling = setInterval(() => { if (!document.hidden) hear({ kind: "resync" }); }, POLL_MS);
  }
}

function listen() {
  return new Promise((over) => {
    const events = new EventSource(source);
    let wasOpen = false;
    events.onopen = () => {
      tell({ kind: "state", state: "live" });
      // Whatever happened while nobody listened was missed.
      if (wasOpen) tell({ kind: "resync" });
      wasOpen = true;
    };
    events.onmessage = (event) => tell({ kind: "topics", topics: JSON.parse(event.data).topics });
    events.addEventListener("resync", () => tell({ kind: "resync" }));
    events.onerror = () => {
      tell({ kind: "state", state: navigator.onLine ? "polling" : "offline" });
      // Closed for good (the token ran out, say): another tab may hold a newer one.
      if (events.readyState === EventSource.CLOSED) over();
    };
  });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function lead() {
  for (;;) {
    if (navigator.locks) await navigator.locks.request("inbox-live", listen);
    else await listen();
    await pause(RETRY_MS);
  }
}

if (source) {
  if (channel) {
    channel.onmessage = ({ data }) => {
      // A tab that has just opened asks how things stand; only the leader knows.
      if (data.kind === "hello") { if (root.dataset.live === "live") channel.postMessage({ kind: "state", state: "live" }); }
      else hear(data);
    };
    channel.postMessage({ kind: "hello" });
  }
  addEventListener("offline", () => show("offline"));
  setTimeout(() => { if (!root.dataset.live) show("polling"); }, 3000);
  lead();
}
