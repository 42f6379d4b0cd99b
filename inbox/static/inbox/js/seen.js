// Up to which message the agent has seen the thread. While "New messages" waits below for whoever
// reads further up, what is there is not seen yet.
let beforeNew = null;

function hasNewBelow(thread) {
  const button = thread.querySelector(".new-below");
  return Boolean(button) && !button.hidden;
}

export function seen(thread) {
  return hasNewBelow(thread) ? beforeNew ?? thread.dataset.seen : thread.dataset.seen;
}

function keepSeen(target) {
  if (target?.id === "thread" && !hasNewBelow(target)) beforeNew = target.dataset.seen;
}
document.addEventListener("htmx:beforeSwap", ({ detail }) => keepSeen(detail.target));
document.addEventListener("htmx:oobAfterSwap", ({ detail: { target } }) => {
  if (target?.id === "thread") beforeNew = document.getElementById("thread")?.dataset.seen ?? null;
});
document.addEventListener("inbox:leave", () => { beforeNew = null; });
