// Links with data-dialog open in the page's only <dialog>; without JavaScript they are pages.
const dialog = document.getElementById("dialog");
const content = document.getElementById("dialog-content");
const skeleton = document.getElementById("dialog-skeleton");
const SKELETON_AFTER_MS = 120;
let opener = null;
let timer = 0;
let wanted = 0; // Incremented on each close: a request made before it must not open the dialog.

function forget() {
  wanted += 1;
  clearTimeout(timer);
}

function open() {
  if (!dialog.open) dialog.showModal();
}

function focusStart() {
  const first = content.querySelector("[aria-invalid=true]")
    ?? content.querySelector("[data-focus]")
    ?? content.querySelector("h1, h2");
  if (!first) return;
  if (first.matches("h1, h2, [data-focus]:not(input, select, textarea, button, a)")) first.tabIndex = -1;
  first.focus({ preventScroll: true });
  content.querySelector(".sheet-body")?.scrollTo(0, 0);
}

function close() {
  if (dialog.open) dialog.close();
}

if (dialog) {
  document.addEventListener("htmx:beforeRequest", ({ detail, target }) => {
    if (detail.target !== content) return;
    detail.requestConfig.dialogTurn = wanted;
    if (dialog.open) {
      setBusy(target, true);
      return;
    }
    opener = target;
    timer = setTimeout(() => {
      content.replaceChildren(skeleton.content.cloneNode(true));
      open();
    }, SKELETON_AFTER_MS);
  });

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target !== content) return;
    // Closed since: the request completes on the server, but the dialog must not pop up again.
    if (detail.requestConfig.dialogTurn !== wanted) detail.shouldSwap = false;
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== content) return;
    clearTimeout(timer);
    if (!content.childElementCount) return close();
    open();
    focusStart();
  });

  document.addEventListener("htmx:afterRequest", ({ detail, target }) => {
    if (detail.target !== content) return;
    setBusy(target, false);
    // Closed since: if a skeleton is showing, it belongs to a later request.
    if (detail.requestConfig.dialogTurn !== wanted) return;
    clearTimeout(timer);
    if (!detail.successful && dialog.open && content.querySelector(".skeleton")) close();
  });

  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-dialog-close]");
    if (closer && dialog.contains(closer)) {
      event.preventDefault();
      close();
    }
  });

  // Another conversation or customer replaces this one.
  document.addEventListener("inbox:leave", () => {
    forget();
    opener = null;
    close();
  });

  dialog.addEventListener("close", () => {
    forget();
    content.replaceChildren();
    // No link opened it, or its view is gone: the browser restores the focus.
    if (!opener) return;
    // A morph may have replaced the opener: find the new one by its URL.
    const target = opener.isConnected ? opener : document.querySelector(`[href="${CSS.escape(opener.getAttribute("href") ?? "")}"]`);
    (target ?? document.querySelector("#panel h2"))?.focus();
    opener = null;
  });
}

// Shows and announces at once that a confirmed action is in progress.
function setBusy(form, isBusy) {
  const button = form?.querySelector?.("button[data-busy-label]");
  if (!button) return;
  const label = button.querySelector("[data-label]") ?? button;
  if (isBusy && !button.dataset.idleLabel) {
    button.dataset.idleLabel = label.textContent;
    label.textContent = button.dataset.busyLabel;
    button.dataset.busy = "";
    document.dispatchEvent(new CustomEvent("inbox:announce", { detail: button.dataset.busyLabel }));
  } else if (!isBusy && button.dataset.idleLabel && button.isConnected) {
    label.textContent = button.dataset.idleLabel;
    delete button.dataset.idleLabel;
    delete button.dataset.busy;
  }
}
