// The server's time. The browser's clock may be wrong by any amount, so it is only used to measure
// elapsed time; each page and each beat carries the server's time.
let offset = Date.now() - performance.now();

export function now() {
  return performance.now() + offset;
}

// `serverMs` was the server's time at our local time `at`, or slightly earlier.
export function setClock(serverMs, at = performance.now()) {
  if (!(serverMs > 0)) return;
  offset = serverMs - at;
}

// Parses "at-ms": how far a page has read, and the server's time then. Empty gives { at: 0, ms: 0 }.
export function parsePosition(text) {
  const [at, ms] = (text ?? "").split("-").map(Number);
  return { at: at || 0, ms: ms || 0 };
}

const [loading] = performance.getEntriesByType("navigation");
setClock(parsePosition(document.documentElement.dataset.livePosition).ms, loading?.responseStart || 0);
