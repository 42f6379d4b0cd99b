// Whether somebody is there: they have touched the page lately.
const AWAY_AFTER_MS = 5 * 60_000;
let touched = Date.now();
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
  addEventListener(kind, () => { touched = Date.now(); }, { capture: true, passive: true });
}

export const isAway = () => Date.now() - touched > AWAY_AFTER_MS;
