// Opens conversations and filters without a reload; without JavaScript, and in a new tab, they are
// plain links. Conversations are prefetched on hover. Every URL is a complete page of its own.
const AHEAD_AFTER_MS = 60;
// Longer for the keyboard, because J and K move over many rows to get to one.
const AHEAD_AFTER_FOCUS_MS = 250;
const FRESH_MS = 6000;
const main = document.querySelector("main.panes");
const ahead = new Map(); // address -> {at, answer: Promise<string>}
let turn = 0; // Incremented on each navigation: late responses for an earlier one are dropped.

const PARTS = {
  view: { links: "a.conversation-row", target: "#view" },
  list: { links: "#list-pane .segments a, #list-pane .state-links a, a.list-more", target: "#list-pane" },
};

function partOf(link) {
  return Object.keys(PARTS).find((part) => link.matches(PARTS[part].links));
}

async function fetchPart(address, part) {
  const headers = { "X-Fragment": part, "X-Page-Language": document.documentElement.lang };
  document.dispatchEvent(new CustomEvent("inbox:request", { detail: { headers } }));
  const answer = await fetch(address, { headers, credentials: "same-origin" });
  // Missing or broken: load the whole page, which shows the error.
  if (!answer.ok || answer.redirected) throw Object.assign(new Error(`${answer.status}`), { answer });
  return answer.text();
}

function fetchAhead(link) {
  const part = partOf(link);
  if (part !== "view" || ahead.has(link.href) && Date.now() - ahead.get(link.href).at < FRESH_MS) return;
  const answer = fetchPart(link.href, part);
  answer.catch(() => ahead.delete(link.href));
  ahead.set(link.href, { at: Date.now(), answer });
}

function take(address) {
  const found = ahead.get(address);
  ahead.delete(address);
  return found && Date.now() - found.at < FRESH_MS ? found.answer : null;
}

// Waits for a paint, so that the pressed row shows before the response is rendered. The timeout is
// for hidden pages, which don't paint.
const painted = () => new Promise((done) => {
  requestAnimationFrame(() => setTimeout(done));
  setTimeout(done, 100);
});

async function open(address, part, { push = true } = {}) {
  const mine = ++turn;
  main.setAttribute("aria-busy", "true");
  if (part === "view") markRow(address);
  let html;
  try {
    [html] = await Promise.all([take(address) ?? fetchPart(address, part), painted()]);
  } catch ({ answer }) {
    if (mine !== turn) return;
    if (answer?.status !== 401) location.assign(address);
    // The session has ended: stay on this page, and continue after the login.
    else document.dispatchEvent(new CustomEvent("inbox:refused", { detail: { answer, again: () => open(address, part, { push }) } }));
    return;
  } finally {
    if (mine === turn) main.removeAttribute("aria-busy");
  }
  if (mine !== turn) return;
  if (push) history.pushState({ part }, "", address);
  if (part === "view") showView(html);
  else showList(html);
}

function markRow(address) {
  const [current] = address.split("#");
  let marked = null;
  for (const row of document.querySelectorAll("a.conversation-row")) {
    if (row.href === current) {
      row.setAttribute("aria-current", "true");
      marked = row;
    } else row.removeAttribute("aria-current");
  }
  return marked;
}

function showView(html) {
  document.dispatchEvent(new CustomEvent("inbox:leave"));
  htmx.swap("#view", html, { swapStyle: "outerHTML" });
  const view = document.getElementById("view");
  main.dataset.panes = view.querySelector("#orders") ? "3" : "2";
  document.title = view.dataset.title;
  markRow(location.href)?.removeAttribute("data-unread");
  view.querySelector("#conversation")?.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("inbox:view"));
  document.dispatchEvent(new CustomEvent("inbox:announce", { detail: view.querySelector("h1")?.textContent }));
}

function showList(html) {
  const chosen = document.activeElement?.closest("#list-pane a")?.textContent;
  // The fragment comes with a resizer of its own, so remove the page's.
  document.querySelector("[data-resize=list]")?.remove();
  htmx.swap("#list-pane", html, { swapStyle: "outerHTML" });
  const here = location.pathname;
  for (const row of document.querySelectorAll("a.conversation-row")) {
    if (row.pathname === here) row.setAttribute("aria-current", "true");
  }
  [...document.querySelectorAll("#list-pane nav a")].find((link) => link.textContent === chosen)?.focus();
}

if (main) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const part = partOf(link);
    // A filter keeps the open conversation; only with a list alone does it change the URL.
    if (!part || link.target) return;
    event.preventDefault();
    open(link.href, part, { push: part === "view" || main.dataset.panes === "2" });
  });

  addEventListener("popstate", () => {
    const [, id] = location.pathname.match(/^\/inbox\/conversations\/(\d+)\/$/) ?? [];
    // Only the fragment has changed (the pane on a narrow screen): don't rebuild the view.
    if (id && id === document.getElementById("view")?.dataset.conversation) {
      // Cancel a navigation that is under way.
      turn += 1;
      main.removeAttribute("aria-busy");
      markRow(location.href);
      return;
    }
    if (id) open(location.href.split("#")[0], "view", { push: false });
    else location.reload();
  });

  let resting = 0;
  document.addEventListener("pointerover", ({ target, pointerType }) => {
    const link = target.closest?.("a.conversation-row");
    clearTimeout(resting);
    if (link && pointerType === "mouse") resting = setTimeout(fetchAhead, AHEAD_AFTER_MS, link);
  });
  document.addEventListener("focusin", ({ target }) => {
    clearTimeout(resting);
    if (target.matches?.("a.conversation-row:focus-visible")) resting = setTimeout(fetchAhead, AHEAD_AFTER_FOCUS_MS, target);
  });
  // Any change may make what was prefetched stale.
  document.addEventListener("live:topics", () => ahead.clear());
  document.addEventListener("live:resync", () => ahead.clear());
  document.addEventListener("inbox:draft-saved", () => ahead.clear());
}
