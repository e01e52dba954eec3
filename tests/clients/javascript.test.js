// The JavaScript of docs/clients.md, as it stands there, against the vectors and against the rules.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { doc, getDocFromServer, writeBatch } from "firebase/firestore";
import {
  ACCOUNT,
  ALICE,
  ALICE_EMAIL,
  as,
  CHAT,
  requestFields,
  seed,
  startEnvironment,
  THREAD,
  threadFields,
} from "../rules/environment.js";

const VECTORS = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8"));
const USER = { uid: ALICE, email: ALICE_EMAIL };

/** Imports the document's snippet from a file inside the project, where its imports are found. */
async function documentedClient() {
  const document = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
  const snippets = [...document.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);
  assert.equal(snippets.length, 1, "docs/clients.md holds one JavaScript snippet");
  const folder = new URL("../../out/clients/", import.meta.url);
  const file = new URL(`snippet-${process.pid}.mjs`, folder);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, snippets[0]);
  try {
    return await import(file);
  } finally {
    rmSync(fileURLToPath(file));
  }
}

let environment;
let client;
let alice;

before(async () => {
  client = await documentedClient();
  environment = await startEnvironment("demo-clients");
  alice = as(environment, ALICE, { email: ALICE_EMAIL, role: "employee" });
  const threads = VECTORS.map(({ threadId, accountId, chatId }) => [
    `whatsapp_threads/${threadId}`,
    threadFields(accountId, chatId),
  ]);
  await seed(environment, Object.fromEntries(threads));
});

after(() => environment?.cleanup());

describe("newClientMessageId", () => {
  const sequences = JSON.parse(readFileSync(new URL("message_ids.json", import.meta.url), "utf8"));
  const TAKEN = /^[A-Za-z0-9_-]{1,64}$/;

  for (const { name, ids } of sequences) {
    test(`${name}: the ids ascend, and are the vector's`, () => {
      const made = ids.map(({ nowMs, random }) => client.newClientMessageId(nowMs, random));
      assert.deepEqual(
        made,
        ids.map(({ clientMessageId }) => clientMessageId),
      );
      assert.deepEqual(made.toSorted(), made);
      assert.equal(new Set(made).size, made.length);
      for (const id of made) assert.match(id, TAKEN);
    });
  }

  test("five messages of one batch leave in the order in which they were written", async () => {
    const texts = ["one", "two", "three", "four", "five"];
    const batch = writeBatch(alice);
    const requests = [];
    for (const text of texts) {
      const clientMessageId = client.newClientMessageId();
      const fields = requestFields({ text, clientMessageId });
      const request = doc(alice, "whatsapp_outbox", await client.requestIdOf(fields));
      batch.set(request, fields);
      requests.push(request);
    }
    await batch.commit();
    const standing = await Promise.all(requests.map((request) => getDocFromServer(request)));
    const leaves = standing
      .map((request) => request.data())
      .sort(
        (one, other) =>
          one.createdAt.toMillis() - other.createdAt.toMillis() ||
          (one.clientMessageId < other.clientMessageId ? -1 : 1),
      );
    assert.equal(new Set(leaves.map(({ createdAt }) => createdAt.valueOf())).size, 1);
    assert.deepEqual(
      leaves.map(({ text }) => text),
      texts,
    );
  });
});

describe("each vector", () => {
  for (const vector of VECTORS) {
    test(`${vector.name}: the ids, and the rules take the request, once`, async () => {
      assert.equal(vector.text.length, vector.utf16Units);
      assert.equal(await client.requestIdOf(vector), vector.requestId);
      assert.equal(
        await client.waMessageIdOf(vector.threadId, vector.requestId),
        vector.waMessageId,
      );

      const send = () => client.sendText(alice, USER, vector, vector.text, vector.clientMessageId);
      assert.equal(await send(), vector.requestId);
      const request = doc(alice, "whatsapp_outbox", vector.requestId);
      const first = (await getDocFromServer(request)).data();
      assert.equal(first.text, vector.text);
      assert.equal(await send(), vector.requestId, "a replay is success");
      assert.deepEqual((await getDocFromServer(request)).data(), first);
    });
  }
});

describe("sendText", () => {
  const thread = { accountId: ACCOUNT, chatId: CHAT };

  test("refuses an empty text and one of 4,097 units before it asks", async () => {
    for (const text of ["", "x".repeat(4097)]) {
      await assert.rejects(client.sendText(alice, USER, thread, text, "length"), RangeError);
    }
  });

  test("says so when the request was refused: no such thread", async () => {
    const missing = { accountId: ACCOUNT, chatId: "40700000009@s.whatsapp.net" };
    await assert.rejects(client.sendText(alice, USER, missing, "Good morning", "missing"), {
      code: "permission-denied",
    });
  });

  test("does not take a colleague's request for its own", async () => {
    const bob = { uid: "bob", email: "bob@example.com" };
    const bobs = as(environment, bob.uid, { email: bob.email, role: "employee" });
    await client.sendText(bobs, bob, thread, "Good morning", "shared");
    await assert.rejects(client.sendText(alice, USER, thread, "Good morning", "shared"), {
      code: "permission-denied",
    });
  });
});

test("listen tells of the request and of the message, from before they exist", async (context) => {
  const fields = { threadId: THREAD, to: CHAT, text: "Good evening", clientMessageId: "listen" };
  const requestId = await client.requestIdOf(fields);
  const messageId = await client.waMessageIdOf(THREAD, requestId);
  let latest = {};
  let wake = () => {};
  const end = await client.listen(
    alice,
    THREAD,
    requestId,
    (state) => {
      latest = { ...state };
      wake();
    },
    (error) => {
      latest = { failed: error };
      wake();
    },
  );
  context.after(end);
  const until = async (expected) => {
    while (Object.entries(expected).some(([field, value]) => latest[field] !== value)) {
      assert.equal(latest.failed, undefined);
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
  };

  await client.sendText(alice, USER, { accountId: ACCOUNT, chatId: CHAT }, fields.text, "listen");
  await until({ status: "queued", delivery: undefined });
  await seed(environment, {
    [`whatsapp_messages/${messageId}`]: { delivery: "delivered", error: null },
    [`whatsapp_outbox/${requestId}`]: { createdByUid: ALICE, status: "sent", lastError: null },
  });
  await until({ status: "sent", delivery: "delivered" });
});
