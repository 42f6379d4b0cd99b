// Stands for Zendesk's zaf_sdk.min.js 2.0: the same calls, and the same messages to the page around
// (github.com/zendesk/zendesk_app_framework_sdk, lib/client.js).
window.ZAFClient = {
  init() {
    const words = new URLSearchParams(location.search);
    const [origin, appGuid] = [words.get("origin"), words.get("app_guid")];
    const waiting = new Map();
    const handlers = {};
    let registered;
    const ready = new Promise((done) => { registered = done; });
    const post = (message) => parent.postMessage(JSON.stringify({ ...message, appGuid }), origin);
    let last = 0;
    const request = async (name, params) => {
      await ready;
      return new Promise((done) => {
        waiting.set(++last, done);
        post({ id: last, request: name, params });
      });
    };
    addEventListener("message", (event) => {
      if (event.origin !== origin || event.source !== parent) return;
      const { id, result, key, message } = JSON.parse(event.data);
      if (waiting.has(id)) waiting.get(id)(result);
      else if (key === "zaf.app.registered") registered(message);
      else for (const handler of handlers[key?.replace(/^zaf\./, "")] ?? []) handler(message);
    });
    post({ key: "iframe.handshake", message: { version: "2.0.11" } });
    return {
      get: (paths) => request("get", Array.isArray(paths) ? paths : [paths]),
      invoke: (name, ...given) => request("invoke", { [name]: given }),
      metadata: async () => (await ready).metadata,
      on(name, handler) { (handlers[name] ??= []).push(handler); },
    };
  },
};
