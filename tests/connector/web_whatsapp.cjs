// A browser at an origin, as far as a passkey's script uses one. Reads {script, origin, credential} from stdin: credential is what the
// authenticator answers, in WebAuthn's JSON, or null where it refuses. Prints {asked, shown}: what the page asked the authenticator for,
// its bytes in hexadecimal, and what it shows after a click.

const vm = require("node:vm");

const fromBase64Url = (text) => new Uint8Array(Buffer.from(text, "base64url")).buffer;

function browser(origin, credential) {
  const body = [];
  const asked = [];
  const element = (tag) => ({
    tag,
    style: {},
    select() {},
    replaceWith(other) {
      body[body.indexOf(this)] = other;
    },
  });
  const get = async ({ publicKey }) => {
    asked.push(JSON.parse(JSON.stringify(publicKey, (_, value) => hexadecimal(value))));
    if (credential === null) throw new Error("The operation was not allowed.");
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    return {
      ...credential,
      rawId: fromBase64Url(credential.rawId),
      response: {
        clientDataJSON: fromBase64Url(clientDataJSON),
        authenticatorData: fromBase64Url(authenticatorData),
        signature: fromBase64Url(signature),
        userHandle: userHandle && fromBase64Url(userHandle),
      },
    };
  };
  const document = { createElement: element, body: { append: (one) => body.push(one) } };
  const globals = { document, location: { origin }, navigator: { credentials: { get } }, atob, btoa };
  return { body, asked, globals };
}

const hexadecimal = (value) =>
  value?.constructor?.name === "Uint8Array" ? Buffer.from(Object.values(value)).toString("hex") : value;

async function main() {
  const { script, origin, credential } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const { body, asked, globals } = browser(origin, credential);
  try {
    vm.runInNewContext(script, globals);
  } catch (error) {
    process.stdout.write(JSON.stringify({ asked, shown: error.message }));
    return;
  }
  const [button] = body;
  await button.onclick();
  const [shown] = body;
  process.stdout.write(JSON.stringify({ asked, shown: shown.value ?? shown.textContent }));
}

main();
