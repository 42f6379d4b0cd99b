// Single-key shortcuts. Off while typing, in dialogs, and for agents who switch them off.
const dialog = document.getElementById("dialog");
const content = document.getElementById("dialog-content");
const help = document.getElementById("keys-help");
const STORED = "single-keys";

function areOn() {
  try { return localStorage.getItem(STORED) !== "off"; } catch { return true; }
}

function press(selector) {
  const element = document.querySelector(selector);
  if (!element) return false;
  element.click();
  return true;
}

function focus(selector) {
  const element = document.querySelector(selector);
  element?.focus();
  return Boolean(element);
}

function step(by) {
  const rows = [...document.querySelectorAll("a.conversation-row")];
  const from = rows.indexOf(document.activeElement) + 1
    || rows.findIndex((row) => row.hasAttribute("aria-current")) + 1;
  const next = rows[from ? from - 1 + by : by > 0 ? 0 : rows.length - 1];
  next?.focus();
  return Boolean(next);
}

function write(mode) {
  const choice = document.querySelector(`.composer [value=${mode}]`);
  if (!choice) return false;
  choice.checked = true;
  choice.dispatchEvent(new Event("change", { bubbles: true }));
  if (location.hash === "#orders") location.hash = "#conversation";
  return focus("#composer-text");
}

function money(label) {
  // The focused order, or else the open one; the dialog asks before anything happens.
  const card = document.activeElement?.closest(".order[open]") ?? document.querySelector(".order[open]");
  const button = card?.querySelector(`[data-act=${label}]`);
  button?.click();
  return Boolean(button);
}

function showHelp() {
  if (!help || dialog.open) return false;
  content.replaceChildren(help.content.cloneNode(true));
  const box = content.querySelector("[data-single-keys]");
  box.checked = areOn();
  box.addEventListener("change", () => {
    try { localStorage.setItem(STORED, box.checked ? "on" : "off"); } catch { /* this page only */ }
  });
  dialog.showModal();
  content.querySelector("h1").focus();
  return true;
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => focus("#list-search") || focus("#order-words"),
  r: () => write("reply"),
  n: () => write("note"),
  a: () => press("#assign-me button"),
  e: () => press("#resolve button"),
  o: () => { location.hash = "#orders"; return focus("#panel .order summary") || focus("#panel-title"); },
  c: () => money("cancel"),
  f: () => money("refund"),
  "?": showHelp,
};

// Which of KEYS was pressed, on any keyboard layout. A Latin letter counts as typed, also with Caps
// Lock; on layouts for other scripts, the position of the key counts. Punctuation moves around
// between layouts, and needs Shift on some, so it counts as typed.
const PLACES = { Slash: "/" };
const WRITTEN = { "\u061f": "?" }; // the Arabic question mark
function pressed({ key, code, shiftKey }) {
  const sign = WRITTEN[key] ?? key;
  if (sign === "/" || sign === "?") return sign;
  if (shiftKey) return "";
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  const isOtherScript = /^\p{L}\p{M}*$/u.test(key) && !/\p{Script=Latin}/u.test(key);
  return isOtherScript ? PLACES[code] ?? code.replace(/^Key/, "").toLowerCase() : "";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (event.isComposing || event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const key = pressed(event);
  // Holding down J or K moves through the list; any other action must not repeat.
  if (event.repeat && key !== "j" && key !== "k") return;
  const act = Object.hasOwn(KEYS, key) && KEYS[key];
  if (!act || (!areOn() && key !== "?")) return;
  if (act()) event.preventDefault();
});

document.addEventListener("click", ({ target }) => { if (target.closest?.("[data-show-keys]")) showHelp(); });
