// What the page around a frame says of the open conversation: the messages of Chatwoot, of Help Scout
// and of the apps in integrations/ (docs/sidebar.md).
const LONGEST_MESSAGE = 2_000_000; // Chatwoot sends the whole conversation.

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value) {
  return typeof value === "string" ? value.slice(0, 320) : "";
}

function listOf(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

// --- Chatwoot: {event: "appContext", data: {conversation, contact, currentAgent}}, as text --------
function dataOf(raw) {
  if (raw.length > LONGEST_MESSAGE) return null;
  let message;
  try { message = JSON.parse(raw); } catch { return null; }
  if (!isObject(message) || message.event !== "appContext" || !isObject(message.data)) return null;
  return message.data;
}

// Chatwoot names the contact by what its store holds, which is {} until the contact is loaded; the
// conversation's sender is there from the start.
function contactOf({ contact, conversation }) {
  if (isObject(contact) && Object.keys(contact).length) return contact;
  const sender = conversation?.meta?.sender;
  return isObject(sender) ? sender : contact;
}

// After a live event, such as an assignment, Chatwoot's assignee has an ID but no email address.
// It is the agent at this screen if the IDs are equal.
function assigneeOf(assignee, here) {
  if (!isObject(assignee)) return "";
  if (text(assignee.email)) return text(assignee.email);
  const isHere = assignee.id != null && assignee.id === here?.id;
  return isHere ? text(here.email) : "";
}

function ofChatwoot(raw) {
  const data = dataOf(raw);
  const contact = data && contactOf(data);
  if (!isObject(contact)) return null;
  const { conversation, currentAgent } = data;
  const inbound = listOf(conversation?.messages)
    .filter((m) => m.message_type === 0 && typeof m.content === "string");
  return {
    email: text(contact.email),
    phone: text(contact.phone_number),
    assignee: assigneeOf(conversation?.meta?.assignee, currentAgent),
    about: inbound.slice(-5).map((m) => m.content.slice(0, 1000)).join("\n"),
  };
}

// --- Help Scout: {type: "SEND_APP_CONTEXT", conversation, customer, user}, as an object ------------
// A customer can have several addresses; the conversation says which of them it is with.
function emailOf({ conversation, customer }) {
  const inConversation = listOf(conversation?.customers).find(({ id }) => id === customer.id);
  const emails = listOf(inConversation?.emails);
  const chosen = emails.find((email) => email.default) ?? emails[0] ?? listOf(customer.emails)[0];
  return text(chosen?.value);
}

function ofHelpScout(message) {
  if (message.type !== "SEND_APP_CONTEXT" || !isObject(message.customer)) return null;
  return {
    email: emailOf(message),
    phone: text(listOf(message.customer.phones)[0]?.value),
    assignee: assigneeOf(message.conversation?.assignee, message.user),
    about: text(message.conversation?.subject),
  };
}

// The form fields that we send for a message of the page around; null if it is none of these.
export function contextOf(raw) {
  if (typeof raw === "string") return ofChatwoot(raw);
  return isObject(raw) ? ofHelpScout(raw) : null;
}
