// Passes the code to the frame that opened this window. Only a page of our own origin receives it.
const done = document.getElementById("connect-done");
if (done && window.opener) {
  window.opener.postMessage({ kind: "frame-code", code: done.dataset.code }, location.origin);
}
addEventListener("message", ({ origin, data }) => {
  if (origin === location.origin && data?.kind === "frame-connected") window.close();
});
// If the browser separates windows from frames, no message arrives: show the code for copying.
if (done) setTimeout(() => { document.getElementById("connect-by-hand").open = true; }, 3000);
