// How far the agent has seen the thread. While the "New messages" button is shown to an agent who
// is reading further up, the messages below it don't count as seen.
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
