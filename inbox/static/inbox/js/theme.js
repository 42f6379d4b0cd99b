// Runs before the first paint, so that a chosen theme or width doesn't flash. Deliberately no module.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const theme = kept("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  for (const pane of ["list", "side"]) {
    const width = Number(kept(`width-${pane}`));
    if (width) root.style.setProperty(`--width-${pane}`, `${width}px`);
  }
})();
