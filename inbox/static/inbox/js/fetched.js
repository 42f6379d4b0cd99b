// An EventSource that authenticates with a header: the address of a stream ends up in servers' logs,
// so a frame's token must not be in it. Reconnecting is up to the caller (line.js).
export class FetchedEvents extends EventTarget {
  #stopped = new AbortController();

  constructor(address, headers) {
    super();
    this.#read(address, headers).catch(() => {}).then(() => {
      if (!this.#stopped.signal.aborted) this.dispatchEvent(new Event("error"));
    });
  }

  close() {
    this.#stopped.abort();
  }

  async #read(address, headers) {
    const answer = await fetch(address, {
      headers: { ...headers, Accept: "text/event-stream" },
      cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", signal: this.#stopped.signal,
    });
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let lastEventId = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      // Our server ends lines with \n only, and an event with an empty one.
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) lastEventId = this.#tell(block, lastEventId);
    }
  }

  #tell(block, before) {
    const fields = { event: "message", data: "", id: before };
    for (const line of block.split("\n")) {
      const at = line.indexOf(": ");
      if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
    }
    if (fields.data) this.dispatchEvent(new MessageEvent(fields.event, { data: fields.data, lastEventId: fields.id }));
    return fields.id;
  }
}
