// Keep the progress bars of open back-fills up to date until they end.
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
    // The server is unreachable: try again.
  }
  setTimeout(() => follow(bar), EVERY_MS);
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-progress]").forEach(follow);
});
