// What is typed for a customer stays with that conversation until it is sent: for this tab only.
const key = (id) => `draft-${id}`;

function field() {
  return document.getElementById("composer-text");
}

function conversation() {
  return document.getElementById("view")?.dataset.conversation;
}

function keep() {
  if (!field() || !conversation()) return;
  try {
    if (field().value.trim()) sessionStorage.setItem(key(conversation()), field().value);
    else sessionStorage.removeItem(key(conversation()));
  } catch { /* storage is off: the text lives in the page */ }
}

function restore() {
  if (!field() || field().value) return;
  let text = null;
  try { text = sessionStorage.getItem(key(conversation())); } catch { /* storage is off */ }
  if (text) field().value = text;
}

document.addEventListener("input", ({ target }) => { if (target.id === "composer-text") keep(); });
document.addEventListener("htmx:afterSwap", ({ detail }) => { if (detail.target?.id === "composer") keep(); });
document.addEventListener("inbox:view", restore);
// Somebody else may log in on this computer.
if (document.querySelector(".login")) { try { sessionStorage.clear(); } catch { /* nothing kept */ } }
restore();
