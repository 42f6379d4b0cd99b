// Shows the order panel of Agent Inbox beside a ticket, and tells it which ticket is open.
"use strict";

const client = ZAFClient.init();
const frame = document.getElementById("orders");
const HEIGHT = "700px";
const PATIENCE_MS = 10_000;
const TOLD_BY = [
  "ticket.requester.id.changed",
  "ticket.requester.email.changed",
  "ticket.assignee.user.id.changed",
  "ticket.assignee.user.email.changed",
];
let inbox = "";
let isAsked = false;

// A path that this ticket doesn't have, such as the assignee of an unassigned one, is missing from
// the answer to several paths at once.
async function ticket() {
  return client.get([
    "ticket.requester", "ticket.assignee.user", "ticket.subject", "ticket.description", "currentUser",
  ]);
}

function phoneOf(user) {
  const identities = Array.isArray(user?.identities) ? user.identities : [];
  return identities.find(({ type }) => type === "phone_number")?.value;
}

function personOf(user) {
  return user?.id ? { id: user.id, email: user.email } : undefined;
}

// In the words of the panel (docs/sidebar.md).
async function context() {
  const found = await ticket();
  const requester = found["ticket.requester"];
  const written = [found["ticket.subject"], found["ticket.description"]].filter(Boolean);
  return {
    contact: { email: requester?.email ?? null, phone_number: phoneOf(requester) ?? null },
    conversation: {
      meta: { assignee: personOf(found["ticket.assignee.user"]) },
      messages: written.map((content) => ({ message_type: 0, content })),
    },
    currentAgent: personOf(found.currentUser),
  };
}

async function tell() {
  if (!isAsked) return;
  const data = await context();
  frame.contentWindow.postMessage(JSON.stringify({ event: "appContext", data }), inbox);
}

// The panel asks as soon as it is there. If it doesn't, the browser hasn't shown it.
function explain() {
  if (isAsked) return;
  const zendesk = new URLSearchParams(location.search).get("origin") ?? "";
  const hint = document.getElementById("hint");
  hint.textContent = "The orders can't be shown. An administrator of the inbox has to list these "
    + `addresses under "Origins", each on a line: ${location.origin} ${zendesk}`;
  hint.hidden = false;
  frame.hidden = true;
}

addEventListener("message", ({ data, origin, source }) => {
  if (source !== frame.contentWindow || origin !== inbox) return;
  if (data?.type !== "GET_APP_CONTEXT") return;
  isAsked = true;
  // It may have taken longer than we waited.
  document.getElementById("hint").hidden = true;
  frame.hidden = false;
  tell();
});

client.metadata().then(({ settings }) => {
  const address = new URL(settings.sidebar_url);
  inbox = address.origin;
  frame.src = address.href;
  setTimeout(explain, PATIENCE_MS);
  client.invoke("resize", { width: "100%", height: HEIGHT });
  for (const name of TOLD_BY) client.on(name, tell);
});
