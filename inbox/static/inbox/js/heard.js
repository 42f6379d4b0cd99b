// The changes this page has heard of, newest last: for views that were on their way meanwhile, and
// for tabs that come later.
import { parsePosition } from "./clock.js";

const KEPT = 500;
const events = []; // {n, at, topics, heardAt}
const known = new Set(); // their numbers
// Every event from here on was heard, unless it is still to come.
let floor = parsePosition(document.documentElement.dataset.livePosition).at || Infinity;

// Whether it is news. A stream that was opened again tells some events twice.
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

// Something before `at` was not told, and will not be: all is looked at again.
export function forget(at = Infinity) {
  floor = at || Infinity;
}

// The stream was told up to here.
export function reached(at) {
  if (floor === Infinity) floor = at;
}

// What came from a position on; null: it was not all heard here.
export function since(at) {
  return at < floor ? null : events.filter((event) => event.at >= at);
}

// Of what one element shows: whether it was announced while the element was on its way. `at`: its
// position; `askedAt`: when it was asked for, as far as that is known.
export function wasMissed(topics, at, askedAt) {
  return events.some((event) => event.at >= at && event.heardAt > askedAt
    && event.topics.some((topic) => topics.includes(topic)));
}
