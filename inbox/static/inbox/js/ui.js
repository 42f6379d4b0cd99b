// Small delegated helpers: announcements, toasts, copying, ages, menus, theme, steppers, composer.
import { now } from "./clock.js";

const root = document.documentElement;
const words = document.getElementById("words")?.dataset ?? {};

// --- Announcements: one polite live region, and toasts for errors -----------------------------
const region = document.getElementById("live-region");

function announce(text) {
  if (!region || !text) return;
  region.textContent = "";
  // Set in the next frame: screen readers skip text that was there before.
  requestAnimationFrame(() => { region.textContent = text; });
}

function toast(text, url) {
  const template = document.getElementById("toast-template");
  const list = document.getElementById("toasts");
  if (!template || !list) return;
  topmost().append(list);
  const item = template.content.firstElementChild.cloneNode(true);
  const words = item.querySelector("[data-text]");
  words.textContent = text;
  if (url) {
    const link = document.createElement("a");
    link.href = url;
    link.textContent = text;
    words.replaceChildren(link);
  }
  list.append(item);
  setTimeout(() => item.remove(), 8000);
}

// Toasts outside the topmost dialog can't be seen or clicked, and those inside a dialog disappear
// with it. The DOM doesn't expose which dialog is on top, so track the order in which they open.
const opened = [];

function noteDialogs(changes) {
  for (const { target } of changes.filter((change) => change.target.nodeName === "DIALOG")) {
    const at = opened.indexOf(target);
    if (at >= 0) opened.splice(at, 1);
    if (target.open) opened.push(target);
  }
}

function topmost() {
  noteDialogs(dialogs.takeRecords());
  return opened.findLast((dialog) => dialog.isConnected) ?? document.body;
}

const dialogs = new MutationObserver((changes) => {
  noteDialogs(changes);
  const list = document.getElementById("toasts");
  if (list && list.parentElement !== topmost()) topmost().append(list);
});
dialogs.observe(document.body, { subtree: true, attributeFilter: ["open"] });

document.addEventListener("inbox:announce", ({ detail }) => announce(detail));
document.addEventListener("inbox:toast", ({ detail }) => toast(detail.value ?? detail, detail.url));

// Elements with data-announce are announced when their text first appears or changes.
const spoken = new Map();
function speakChanges(quietly) {
  for (const element of document.querySelectorAll("[data-announce]")) {
    const text = element.dataset.announce;
    if (spoken.get(element.id) === text) continue;
    spoken.set(element.id, text);
    if (!quietly) announce(text);
  }
}
speakChanges(true);
// What a conversation showed when it was opened isn't news.
document.addEventListener("inbox:view", () => speakChanges(true));
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  speakChanges(detail.requestConfig?.elt?.hasAttribute("data-arriving") ?? false);
});

document.addEventListener("htmx:responseError", ({ detail }) => {
  const problem = detail.xhr.getResponseHeader("X-Problem");
  toast(problem ?? (detail.xhr.status === 403 ? words.forbidden : words.failed));
});
// writes.js reports a request without a response. Automatic requests are retried anyway; only one
// that the agent made is worth a toast.
document.addEventListener("inbox:unanswered", ({ detail: { word, element } }) => {
  if (!element?.matches?.("[data-live-src], [data-silent]")) toast(words[word]);
});

// --- Ages: "12 s ago", ticking ----------------------------------------------------------------
const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
const relative = {
  "": new Intl.RelativeTimeFormat(root.lang || "en", { style: "short", numeric: "always" }),
  short: new Intl.RelativeTimeFormat(root.lang || "en", { style: "narrow", numeric: "always" }),
};
const DAYS_OF_AGE = 7; // Beyond that, keep the date that the server rendered.

function age(element) {
  const seconds = Math.max(0, Math.round((now() - Date.parse(element.dateTime)) / 1000));
  if (seconds < 2) return words.now;
  if (seconds > DAYS_OF_AGE * 86400) return element.textContent;
  const [size, unit] = UNITS.find(([length]) => seconds >= length);
  return relative[element.dataset.age].format(-Math.floor(seconds / size), unit);
}

function tick() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-age]")) {
    const text = age(element);
    if (element.textContent !== text) element.textContent = text;
  }
  for (const element of document.querySelectorAll("time[data-countdown]")) {
    const left = Math.max(0, Math.ceil((new Date(element.dateTime) - now()) / 1000));
    const text = element.dataset.countdown.replace("%s", left);
    if (element.textContent !== text) element.textContent = text;
  }
}
setInterval(tick, 1000);
tick();
document.addEventListener("htmx:afterSwap", tick);

// --- Clicks -----------------------------------------------------------------------------------
// Another help desk's page lends its frames no permission for the clipboard (Permissions Policy);
// copying what is selected needs none.
function copySelected(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  field.className = "visually-hidden";
  // Outside of an open dialog nothing can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return isCopied;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copySelected(text)) {
      toast(words.copyFailed);
      return false;
    }
  }
  announce(words.copied);
  return true;
}

async function copy(button) {
  if (!await copyText(button.dataset.copy)) return;
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1500);
}

function step(button) {
  const field = button.parentElement.querySelector("input");
  if (button.dataset.step === "up") field.stepUp();
  else field.stepDown();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

function fill(button) {
  const field = document.getElementById(button.dataset.fill);
  field.value = button.dataset.value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Inserts text at the cursor, keeping what the agent has typed.
function insert(text) {
  const field = document.getElementById("composer-text");
  if (!field) return;
  // Close the dialog, behind which the composer can't be used.
  document.getElementById("dialog")?.close();
  if (location.hash === "#orders") location.hash = "#conversation";
  const gap = field.value && !field.value.slice(0, field.selectionStart).endsWith("\n") ? "\n" : "";
  field.setRangeText(gap + text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

function printOrder(id) {
  const order = document.getElementById(id);
  order.dataset.printed = "";
  addEventListener("afterprint", () => delete order.dataset.printed, { once: true });
  print();
}

function nextTheme() {
  const order = ["", "light", "dark"];
  const theme = order[(order.indexOf(root.dataset.theme ?? "") + 1) % order.length];
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  try { localStorage.setItem("theme", theme); } catch { /* kept for this page only */ }
  showTheme();
  announce(words[`theme${theme || "system"}`]);
}

function showTheme() {
  const theme = root.dataset.theme ?? "system";
  for (const icon of document.querySelectorAll("[data-theme-icon]")) icon.hidden = icon.dataset.themeIcon !== theme;
}
showTheme();

document.addEventListener("click", (event) => {
  const target = event.target;
  const copier = target.closest("[data-copy]");
  if (copier) copy(copier);
  const filler = target.closest("[data-fill]");
  if (filler) fill(filler);
  const stepper = target.closest("[data-step]");
  if (stepper) step(stepper);
  if (target.closest("[data-theme-toggle]")) nextTheme();
  const inserter = target.closest("[data-insert]");
  if (inserter) insert(inserter.dataset.insert);
  const link = target.closest("[data-copy-link]");
  if (link) copyText(new URL(link.dataset.copyLink, location.href).href);
  const printer = target.closest("[data-print]");
  if (printer) printOrder(printer.dataset.print);
  target.closest("[data-dismiss]")?.closest(".toast")?.remove();
  // A disabled action stays focusable, so that its reason can be read, but a click does nothing.
  const disabled = target.closest("[aria-disabled=true]");
  if (disabled) {
    event.preventDefault();
    event.stopImmediatePropagation();
    const reason = document.getElementById(disabled.getAttribute("aria-describedby") ?? "");
    if (reason) announce(reason.textContent.trim());
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target) || target.closest(".menu-item")) menu.open = false;
  }
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details.menu[open]") ?? document.querySelector("details.menu[open]");
    if (menu && !document.querySelector("dialog[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches(".composer textarea")) {
    event.preventDefault();
    // Submit by the chosen mode, not by which button comes first.
    const { mode } = event.target.form.elements;
    event.target.form.querySelector(`button.for-${mode.value}`)?.click();
  }
});

// --- Fields that count, or mirror a choice ----------------------------------------------------
document.addEventListener("input", ({ target }) => {
  const counter = target.dataset?.counter && document.getElementById(target.dataset.counter);
  if (counter) counter.textContent = `${[...target.value].length}/${target.maxLength}`;
});

// Copies the sum from the refund summary to the dialog's footer, next to the button.
document.addEventListener("htmx:afterSettle", () => {
  const summary = document.getElementById("refund-summary");
  const foot = document.getElementById("refund-foot");
  if (!summary || !foot) return;
  foot.querySelector("b").textContent = summary.dataset.amount;
  foot.querySelector("span").textContent = summary.dataset.of;
});

// A choice may check or uncheck another box as a default, which the agent can still change.
document.addEventListener("change", ({ target }) => {
  const { ticks, unticks } = target.dataset ?? {};
  const box = (ticks || unticks) && target.form?.elements[ticks || unticks];
  if (box) box.checked = Boolean(ticks);
});

// A link with role=button responds to Space like a button.
document.addEventListener("keydown", (event) => {
  if (event.key === " " && event.target.matches?.("a[role=button]")) {
    event.preventDefault();
    event.target.click();
  }
});
