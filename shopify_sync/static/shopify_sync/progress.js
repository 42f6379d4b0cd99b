// Moves the bars of back-fills that are under way, until each has ended.
const EVERY_MS = 1000;

async function follow(bar) {
  const address = bar.dataset.progress;
  if (!address) return;
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const now = await answer.json();
      bar.querySelector("progress").value = now.percent;
      bar.querySelector("span").textContent = now.text;
      if (!now.is_open) return;
    }
  } catch {
    // The server is away: ask again.
  }
  setTimeout(() => follow(bar), EVERY_MS);
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-progress]").forEach(follow);
});
