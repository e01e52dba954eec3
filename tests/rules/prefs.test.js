// A user's own settings of a thread: which fields they may hold, and that they are nobody else's.
import { after, before, describe, test } from "node:test";
import {
  arrayUnion,
  deleteDoc,
  deleteField,
  doc,
  getDocFromServer,
  getDocsFromServer,
  serverTimestamp,
  setDoc,
  Timestamp,
  updateDoc,
} from "firebase/firestore";
import {
  ALICE,
  as,
  assertAllowed,
  assertDenied,
  seed,
  startEnvironment,
  THREAD,
} from "./environment.js";

const PREFS = "whatsapp_thread_prefs";

let environment;
let alice;
let prefs;

before(async () => {
  environment = await startEnvironment("demo-rules-prefs");
  alice = as(environment, ALICE, { role: "employee" });
  prefs = doc(alice, "users", ALICE, "whatsapp_thread_prefs", THREAD);
});

after(() => environment.cleanup());

describe("taken", () => {
  const taken = {
    nothing: {},
    "lastReadAt by the server's clock": { lastReadAt: serverTimestamp() },
    "lastReadAt of a message": { lastReadAt: Timestamp.fromMillis(1) },
    pinned: { pinned: true },
    muted: { muted: false },
    "a label of 100 units": { customLabel: "x".repeat(100) },
    "an empty label": { customLabel: "" },
    "all of them": { lastReadAt: Timestamp.now(), pinned: false, muted: true, customLabel: "VIP" },
  };
  for (const [name, fields] of Object.entries(taken)) {
    test(name, () => assertAllowed(setDoc(prefs, fields)));
  }

  test("a field at a time, and taking one out again", async () => {
    await assertAllowed(setDoc(prefs, { customLabel: "VIP" }, { merge: true }));
    await assertAllowed(updateDoc(prefs, { pinned: true }));
    await assertAllowed(updateDoc(prefs, { customLabel: deleteField() }));
  });
});

describe("refused", () => {
  const refused = {
    "a field that the schema does not know": { colour: "red" },
    "lastReadAt as a number": { lastReadAt: 1 },
    "lastReadAt as text": { lastReadAt: "2026-01-01T00:00:00Z" },
    "a null lastReadAt": { lastReadAt: null },
    "pinned as text": { pinned: "true" },
    "pinned as a number": { pinned: 1 },
    "a null pinned": { pinned: null },
    "muted as a map": { muted: { until: 1 } },
    "a null muted": { muted: null },
    "a label of 101 units": { customLabel: "x".repeat(101) },
    "a label of 51 emoji, two units each": { customLabel: "😀".repeat(51) },
    "a label as a list": { customLabel: ["VIP"] },
    "a label by array union": { customLabel: arrayUnion("VIP") },
    "a null label": { customLabel: null },
  };
  for (const [name, fields] of Object.entries(refused)) {
    test(`${name}, when created`, async () => {
      const fresh = doc(alice, "users", ALICE, "whatsapp_thread_prefs", `${THREAD}-${name}`);
      await assertDenied(setDoc(fresh, fields));
    });
    test(`${name}, when changed`, async () => {
      await assertAllowed(setDoc(prefs, { pinned: false }));
      await assertDenied(updateDoc(prefs, fields));
    });
  }

  test("a colleague's, a super-admin's and a stranger's hand", async () => {
    const strangers = [
      as(environment, "bob", { role: "employee" }),
      as(environment, "root", { role: "superAdmin" }),
      environment.unauthenticatedContext().firestore(),
    ];
    for (const db of strangers) {
      await assertDenied(
        setDoc(doc(db, "users", ALICE, "whatsapp_thread_prefs", THREAD), { pinned: true }),
      );
    }
  });
});

test("a super-admin has prefs too", async () => {
  const root = as(environment, "root", { role: "superAdmin" });
  await assertAllowed(
    setDoc(doc(root, "users", "root", "whatsapp_thread_prefs", THREAD), { pinned: true }),
  );
});

describe("a user who is signed in without a role", () => {
  const strangers = {
    "anonymously signed in": { firebase: { sign_in_provider: "anonymous" } },
    "without a role": { email: "stranger@example.com" },
    "with a role that is none": { role: "manager" },
    "with a list of roles": { role: ["employee"] },
  };
  for (const [name, token] of Object.entries(strangers)) {
    test(`${name}: no prefs under the own uid`, async () => {
      const own = doc(as(environment, "stranger", token), "users", "stranger", PREFS, THREAD);
      await assertDenied(setDoc(own, { pinned: true }));
      await assertDenied(getDocFromServer(own));
      await assertDenied(deleteDoc(own));
      await seed(environment, { [own.path]: { pinned: true } });
      await assertDenied(updateDoc(own, { pinned: false }));
      await assertDenied(getDocsFromServer(own.parent));
    });
  }
});
