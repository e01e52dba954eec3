// The lists of docs/clients.md, as they stand there: the rules allow them to employees, and they show what their names say.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { getDocsFromServer, Timestamp } from "firebase/firestore";
import { ALICE, as, assertDenied, BOB, seed, startEnvironment } from "../rules/environment.js";

const OTHER = "support-2";
const AT = (minute) => Timestamp.fromMillis(Date.UTC(2026, 0, 1, 9, minute));

const thread = (accountId, minute, fields) => ({
  accountId,
  lastMessageAt: AT(minute),
  ownerUid: null,
  unreadCountGlobal: 0,
  ...fields,
});
const message = (minute, fields) => ({
  threadId: "a",
  timestamp: AT(minute),
  createdAt: AT(minute),
  senderUid: null,
  delivery: null,
  ...fields,
});

const DOCUMENTS = {
  "whatsapp_threads/a": thread("sales-1", 1, { ownerUid: ALICE, unreadCountGlobal: 1 }),
  "whatsapp_threads/b": thread("sales-1", 2, { ownerUid: BOB }),
  "whatsapp_threads/c": thread(OTHER, 3, { ownerUid: ALICE }),
  "whatsapp_threads/d": thread(OTHER, 4, { unreadCountGlobal: 7 }),
  // As the functions leave a thread that was merged (tests/backend/test_merge.py): without lastMessageAt.
  "whatsapp_threads/former": {
    accountId: "sales-1",
    ownerUid: ALICE,
    unreadCountGlobal: 0,
    mergedInto: "a",
  },
  "whatsapp_messages/a1": message(1),
  "whatsapp_messages/a2": message(2, { senderUid: ALICE, delivery: "failed" }),
  "whatsapp_messages/a3": message(3, { senderUid: ALICE, delivery: "read" }),
  "whatsapp_messages/b1": message(4, { threadId: "b", senderUid: ALICE, delivery: "failed" }),
  "whatsapp_messages/b2": message(5, { threadId: "b", senderUid: BOB, delivery: "failed" }),
};

const SHOWN = {
  threads: { of: [], ids: ["d", "c", "b", "a"] },
  threadsOfAccount: { of: ["sales-1"], ids: ["b", "a"] },
  myThreads: { of: [{ uid: ALICE }], ids: ["c", "a"] },
  unreadThreads: { of: [], ids: ["d", "a"] },
  messagesOfThread: { of: ["a", ["b"]], ids: ["b2", "b1", "a3", "a2", "a1"] },
  myFailedMessages: { of: [{ uid: ALICE }], ids: ["b1", "a2"] },
};

async function documentedLists() {
  const document = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
  const [snippet] = [...document.matchAll(/^```js lists\n(.*?)^```$/gms)].map((match) => match[1]);
  const folder = new URL("../../out/clients/", import.meta.url);
  const file = new URL(`lists-${process.pid}.mjs`, folder);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, snippet);
  try {
    return await import(file);
  } finally {
    rmSync(fileURLToPath(file));
  }
}

let environment;
let lists;

before(async () => {
  lists = await documentedLists();
  environment = await startEnvironment("demo-lists");
  await seed(environment, DOCUMENTS);
});

after(() => environment?.cleanup());

test("each documented list is tested here", () => {
  assert.deepEqual(Object.keys(lists).sort(), Object.keys(SHOWN).sort());
});

for (const [name, { of, ids }] of Object.entries(SHOWN)) {
  test(`${name}: newest first, to employees alone`, async () => {
    for (const role of ["employee", "superAdmin"]) {
      const found = await getDocsFromServer(lists[name](as(environment, ALICE, { role }), ...of));
      assert.deepEqual(
        found.docs.map(({ id }) => id),
        ids,
      );
    }
    const stranger = as(environment, "stranger", {});
    await assertDenied(getDocsFromServer(lists[name](stranger, ...of)));
  });
}
