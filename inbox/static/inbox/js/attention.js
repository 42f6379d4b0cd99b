// Whether somebody is there: they have touched the page lately.
const AWAY_AFTER_MS = 5 * 60_000;
let touched = Date.now();
// A screen reader or dictation may send no more than a click, or words; scripts click as well.
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "click", "input"]) {
  addEventListener(kind, ({ isTrusted }) => { if (isTrusted) touched = Date.now(); }, { capture: true, passive: true });
}

export const isAway = () => Date.now() - touched > AWAY_AFTER_MS;
