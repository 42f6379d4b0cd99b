// The changes this page has received, newest last: for views that were being fetched at the time,
// and for tabs that open later.
import { parsePosition } from "./clock.js";

const KEPT = 500;
const events = []; // {n, at, topics, heardAt}
const known = new Set(); // their numbers
// Every past event from this position on has been received.
let floor = parsePosition(document.documentElement.dataset.livePosition).at || Infinity;

// Records an event; false if it is known. A reopened stream repeats some events.
export function remember({ n, at, topics }) {
  if (known.has(n)) return false;
  known.add(n);
  events.push({ n, at, topics, heardAt: performance.now() });
  if (events.length > KEPT) {
    const gone = events.shift();
    known.delete(gone.n);
    floor = Math.max(floor, gone.at + 1);
  }
  return true;
}

// Events before `at` were missed for good: the page reloads everything.
export function forget(at = Infinity) {
  floor = at || Infinity;
}

// The stream has delivered everything up to here.
export function reached(at) {
  if (floor === Infinity) floor = at;
}

// The events from a position on; null if some of them were not received here.
export function since(at) {
  return at < floor ? null : events.filter((event) => event.at >= at);
}

// Whether one of the topics changed while an element was being fetched. `at`: the element's
// position; `askedAt`: when it was requested, as far as that is known.
export function wasMissed(topics, at, askedAt) {
  return events.some((event) => event.at >= at && event.heardAt > askedAt
    && event.topics.some((topic) => topics.includes(topic)));
}
