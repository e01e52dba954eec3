// What the rules take into the outbox, clause by clause, and the tricks that they must not fall for.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  arrayUnion,
  collection,
  deleteDoc,
  doc,
  getCountFromServer,
  getDocFromServer,
  getDocsFromServer,
  increment,
  onSnapshot,
  query,
  runTransaction,
  setDoc,
  Timestamp,
  updateDoc,
  where,
  writeBatch,
} from "firebase/firestore";
import {
  ACCOUNT,
  ALICE,
  ALICE_EMAIL,
  as,
  assertAllowed,
  assertDenied,
  BOB,
  CHAT,
  createRequest,
  digestOf,
  OTHER_CHAT,
  OTHER_THREAD,
  ROOT,
  requestFields,
  requestIdOf,
  requestInto,
  seed,
  startEnvironment,
  THREAD,
  threadFields,
  verdict,
} from "./environment.js";

const LID_CHAT = "123456789012345@lid";

let environment;
let alice;
let bob;
let root;

before(async () => {
  environment = await startEnvironment("demo-rules-outbox");
  alice = as(environment, ALICE, { email: ALICE_EMAIL, role: "employee" });
  bob = as(environment, BOB, { email: "bob@example.com", role: "employee" });
  root = as(environment, ROOT, { email: "root@example.com", role: "superAdmin" });
  await seedThread(ACCOUNT, CHAT);
  await seedThread(ACCOUNT, OTHER_CHAT);
  await seedThread(ACCOUNT, LID_CHAT);
});

after(() => environment.cleanup());

function seedThread(accountId, chatId, fields) {
  return seed(environment, {
    [`whatsapp_threads/${accountId}_${chatId}`]: threadFields(accountId, chatId, fields),
  });
}

function asked(uid, changes) {
  return requestFields({ createdByUid: uid, createdByEmail: `${uid}@example.com`, ...changes });
}

function ownRequest(db, requestId) {
  return doc(db, "whatsapp_outbox", requestId);
}

/** The first answer of a listener that comes from the server and not from the client's cache. */
function firstFromServer(reference) {
  return new Promise((resolve, reject) => {
    const unsubscribe = onSnapshot(
      reference,
      { includeMetadataChanges: true },
      (snapshot) => {
        if (snapshot.metadata.fromCache || snapshot.metadata.hasPendingWrites) return;
        unsubscribe();
        resolve(snapshot);
      },
      reject,
    );
  });
}

describe("a proper request is taken", () => {
  const proper = {
    "as it is": {},
    "with attempts 0": { attempts: 0 },
    "with a text of one unit": { text: "a" },
    "with a text of 4,096 units": { text: "x".repeat(4096) },
    "with a text of 2,048 emoji, two units each": { text: "😀".repeat(2048) },
    "with '|', line ends and right-to-left text": { text: "a|b\r\nשלום\n" },
    "with a composed umlaut": { text: "\u00fc" },
    "with a decomposed umlaut": { text: "u\u0308" },
    "with a clientMessageId of one character": { clientMessageId: "a" },
    "with resend- within a clientMessageId": { clientMessageId: "my-resend-1" },
    "with a clientMessageId of 64 characters": { clientMessageId: `A_z-9${"0".repeat(59)}` },
  };
  for (const [name, changes] of Object.entries(proper)) {
    test(name, () => assertAllowed(createRequest(alice, requestFields(changes))));
  }

  test("into a chat that is known by its LID", () =>
    assertAllowed(createRequest(alice, requestInto(ACCOUNT, LID_CHAT))));

  test("of an account whose id is 64 characters long", async () => {
    const account = `A-z${"0".repeat(61)}`;
    await seedThread(account, CHAT);
    await assertAllowed(createRequest(alice, requestInto(account, CHAT)));
  });

  test("of a super-admin", () => assertAllowed(createRequest(root, asked(ROOT))));
});

describe("forged fields are refused", () => {
  const anHourAgo = Timestamp.fromMillis(Date.now() - 3_600_000);
  const forged = {
    "another's uid": { createdByUid: BOB },
    "no uid": { createdByUid: undefined },
    "a null uid": { createdByUid: null },
    "another's e-mail": { createdByEmail: "bob@example.com" },
    "no e-mail": { createdByEmail: undefined },
    "a null e-mail": { createdByEmail: null },
    "an e-mail in other letters": { createdByEmail: ALICE_EMAIL.toUpperCase() },
    "a status that is not queued": { status: "sent" },
    "the status sending": { status: "sending" },
    "no status": { status: undefined },
    "a status in a list": { status: ["queued"] },
    "a past createdAt": { createdAt: anHourAgo },
    "the client's own clock as createdAt": { createdAt: Timestamp.now() },
    "no createdAt": { createdAt: undefined },
    "a null createdAt": { createdAt: null },
    "attempts below 0": { attempts: -1 },
    "attempts above 0": { attempts: 1 },
    "attempts 0.0": { attempts: -0 }, // the SDK sends -0 as a double, which equals 0
    "null attempts": { attempts: null },
    "attempts by increment": { attempts: increment(1) },
    "no text": { text: undefined },
    "an empty text": { text: "" },
    "a text of 4,097 units": { text: "x".repeat(4097) },
    "a text of 2,049 emoji": { text: "😀".repeat(2049) },
    "a null text": { text: null },
    "a number as text": { text: 12345 },
    "a list as text": { text: ["Good morning"] },
    "a map as text": { text: { text: "Good morning" } },
    "a text by array union": { text: arrayUnion("Good morning") },
    "no clientMessageId": { clientMessageId: undefined },
    "an empty clientMessageId": { clientMessageId: "" },
    "a clientMessageId of 65 characters": { clientMessageId: "a".repeat(65) },
    "a clientMessageId with a space": { clientMessageId: "a b" },
    "a clientMessageId with '|'": { clientMessageId: "a|b" },
    "a clientMessageId with a slash": { clientMessageId: "a/b" },
    "a clientMessageId with a dot": { clientMessageId: "a.b" },
    "a clientMessageId with a line end": { clientMessageId: "ab\n" },
    "a clientMessageId with an umlaut": { clientMessageId: "ü" },
    "a clientMessageId of what is sent again": { clientMessageId: "resend-0011223344556677" },
    "the bare prefix of what is sent again as clientMessageId": { clientMessageId: "resend-" },
    "a number as clientMessageId": { clientMessageId: 7 },
    "no threadId": { threadId: undefined },
    "no accountId": { accountId: undefined },
    "a list as accountId": { accountId: [ACCOUNT] },
    "no chatId": { chatId: undefined },
    "a map as chatId": { chatId: { id: CHAT } },
    "no to": { to: undefined },
    "an empty to": { to: "" },
    "a list as to": { to: [CHAT] },
    "the bare number as to": { to: "+40712345678" },
    "another chat as to": { to: OTHER_CHAT },
    "another chat as to and chatId": { to: OTHER_CHAT, chatId: OTHER_CHAT },
    "another account": { accountId: "sales-2" },
  };
  for (const [name, changes] of Object.entries(forged)) {
    test(name, () => assertDenied(createRequest(alice, requestFields(changes))));
  }

  const serverFields = {
    dedupeKey: digestOf(requestFields()),
    waMessageKey: "3EB000112233445566778899",
    media: { type: "image" },
    lastError: "none",
    lastTriedAt: null,
    claimUntil: null,
    expireAt: anHourAgo,
    requestId: "mine",
    replyTo: null,
    heldBy: null,
    decision: "markSent",
    decidedAt: anHourAgo,
    decidedByUid: ALICE,
    decidedByEmail: null,
    resendOf: `${THREAD}_${"0".repeat(64)}`,
    resentAs: `${THREAD}_${"0".repeat(64)}`,
  };
  for (const [field, value] of Object.entries(serverFields)) {
    test(`the server's field ${field}`, () =>
      assertDenied(createRequest(alice, requestFields({ [field]: value }))));
  }

  // An event of more than 512 KB reaches no function: no field can make a client's request that large.
  for (const field of [...Object.keys(requestFields()), "attempts", "note"]) {
    test(`half a mebibyte as ${field}`, () =>
      assertDenied(
        createRequest(alice, requestFields({ [field]: "x".repeat(512 * 1024) }), `${THREAD}_x`),
      ));
  }

  test("a uid and an e-mail of one's own are refused under a colleague's session", () =>
    assertDenied(createRequest(bob, requestFields())));
});

describe("a user without an e-mail address cannot ask", () => {
  const changes = { "left out": undefined, null: null, empty: "" };
  for (const [name, createdByEmail] of Object.entries(changes)) {
    test(`createdByEmail ${name}`, async () => {
      const withoutEmail = as(environment, ALICE, { role: "employee" });
      await assertDenied(createRequest(withoutEmail, requestFields({ createdByEmail })));
      const withNull = as(environment, ALICE, { role: "employee", email: null });
      await assertDenied(createRequest(withNull, requestFields({ createdByEmail })));
    });
  }
});

describe("the id must be the request's own", () => {
  const otherIds = {
    "a hash of nothing": (fields) => `${fields.threadId}_${"0".repeat(64)}`,
    "an upper-case hash": (fields) => `${fields.threadId}_${digestOf(fields).toUpperCase()}`,
    "the hash alone": (fields) => digestOf(fields),
    "another thread's prefix": (fields) => `${OTHER_THREAD}_${digestOf(fields)}`,
    "no underscore": (fields) => `${fields.threadId}${digestOf(fields)}`,
    "something behind it": (fields) => `${requestIdOf(fields)}0`,
    "another text's": (fields) => requestIdOf({ ...fields, text: "Good evening" }),
    "another clientMessageId's": (fields) => requestIdOf({ ...fields, clientMessageId: "other" }),
    "another thread's": (fields) => requestIdOf({ ...fields, threadId: OTHER_THREAD }),
    "another recipient's": (fields) => requestIdOf({ ...fields, to: OTHER_CHAT }),
    "the text's with a space behind": (fields) => requestIdOf({ ...fields, text: "Good morning " }),
  };
  for (const [name, idOf] of Object.entries(otherIds)) {
    test(name, () => {
      const fields = requestFields();
      return assertDenied(createRequest(alice, fields, idOf(fields)));
    });
  }

  test("a decomposed text does not pass under the composed one's id", () => {
    const fields = requestFields({ text: "Gr\u00fc\u00dfe" });
    const decomposed = { ...fields, text: fields.text.normalize("NFD") };
    return assertDenied(createRequest(alice, decomposed, requestIdOf(fields)));
  });

  test("'|' moved between text and clientMessageId gives no second request under one id", () => {
    const fields = requestFields({ text: "a|b", clientMessageId: "c" });
    const moved = { ...fields, text: "a", clientMessageId: "b|c" };
    assert.equal(requestIdOf(fields), requestIdOf(moved));
    return assertDenied(createRequest(alice, moved, requestIdOf(fields)));
  });
});

describe("the thread must exist and be the one that the request names", () => {
  test("no request goes into a thread that does not exist", async () => {
    const missing = "40700000001@s.whatsapp.net";
    await assertDenied(createRequest(alice, requestInto(ACCOUNT, missing)));
  });

  test("nor does a super-admin's", async () => {
    const missing = "40700000001@s.whatsapp.net";
    const fields = requestInto(ACCOUNT, missing, {
      createdByUid: ROOT,
      createdByEmail: "root@example.com",
    });
    await assertDenied(createRequest(root, fields));
  });

  test("a batch cannot bring the thread along", async () => {
    const chat = "40700000002@s.whatsapp.net";
    const fields = requestInto(ACCOUNT, chat);
    const batch = writeBatch(alice);
    batch.set(doc(alice, "whatsapp_threads", fields.threadId), threadFields(ACCOUNT, chat));
    batch.set(ownRequest(alice, requestIdOf(fields)), fields);
    await assertDenied(batch.commit());
  });

  test("not even where clients could write threads: what a batch brings is not read", async (context) => {
    const laxer = await startEnvironment("demo-rules-open-threads", (rules) =>
      rules.replace(/(match \/whatsapp_threads\/\{threadId\} \{\s+allow read)/, "$1, write"),
    );
    context.after(() => laxer.cleanup());
    const db = as(laxer, ALICE, { email: ALICE_EMAIL, role: "employee" });
    const fields = requestFields();
    const batch = writeBatch(db);
    batch.set(doc(db, "whatsapp_threads", THREAD), threadFields(ACCOUNT, CHAT));
    batch.set(ownRequest(db, requestIdOf(fields)), fields);
    await assertDenied(batch.commit());

    await assertAllowed(setDoc(doc(db, "whatsapp_threads", THREAD), threadFields(ACCOUNT, CHAT)));
    await assertAllowed(createRequest(db, fields));
  });

  test("a batch cannot unlock the thread first", async () => {
    const chat = "40700000003@s.whatsapp.net";
    await seedThread(ACCOUNT, chat, { locked: true, ownerUid: BOB });
    const fields = requestInto(ACCOUNT, chat);
    const batch = writeBatch(alice);
    batch.update(doc(alice, "whatsapp_threads", fields.threadId), { locked: false });
    batch.set(ownRequest(alice, requestIdOf(fields)), fields);
    await assertDenied(batch.commit());
  });

  const inconsistent = {
    "whose document names another account": { accountId: "sales-2" },
    "whose document names no account": { accountId: null },
    "whose document names another chat": { chatId: OTHER_CHAT },
    "whose document names no chat": { chatId: null },
  };
  for (const [name, fields] of Object.entries(inconsistent)) {
    test(`a thread ${name}`, async () => {
      const chat = "40700000004@s.whatsapp.net";
      await seedThread(ACCOUNT, chat);
      await seed(environment, {
        [`whatsapp_threads/${ACCOUNT}_${chat}`]: { ...threadFields(ACCOUNT, chat), ...fields },
      });
      await assertDenied(createRequest(alice, requestInto(ACCOUNT, chat)));
      const asTheDocumentSays = requestInto(ACCOUNT, chat, { to: fields.chatId ?? chat });
      await assertDenied(createRequest(alice, asTheDocumentSays));
    });
  }

  test("a thread under an id that is not made of its account and chat", async () => {
    await seed(environment, { "whatsapp_threads/odd": threadFields(ACCOUNT, CHAT) });
    await assertDenied(createRequest(alice, requestFields({ threadId: "odd" })));
  });

  const oddAccounts = {
    "with an underscore": "sales_1",
    "with a dot": "sales.1",
    "with a space": "sales 1",
    "with an umlaut": "bür",
    "that is empty": "",
    "of 65 characters": "a".repeat(65),
  };
  for (const [name, account] of Object.entries(oddAccounts)) {
    test(`an account id ${name}, though a thread of that name exists`, async () => {
      await seedThread(account, CHAT);
      await assertDenied(createRequest(alice, requestInto(account, CHAT)));
    });
  }

  test("a thread id with slashes reaches no other document", async () => {
    await seed(environment, {
      [`whatsapp_threads/${ACCOUNT}_x/below/one`]: threadFields(ACCOUNT, "x/below/one"),
    });
    const fields = requestInto(ACCOUNT, "x/below/one");
    const requestId = requestIdOf(fields).replaceAll("/", "-");
    await assertDenied(createRequest(alice, fields, requestId));
  });
});

describe("a locked thread takes requests from its owner, co-writers and super-admins only", () => {
  const locked = { locked: true, ownerUid: "owner", coWriterUids: ["writer-1", "writer-2"] };
  const cases = [
    ["open", { locked: false }, ["owner", "writer-2", "other", ROOT]],
    ["locked", locked, ["owner", "writer-2", ROOT]],
    ["locked without an owner", { ...locked, ownerUid: null }, ["writer-2", ROOT]],
    ["locked without co-writers", { ...locked, coWriterUids: [] }, ["owner", ROOT]],
    ["locked with no list of co-writers", { ...locked, coWriterUids: null }, ["owner", ROOT]],
    [
      "open and owned by another",
      { ...locked, locked: false },
      ["owner", "writer-2", "other", ROOT],
    ],
    [
      "that does not say whether it is locked",
      { ...locked, locked: null },
      ["owner", "writer-2", ROOT],
    ],
    ["that says so in a word", { ...locked, locked: "false" }, ["owner", "writer-2", ROOT]],
  ];
  const chat = "40700000005@s.whatsapp.net";
  for (const [name, fields, expected] of cases) {
    test(`a thread ${name}: ${expected.join(", ")}`, async () => {
      await seedThread(ACCOUNT, chat, fields);
      const allowed = [];
      for (const uid of ["owner", "writer-2", "other", ROOT]) {
        const role = uid === ROOT ? "superAdmin" : "employee";
        const email = `${uid}@example.com`;
        const db = as(environment, uid, { email, role });
        const request = requestInto(ACCOUNT, chat, { createdByUid: uid, createdByEmail: email });
        if ((await verdict(createRequest(db, request))) === "allowed") allowed.push(uid);
      }
      assert.deepEqual(allowed, expected);
    });
  }

  test("a request to a merged thread is accepted as the thread allows that it was merged into", async () => {
    const former = "40700000006@s.whatsapp.net";
    const writers = { locked: true, ownerUid: "owner", coWriterUids: [] };
    const mergedInto = `${ACCOUNT}_${LID_CHAT}`;
    const allowed = async (before, now) => {
      await seedThread(ACCOUNT, former, { ...before, mergedInto });
      await seedThread(ACCOUNT, LID_CHAT, now);
      return verdict(createRequest(alice, requestInto(ACCOUNT, former)));
    };
    assert.equal(await allowed(writers, { locked: false }), "allowed");
    assert.equal(await allowed({ locked: false }, writers), "denied");
    assert.equal(await allowed({ locked: false }, { ...writers, ownerUid: ALICE }), "allowed");
    await seedThread(ACCOUNT, LID_CHAT, {});
    await seedThread(ACCOUNT, former, { mergedInto: `${ACCOUNT}_99999999@lid` });
    assert.equal(await verdict(createRequest(alice, requestInto(ACCOUNT, former))), "denied");
  });

  test("a thread that says that it was merged into none takes requests", async () => {
    await seedThread(ACCOUNT, chat, { mergedInto: null });
    await assertAllowed(createRequest(alice, requestInto(ACCOUNT, chat)));
  });

  test("the owner of a locked thread still needs a role", async () => {
    await seedThread(ACCOUNT, chat, { locked: true, ownerUid: ALICE, coWriterUids: [ALICE] });
    const withoutRole = as(environment, ALICE, { email: ALICE_EMAIL });
    await assertDenied(createRequest(withoutRole, requestInto(ACCOUNT, chat)));
  });
});

describe("a request is written once", () => {
  test("a replay is denied, and the own document answers that the first one stands", async () => {
    const fields = requestFields();
    const requestId = requestIdOf(fields);
    await assertAllowed(createRequest(alice, fields));
    const first = await getDocFromServer(ownRequest(alice, requestId));
    await assertDenied(createRequest(alice, fields));
    const second = await getDocFromServer(ownRequest(alice, requestId));
    assert.equal(second.data().createdByUid, ALICE);
    assert.deepEqual(second.data(), first.data());
  });

  test("a replay after the server has taken the request up sets nothing back", async () => {
    const fields = requestFields();
    const path = `whatsapp_outbox/${requestIdOf(fields)}`;
    await assertAllowed(createRequest(alice, fields));
    await seed(environment, { [path]: { ...fields, status: "sent", attempts: 1 } });
    await assertDenied(createRequest(alice, fields));
    assert.equal((await getDocFromServer(doc(alice, path))).data().status, "sent");
  });

  test("a colleague can neither overwrite nor read it", async () => {
    const fields = requestFields();
    const requestId = requestIdOf(fields);
    await assertAllowed(createRequest(alice, fields));
    const bobs = { ...fields, createdByUid: BOB, createdByEmail: "bob@example.com" };
    await assertDenied(setDoc(ownRequest(bob, requestId), bobs));
    await assertDenied(getDocFromServer(ownRequest(bob, requestId)));
    await assertDenied(getDocFromServer(ownRequest(root, requestId)));
  });

  test("its creator can change nothing in it", async () => {
    const fields = requestFields();
    const reference = ownRequest(alice, requestIdOf(fields));
    await assertAllowed(createRequest(alice, fields));
    await assertDenied(updateDoc(reference, { status: "queued" }));
    await assertDenied(updateDoc(reference, { text: "Good evening" }));
    await assertDenied(setDoc(reference, { attempts: 0 }, { merge: true }));
    await assertDenied(deleteDoc(reference));
    await assertDenied(
      runTransaction(alice, async (transaction) => {
        await transaction.get(reference);
        transaction.set(reference, fields);
      }),
    );
  });

  test("it cannot be deleted and created anew in one batch", async () => {
    const fields = requestFields();
    const reference = ownRequest(alice, requestIdOf(fields));
    await assertAllowed(createRequest(alice, fields));
    const batch = writeBatch(alice);
    batch.delete(reference);
    batch.set(reference, fields);
    await assertDenied(batch.commit());
  });

  test("it cannot be created and changed in one batch", async () => {
    const fields = requestFields();
    const reference = ownRequest(alice, requestIdOf(fields));
    const batch = writeBatch(alice);
    batch.set(reference, fields);
    batch.update(reference, { status: "sent" });
    await assertDenied(batch.commit());
  });
});

describe("what a creator may read", () => {
  test("a request that does not exist is missing, not denied", async () => {
    const missing = ownRequest(alice, requestIdOf(requestFields()));
    assert.equal((await getDocFromServer(missing)).exists(), false);
  });

  test("and that much is told to employees only", async () => {
    const withoutRole = as(environment, ALICE, { email: ALICE_EMAIL });
    await assertDenied(getDocFromServer(ownRequest(withoutRole, "missing")));
  });

  test("a request that names no creator is nobody's", async () => {
    await seed(environment, {
      "whatsapp_outbox/by-a-server-key": { text: "x" },
      "whatsapp_outbox/by-null": { text: "x", createdByUid: null },
    });
    for (const requestId of ["by-a-server-key", "by-null"]) {
      for (const db of [alice, root])
        await assertDenied(getDocFromServer(ownRequest(db, requestId)));
    }
  });

  test("a listener on a request that is yet to be written sees it appear", async () => {
    const fields = requestFields();
    const reference = ownRequest(alice, requestIdOf(fields));
    assert.equal((await firstFromServer(reference)).exists(), false);
    await assertAllowed(createRequest(alice, fields));
    assert.equal((await firstFromServer(reference)).data().status, "queued");
  });

  test("a listener on a colleague's request is refused", async () => {
    const fields = requestFields();
    await assertAllowed(createRequest(alice, fields));
    await assertDenied(firstFromServer(ownRequest(bob, requestIdOf(fields))));
  });

  test("no list, not even of one's own", async () => {
    const outbox = collection(alice, "whatsapp_outbox");
    const own = query(outbox, where("createdByUid", "==", ALICE));
    await assertDenied(getDocsFromServer(own));
    await assertDenied(getCountFromServer(own));
    await assertDenied(getDocsFromServer(query(outbox, where("threadId", "==", THREAD))));
  });
});

describe("batches", () => {
  // One read of each thread by the rules, and twenty at most for a batch.
  async function batchOver(threads) {
    const batch = writeBatch(alice);
    for (let number = 0; number < threads; number += 1) {
      const chat = `4079${String(number).padStart(7, "0")}@s.whatsapp.net`;
      await seedThread(ACCOUNT, chat);
      const fields = requestInto(ACCOUNT, chat);
      batch.set(ownRequest(alice, requestIdOf(fields)), fields);
    }
    return batch.commit();
  }

  test("a batch into eleven threads passes", () => assertAllowed(batchOver(11)));
  test("a batch into twenty threads passes", () => assertAllowed(batchOver(20)));
  test("a batch into twenty-one threads is refused", () => assertDenied(batchOver(21)));

  test("a hundred requests into one thread pass together", async () => {
    const batch = writeBatch(alice);
    for (let number = 0; number < 100; number += 1) {
      const fields = requestFields();
      batch.set(ownRequest(alice, requestIdOf(fields)), fields);
    }
    await assertAllowed(batch.commit());
  });

  test("one forged request takes the whole batch with it", async () => {
    const good = requestFields();
    const forged = requestFields({ status: "sent" });
    const batch = writeBatch(alice);
    batch.set(ownRequest(alice, requestIdOf(good)), good);
    batch.set(ownRequest(alice, requestIdOf(forged)), forged);
    await assertDenied(batch.commit());
    assert.equal((await getDocFromServer(ownRequest(alice, requestIdOf(good)))).exists(), false);
  });
});
