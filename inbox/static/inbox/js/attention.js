// Whether the agent is present: they have interacted with the page recently.
const AWAY_AFTER_MS = 5 * 60_000;
let touched = Date.now();
// A screen reader or dictation may send nothing but a click or input; isTrusted rules out scripts.
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "click", "input"]) {
  addEventListener(kind, ({ isTrusted }) => { if (isTrusted) touched = Date.now(); }, { capture: true, passive: true });
}

export const isAway = () => Date.now() - touched > AWAY_AFTER_MS;
