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
// What was typed while the last words were on their way stays for the next.
let sent = "";
let later = "";
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target?.id !== "composer" || !field()) return;
  const typed = field().value;
  later = typed === sent ? "" : typed.startsWith(sent) ? typed.slice(sent.length).trimStart() : typed;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target?.id !== "composer") return;
  if (later && field() && !field().value) field().value = later;
  later = "";
  keep();
});
document.addEventListener("inbox:view", restore);
// Sent, while the agent has gone on to another conversation: what was sent would come back as a
// draft. Of a view that is gone no event comes up to the document, so the request itself is asked.
document.addEventListener("htmx:beforeRequest", ({ detail: { target, xhr } }) => {
  if (target?.id !== "composer") return;
  const view = document.getElementById("view");
  const [id, text] = [conversation(), field().value];
  sent = text;
  xhr.addEventListener("load", () => {
    if (xhr.status !== 200 || view === document.getElementById("view")) return;
    if (id === conversation() && field()?.value === text) field().value = "";
    try {
      if (sessionStorage.getItem(key(id)) === text) sessionStorage.removeItem(key(id));
    } catch { /* storage is off */ }
  });
});
// Somebody else may log in on this computer.
if (document.querySelector(".login")) { try { sessionStorage.clear(); } catch { /* nothing kept */ } }
restore();
