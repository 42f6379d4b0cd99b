// Passkeys: a button with data-passkey="get" or "create" asks the browser for one and submits its
// form with the answer in the field "credential". The options come from a JSON script on the page
// (data-options) or from the server (data-url).
const supported = "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;

async function optionsOf(button) {
  if (!button.dataset.url) return JSON.parse(document.getElementById(button.dataset.options).textContent);
  const answer = await fetch(button.dataset.url, { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return (await answer.json()).request_options;
}

async function credential(verb, { publicKey }) {
  if (verb === "get") {
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
  }
  // A passkey proper: it names its account, and asks for a PIN, face or fingerprint.
  const authenticatorSelection = { ...publicKey.authenticatorSelection, residentKey: "required", requireResidentKey: true, userVerification: "required" };
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON({ ...publicKey, authenticatorSelection }) });
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-passkey]");
  if (!button || button.disabled) return;
  const { form } = button;
  const error = form.querySelector("[data-passkey-error]");
  error.hidden = true;
  button.disabled = true;
  try {
    if (!supported) throw new TypeError("passkeys");
    form.elements.credential.value = JSON.stringify(await credential(button.dataset.passkey, await optionsOf(button)));
    form.requestSubmit();
  } catch (refused) {
    error.textContent = refused instanceof TypeError ? error.dataset.unsupported : error.dataset.canceled;
    error.hidden = false;
  } finally {
    button.disabled = false;
  }
});
