// Runs before the first paint, so that a chosen theme never flashes. Not a module on purpose.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* storage is off: follow the system */ }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
