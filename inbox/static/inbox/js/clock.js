// What time it is, by the server. The browser's own clock may be wrong by any amount: it is only
// asked how much time has passed. The server says what time it was with each page and each beat.
let offset = Date.now() - performance.now();

export function now() {
  return performance.now() + offset;
}

// `serverMs` was the server's time at our moment `at`, or a little before.
export function setClock(serverMs, at = performance.now()) {
  if (!(serverMs > 0)) return;
  offset = serverMs - at;
}

// "at-ms": how far something has read, and the server's time when it did. Nothing: { at: 0, ms: 0 }.
export function parsePosition(text) {
  const [at, ms] = (text ?? "").split("-").map(Number);
  return { at: at || 0, ms: ms || 0 };
}

const [loading] = performance.getEntriesByType("navigation");
setClock(parsePosition(document.documentElement.dataset.livePosition).ms, loading?.responseStart || 0);
