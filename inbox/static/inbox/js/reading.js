// Reports to the server how far the agent has seen the thread (data-read-url, inbox/read_marks.py),
// once it is on a visible page and the agent is present. The server can't tell by itself: what it
// sends may get lost, be prefetched, or arrive in a background tab.
import { isAway } from "./attention.js";
import { seen } from "./seen.js";

const AGAIN_AFTER_MS = 5000;
// Without this cookie the server assumes a page without scripts, and counts what it sends as seen.
document.cookie = `scripts=1; path=/; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;

let told = ""; // what was reported last, and for which state of the thread

// Until the page has loaded, a browser may not have applied the fragment of its address, which
// decides what a narrow screen shows.
function isSettled() {
  const goal = document.getElementById(location.hash.slice(1));
  return document.readyState === "complete" || !goal || goal.matches(":target");
}

async function tell() {
  const thread = document.getElementById("thread");
  const address = thread?.dataset.readUrl;
  // On a narrow screen the orders may be shown instead of the thread.
  if (!address || document.hidden || isAway() || !isSettled() || !thread.getClientRects().length) return;
  const upTo = seen(thread);
  const what = `${address} ${upTo} ${thread.dataset.livePosition}`;
  if (what === told) return;
  told = what;
  const headers = {};
  document.dispatchEvent(new CustomEvent("inbox:request", { detail: { headers } }));
  const body = new URLSearchParams({ seen: upTo });
  let answer = null;
  try {
    answer = await fetch(address, { method: "POST", headers, body, credentials: "same-origin", keepalive: true });
  } catch { /* retried below */ }
  if (answer?.status === 401) document.dispatchEvent(new CustomEvent("inbox:refused", { detail: { answer } }));
  else if ((!answer || answer.status >= 500) && told === what) setTimeout(again, AGAIN_AFTER_MS, what);
}

function again(what) {
  if (told !== what) return;
  told = "";
  tell();
}

// Deferred until the other handlers of the event have run, because they decide what is in view.
const soon = () => setTimeout(tell);
for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap", "inbox:view", "inbox:logged-in", "visibilitychange"]) {
  document.addEventListener(name, soon);
}
for (const name of ["focus", "pageshow", "pointermove", "pointerdown", "keydown", "wheel", "touchstart", "hashchange"]) {
  addEventListener(name, soon, { passive: true });
}
document.addEventListener("scroll", soon, { capture: true, passive: true });
soon();
