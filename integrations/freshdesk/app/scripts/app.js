// Shows the order panel of Agent Inbox beside a ticket, and tells it which ticket is open.
"use strict";

const frame = document.getElementById("orders");
const HEIGHT = "700px";
const PATIENCE_MS = 10_000;
let client = null;
let inbox = "";
let isAsked = false;
let patience = 0;

async function read(name) {
  const found = await client.data.get(name);
  return found[name];
}

// In the words of the panel (docs/sidebar.md). Freshdesk names the assigned agent by ID only; the
// panel compares it with the agent at this screen.
async function context() {
  const [ticket, contact, agent] = await Promise.all(["ticket", "contact", "loggedInUser"].map(read));
  const written = [ticket.subject, ticket.description_text].filter(Boolean);
  return {
    contact: { email: contact.email ?? null, phone_number: contact.mobile || contact.phone || null },
    conversation: {
      meta: { assignee: ticket.responder_id ? { id: ticket.responder_id } : undefined },
      messages: written.map((content) => ({ message_type: 0, content })),
    },
    currentAgent: { id: agent.id, email: agent.contact?.email },
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
  const above = [...(location.ancestorOrigins ?? [])];
  const hint = document.getElementById("hint");
  hint.textContent = "The orders can't be shown. An administrator of the inbox has to list these "
    + `addresses under "Origins", each on a line: ${[location.origin, ...above].join(" ")}`;
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

async function show() {
  const { sidebar_url: text } = await client.iparams.get();
  const address = new URL(text);
  inbox = address.origin;
  isAsked = false;
  document.getElementById("hint").hidden = true;
  frame.hidden = false;
  frame.src = address.href;
  clearTimeout(patience);
  patience = setTimeout(explain, PATIENCE_MS);
  client.instance.resize({ height: HEIGHT });
}

app.initialized().then((found) => {
  client = found;
  // Fired each time the app is opened beside a ticket.
  client.events.on("app.activated", show);
  client.events.on("ticket.propertiesUpdated", tell);
});
