// One event stream with a watchdog: if it is silent for too long, it is reopened from where it
// ended. `hear` is called with {kind: "event", n, at, topics, position}, {kind: "resync", position},
// {kind: "beat", position, isNewer} and {kind: "state", state}. The states are
//   live: every change up to the last beat has been received;
//   reconnecting;
//   offline: the server can't be reached;
//   polling: the server can be reached, but its stream doesn't come through;
//   ended: the session is over.
import { parsePosition, setClock } from "./clock.js";
import { FetchedEvents } from "./fetched.js";

export const BEAT_MS = 10_000;
export const SILENCE_MS = 2.5 * BEAT_MS;
const PAUSES_MS = [300, 1000, 2000, 4000, 8000, 15_000];
// The number of failures after which to find out why, and after which to fall back to polling.
const ASKED_AFTER = 2;
const GIVEN_UP_AFTER = 3;

export class Line {
  #address; #headers; #hear; #events = null; #timer = 0; #watch = 0; #failures = 0; #heardAt; #isOver = false;

  // `position`: where to start; "" means now. `token`: a frame's, which has no session.
  constructor({ address, position, hear, token = "" }) {
    this.#address = address;
    this.#headers = token ? { Authorization: `Stream ${token}` } : null;
    this.#hear = hear;
    this.position = position;
    this.#watch = setInterval(() => this.check(SILENCE_MS), 1000);
    this.#open();
  }

  // Reopens the stream unless something was received within the last `within` ms.
  check(within) {
    if (!this.#isOver && this.#events && this.#heardAt.isOver(within)) this.#fail();
  }

  // Retries now instead of later: the browser is online again, or the agent is back.
  retry() {
    if (!this.#isOver && !this.#events) this.#open();
  }

  close() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    this.#events?.close();
    this.#events = null;
  }

  #open() {
    clearTimeout(this.#timer);
    this.#heardAt = new Moment();
    const address = new URL(this.#address, location.href);
    if (this.position) address.searchParams.set("after", this.position);
    const mine = this.#headers ? new FetchedEvents(address, this.#headers) : new EventSource(address);
    this.#events = mine;
    mine.addEventListener("message", (event) => this.#take(event, { kind: "event", ...JSON.parse(event.data) }));
    for (const kind of ["resync", "beat", "lost", "ended"]) {
      mine.addEventListener(kind, (event) => this.#take(event, { kind }));
    }
    mine.addEventListener("error", () => { if (mine === this.#events) this.#fail(); });
  }

  #take(event, message) {
    if (event.target !== this.#events) return;
    this.#heardAt = new Moment();
    // A beat has no position of its own while the server still has changes queued.
    const isNewer = Boolean(event.lastEventId) && event.lastEventId !== this.position;
    if (isNewer) this.position = event.lastEventId;
    if (message.kind === "lost") return this.#say("reconnecting");
    if (message.kind === "ended") return this.#fail("ended");
    if (message.kind === "beat") {
      if (isNewer) setClock(parsePosition(this.position).ms);
      this.#failures = 0;
    }
    this.#hear({ ...message, position: this.position, isNewer });
    if (message.kind === "beat") this.#say("live");
  }

  #fail(state) {
    this.#events?.close();
    this.#events = null;
    this.#failures += 1;
    const pause = PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length) - 1];
    // Jitter, so that not all browsers reconnect at once after an outage.
    this.#timer = setTimeout(() => this.#open(), pause * (0.5 + Math.random()));
    if (state) this.#say(state);
    else if (this.#failures < ASKED_AFTER) this.#say("reconnecting");
    else this.#ask();
  }

  // Find out why it fails; EventSource itself doesn't tell.
  async #ask() {
    const before = this.#failures;
    const state = await this.#reason();
    if (!this.#isOver && this.#failures >= before && this.#failures) this.#say(state);
  }

  async #reason() {
    const address = new URL(this.#address, location.href);
    address.searchParams.set("check", "1");
    try {
      const answer = await fetch(address, { headers: this.#headers ?? {}, cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (answer.status === 403) return "ended";
      return answer.ok && this.#failures >= GIVEN_UP_AFTER ? "polling" : "reconnecting";
    } catch {
      return "offline";
    }
  }

  #say(state) {
    if (this.#isOver) return;
    this.#hear({ kind: "state", state });
  }
}

// A point in time. Sleep stops the monotonic clock and the wall clock may be set, so check both.
export class Moment {
  #date = Date.now(); #ticks = performance.now();

  isOver(ms) {
    return Math.max(Date.now() - this.#date, performance.now() - this.#ticks) >= ms;
  }
}
