// "What would happen if" answers while one types. Without this file its button does the same.
// The admin loads it in the head.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("what-if");
  const form = box?.closest("form");
  if (!form || !window.fetch) return;
  let timer, running;

  async function ask() {
    running?.abort();
    running = new AbortController();
    const data = new FormData(form);
    data.set("_try", "1");
    try {
      const answer = await fetch(form.action || location.href, {method: "POST", body: data, signal: running.signal, credentials: "same-origin"});
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const ruling = page.getElementById("what-if-ruling");
      if (ruling) document.getElementById("what-if-ruling").replaceChildren(...ruling.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") console.warn(error);
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  });
  box.querySelector("[name=_try]").addEventListener("click", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    ask();
  });
});
