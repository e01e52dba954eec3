// Runs in the browser's console on web.whatsapp.com, since a passkey signs only for the page that it belongs to.
// Shows a button, because a browser asks for a passkey only where somebody clicks in the page, and then the answer.
// biome-ignore lint/correctness/noUnusedVariables: the pasted script ends with its call (passkey.py)
function signForThreadline(request) {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");

  const sign = async () => {
    const publicKey = {
      ...request,
      challenge: bytes(request.challenge),
      allowCredentials: request.allowCredentials.map((one) => ({ ...one, id: bytes(one.id) })),
    };
    const { id, rawId, type, response } = await navigator.credentials.get({ publicKey });
    const { clientDataJSON, authenticatorData, signature, userHandle } = response;
    return JSON.stringify({
      id,
      rawId: text(rawId),
      type,
      response: {
        clientDataJSON: text(clientDataJSON),
        authenticatorData: text(authenticatorData),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      },
    });
  };

  if (location.origin !== "https://web.whatsapp.com") {
    throw new Error("Open https://web.whatsapp.com, and paste this into the console there.");
  }
  const place = {
    position: "fixed",
    inset: "20px 20px auto",
    zIndex: "2147483647",
    height: "160px",
    background: "#ffffff",
    color: "#000000",
  };
  const button = document.createElement("button");
  const answer = document.createElement("textarea");
  Object.assign(button.style, place);
  Object.assign(answer.style, place);
  button.textContent = "Sign for Threadline with the passkey";
  button.onclick = async () => {
    try {
      answer.value = await sign();
      button.replaceWith(answer);
      answer.select();
    } catch (error) {
      button.textContent = `The browser did not sign: ${error.message} Click to try again.`;
    }
  };
  document.body.append(button);
}
