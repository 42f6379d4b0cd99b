// Panes, resized by dragging or arrow keys and remembered; a narrow screen shows one at a time.
const root = document.documentElement;
const STEP_PX = 16;

function widthOf(handle) {
  return document.getElementById(handle.getAttribute("aria-controls")).getBoundingClientRect().width;
}

function resize(handle, width) {
  const { ariaValueMin: low, ariaValueMax: high } = handle;
  const fitting = Math.round(Math.min(Math.max(width, low), high));
  root.style.setProperty(`--width-${handle.dataset.resize}`, `${fitting}px`);
  handle.ariaValueNow = fitting;
  try { localStorage.setItem(`width-${handle.dataset.resize}`, fitting); } catch { /* this page only */ }
}

// +1 if the pane gets wider when its handle moves to the right, else -1.
function direction(handle) {
  const grows = handle.dataset.resize === "list" ? 1 : -1;
  return root.dir === "rtl" ? -grows : grows;
}

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest?.("[data-resize]");
  if (!handle || event.button) return;
  event.preventDefault();
  handle.focus();
  handle.setPointerCapture(event.pointerId);
  const start = { x: event.clientX, width: widthOf(handle) };
  const move = ({ clientX }) => resize(handle, start.width + (clientX - start.x) * direction(handle));
  handle.addEventListener("pointermove", move);
  handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", move), { once: true });
});

document.addEventListener("keydown", (event) => {
  const handle = event.target.closest?.("[data-resize]");
  if (!handle) return;
  const arrow = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (arrow) resize(handle, widthOf(handle) + STEP_PX * arrow * direction(handle));
  else if (event.key === "Home") resize(handle, 0);
  else if (event.key === "End") resize(handle, Infinity);
  else return;
  event.preventDefault();
});

// A double click restores the default width.
document.addEventListener("dblclick", ({ target }) => {
  const handle = target.closest?.("[data-resize]");
  if (!handle) return;
  root.style.removeProperty(`--width-${handle.dataset.resize}`);
  try { localStorage.removeItem(`width-${handle.dataset.resize}`); } catch { /* nothing kept */ }
  handle.ariaValueNow = Math.round(widthOf(handle));
});

// Marks the tab that a narrow screen shows.
function showPane() {
  for (const tab of document.querySelectorAll(".pane-tabs a")) {
    const isShown = tab.hash === (location.hash === "#orders" ? "#orders" : "#conversation");
    if (isShown) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
  for (const handle of document.querySelectorAll("[data-resize]")) handle.ariaValueNow = Math.round(widthOf(handle));
}
addEventListener("hashchange", showPane);
document.addEventListener("inbox:view", showPane);
showPane();
