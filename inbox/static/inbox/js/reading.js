// Up to which message the agent has seen the thread, told to the server (data-read-url, inbox/read_marks.py)
// once it stands on a page that is visible and whose agent is there. What a server hands out may be
// lost on its way, fetched ahead, or come to a tab that nobody looks at.
import { isAway } from "./attention.js";
import { seen } from "./seen.js";

const AGAIN_AFTER_MS = 5000;
// For pages without scripts, which say nothing, the server goes by what it hands out.
document.cookie = `scripts=1; path=/; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;

let told = ""; // what was told last, and of which state of the thread

async function tell() {
  const thread = document.getElementById("thread");
  const address = thread?.dataset.readUrl;
  // On a narrow screen the orders may stand in its place.
  if (!address || document.hidden || isAway() || !thread.getClientRects().length) return;
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
  } catch { /* tried again below */ }
  if (answer?.status === 401) document.dispatchEvent(new CustomEvent("inbox:refused", { detail: { answer } }));
  else if ((!answer || answer.status >= 500) && told === what) setTimeout(again, AGAIN_AFTER_MS, what);
}

function again(what) {
  if (told !== what) return;
  told = "";
  tell();
}

// After all who have to do with what has come: whether it is in sight is theirs to say.
const soon = () => setTimeout(tell);
for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap", "inbox:view", "inbox:logged-in", "visibilitychange"]) {
  document.addEventListener(name, soon);
}
for (const name of ["focus", "pageshow", "pointermove", "pointerdown", "keydown", "wheel", "touchstart", "hashchange"]) {
  addEventListener(name, soon, { passive: true });
}
document.addEventListener("scroll", soon, { capture: true, passive: true });
soon();
