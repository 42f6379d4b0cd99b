// Stands for the script that Freshdesk puts in the place of {{{appclient}}}: the calls that its
// documentation lists (developers.freshworks.com, App SDK 3.0, front-end apps). How it talks to the
// page around isn't published; here it does so in messages of its own.
{
  const waiting = new Map();
  const handlers = {};
  let last = 0;
  const ask = (what, name) => new Promise((done) => {
    waiting.set(++last, done);
    parent.postMessage({ fresh: last, what, name }, "*");
  });
  addEventListener("message", ({ source, data }) => {
    if (source !== parent || !data?.fresh) return;
    if (waiting.has(data.fresh)) waiting.get(data.fresh)(data.value);
    else for (const handler of handlers[data.fresh] ?? []) handler({ type: data.fresh });
  });
  window.app = {
    async initialized() {
      setTimeout(() => { for (const handler of handlers["app.activated"] ?? []) handler({}); });
      return {
        data: { get: (name) => ask("data", name) },
        iparams: { get: () => ask("iparams") },
        instance: { resize: (size) => ask("resize", size) },
        events: { on(name, handler) { (handlers[name] ??= []).push(handler); } },
      };
    },
  };
}
