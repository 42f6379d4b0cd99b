// The count of requests that wait for this person's approval: in the title, and announced when there
// is a new one. #waiting is fetched again when it changes (live.js), in hidden tabs too.
const shown = () => document.getElementById("waiting");
let known = Number(shown()?.dataset.newest ?? 0);

function titled() {
  const { count } = shown()?.dataset ?? {};
  const title = document.title.replace(/^\(\d+\+?\) /, "");
  const next = count && count !== "0" ? `(${count}) ${title}` : title;
  if (document.title !== next) document.title = next;
}

function look() {
  titled();
  const element = shown();
  const newest = Number(element?.dataset.newest ?? 0);
  if (newest > known) announce(element.dataset);
  known = Math.max(known, newest);
}

function announce({ newest, sentence, url, onPage, onDesktop }) {
  if (onPage !== undefined && !document.hidden) {
    document.dispatchEvent(new CustomEvent("inbox:toast", { detail: { value: sentence, url } }));
  }
  // The tag makes several tabs show one notification.
  if (onDesktop !== undefined && !document.hasFocus() && window.Notification?.permission === "granted") {
    const notice = new Notification("Agent Inbox", { body: sentence, tag: `approval-${newest}` });
    notice.onclick = () => { window.focus(); location.assign(url); };
  }
}

document.addEventListener("htmx:afterSwap", look);
document.addEventListener("inbox:view", titled);

// --- The page where it is chosen: the browser is asked when the box is ticked, and never before.
const box = document.querySelector("[data-ask-desktop]");
const refused = document.getElementById("desktop-refused");
async function ask() {
  if (!box.checked) return;
  const answer = window.Notification ? await Notification.requestPermission() : "denied";
  refused.hidden = answer === "granted";
  box.checked = answer === "granted";
}
box?.addEventListener("change", ask);
