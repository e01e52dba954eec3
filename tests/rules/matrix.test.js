// Every actor, in every collection, with every operation: who passes stands in the table, everyone else is denied.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  collection,
  collectionGroup,
  deleteDoc,
  doc,
  getCountFromServer,
  getDocFromServer,
  getDocsFromServer,
  setDoc,
  updateDoc,
} from "firebase/firestore";
import {
  ACCOUNT,
  ALICE,
  ALICE_EMAIL,
  actorsOf,
  CHAT,
  createRequest,
  requestFields,
  seed,
  startEnvironment,
  THREAD,
  threadFields,
  verdict,
} from "./environment.js";

const EMPLOYEES = ["employee", "otherEmployee", "superAdmin"];
const SUPER_ADMIN = ["superAdmin"];
const OWNER = ["employee"]; // Alice, whose the seeded outbox document and the prefs are
const NOBODY = [];

const REQUEST_ID = `${THREAD}_seeded`;

// Each class: a document that stands, its fields, and who may do what. An operation that is not named is nobody's.
const CLASSES = [
  {
    path: `whatsapp_accounts/${ACCOUNT}`,
    fields: { name: "Sales", status: "connected" },
    may: { get: EMPLOYEES, list: EMPLOYEES },
  },
  {
    path: `whatsapp_accounts/${ACCOUNT}/private/state`,
    fields: { qrCodeDataUrl: "data:," },
    may: { get: SUPER_ADMIN },
  },
  {
    path: `whatsapp_accounts/${ACCOUNT}/private/other`,
    fields: { secret: 1 },
    may: {},
  },
  {
    path: `whatsapp_account_leases/${ACCOUNT}`,
    fields: { ownerInstanceId: "w" },
    may: { get: SUPER_ADMIN, list: SUPER_ADMIN },
  },
  {
    path: "whatsapp_alerts/alert",
    fields: { type: "not_sent" },
    may: { get: SUPER_ADMIN, list: SUPER_ADMIN },
  },
  {
    path: `whatsapp_threads/${THREAD}`,
    fields: threadFields(ACCOUNT, CHAT),
    may: { get: EMPLOYEES, list: EMPLOYEES },
  },
  {
    path: `whatsapp_messages/${THREAD}_3EB0AA`,
    fields: { text: "hello" },
    may: { get: EMPLOYEES, list: EMPLOYEES },
  },
  {
    path: `whatsapp_ingest/${THREAD}_3EB0AA-in`,
    fields: { processed: false },
    may: {},
  },
  {
    path: "whatsapp_lookups/number_0",
    fields: { chatId: CHAT },
    may: {},
  },
  {
    path: `whatsapp_outbox/${REQUEST_ID}`,
    fields: { ...requestFields({ createdAt: new Date() }), createdByUid: ALICE },
    may: { get: OWNER },
  },
  {
    path: `users/${ALICE}/whatsapp_thread_prefs/${THREAD}`,
    fields: { pinned: false },
    change: { pinned: true },
    may: { get: OWNER, list: OWNER, create: OWNER, update: OWNER, delete: OWNER },
  },
  { path: `users/${ALICE}`, fields: { name: "Alice" }, may: {} },
  { path: `users/${ALICE}/others/one`, fields: { name: "Alice" }, may: {} },
  { path: `users/${ALICE}/whatsapp_thread_prefs/${THREAD}/below/one`, fields: { a: 1 }, may: {} },
  { path: `whatsapp_threads/${THREAD}/below/one`, fields: { a: 1 }, may: {} },
  { path: `whatsapp_messages/m/below/one`, fields: { a: 1 }, may: {} },
  { path: `whatsapp_outbox/${REQUEST_ID}/below/one`, fields: { a: 1 }, may: {} },
  { path: "whatsapp_unheard_of/one", fields: { a: 1 }, may: {} },
];

const OPERATIONS = {
  get: (db, { path }) => getDocFromServer(doc(db, path)),
  list: (db, { path }) => getDocsFromServer(collection(db, parentOf(path))),
  count: (db, { path }) => getCountFromServer(collection(db, parentOf(path))),
  create: (db, { path, fields, change }) =>
    setDoc(doc(collection(db, parentOf(path))), change ?? fields),
  overwrite: (db, { path, fields, change }) => setDoc(doc(db, path), change ?? fields),
  update: (db, { path, change }) => updateDoc(doc(db, path), change ?? { status: "failed" }),
  delete: (db, { path }) => deleteDoc(doc(db, path)),
  "collection group": (db, { path }) =>
    getDocsFromServer(collectionGroup(db, parentOf(path).split("/").at(-1))),
};

/** Whoever may list may count; whoever may update may overwrite. */
const IMPLIED_BY = { count: "list", overwrite: "update" };

function parentOf(path) {
  return path.slice(0, path.lastIndexOf("/"));
}

async function whoMay(actors, operation) {
  const names = [];
  for (const [name, db] of Object.entries(actors)) {
    if ((await verdict(operation(db))) === "allowed") names.push(name);
  }
  return names;
}

let environment;
let actors;

before(async () => {
  environment = await startEnvironment("demo-rules-matrix");
  actors = actorsOf(environment);
  await seed(environment, Object.fromEntries(CLASSES.map(({ path, fields }) => [path, fields])));
});

after(() => environment.cleanup());

for (const entry of CLASSES) {
  describe(entry.path.replace(THREAD, "{threadId}"), () => {
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      const allowed = entry.may[name] ?? entry.may[IMPLIED_BY[name]] ?? NOBODY;
      test(`${name}: ${allowed.join(", ") || "nobody"}`, async () => {
        assert.deepEqual(await whoMay(actors, (db) => operation(db, entry)), allowed);
        await seed(environment, { [entry.path]: entry.fields }); // a delete that was allowed
      });
    }
  });
}

test("a request of one's own is created by employees alone", async () => {
  const uidOf = { employee: ALICE, otherEmployee: "bob", superAdmin: "root" };
  const names = [];
  for (const [name, db] of Object.entries(actors)) {
    const uid = uidOf[name] ?? name.toLowerCase();
    const fields = requestFields({ createdByUid: uid, createdByEmail: `${uid}@example.com` });
    if ((await verdict(createRequest(db, fields))) === "allowed") names.push(name);
  }
  assert.deepEqual(names, EMPLOYEES);
});

test("an employee whose role was taken no longer sees the own request", async () => {
  const former = environment.authenticatedContext(ALICE, { email: ALICE_EMAIL }).firestore();
  assert.equal(
    await verdict(getDocFromServer(doc(former, "whatsapp_outbox", REQUEST_ID))),
    "denied",
  );
});
