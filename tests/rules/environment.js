// What the rules tests share: an emulator with the project's rules, the actors, sample ids and requests.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { initializeTestEnvironment } from "@firebase/rules-unit-testing";
import { doc, serverTimestamp, setDoc, setLogLevel } from "firebase/firestore";

setLogLevel("silent"); // a denied write is logged as a warning, and most of these tests want one

export const ALICE = "alice";
export const BOB = "bob";
export const ROOT = "root";
export const ALICE_EMAIL = "alice@example.com";

export const ACCOUNT = "sales-1";
export const CHAT = "40712345678@s.whatsapp.net";
export const THREAD = `${ACCOUNT}_${CHAT}`;
export const OTHER_CHAT = "40787654321@s.whatsapp.net";
export const OTHER_THREAD = `${ACCOUNT}_${OTHER_CHAT}`;

/**
 * Starts from nothing, with the rules as they stand unless `change` changes them. Each test file takes a project of its own,
 * so files run side by side.
 */
export async function startEnvironment(projectId, change = (rules) => rules) {
  const address = process.env.FIRESTORE_EMULATOR_HOST;
  assert.ok(
    address,
    "FIRESTORE_EMULATOR_HOST is not set: run these tests under the Firestore emulator",
  );
  const { hostname, port } = new URL(`http://${address}`);
  const rules = readFileSync(new URL("../../firestore.rules", import.meta.url), "utf8");
  const environment = await initializeTestEnvironment({
    projectId,
    firestore: { host: hostname, port: Number(port), rules: change(rules) },
  });
  await environment.clearFirestore();
  return environment;
}

/** Firestore as this user sees it; `token` holds claims. */
export function as(environment, uid, token) {
  return environment.authenticatedContext(uid, token).firestore();
}

/** Everyone who may ask, by name. */
export function actorsOf(environment) {
  const email = (uid) => `${uid}@example.com`;
  const withRole = (uid, role) => as(environment, uid, { email: email(uid), role });
  return {
    signedOut: environment.unauthenticatedContext().firestore(),
    noRole: as(environment, "norole", { email: email("norole") }),
    roleNull: withRole("rolenull", null),
    roleTrue: withRole("roletrue", true),
    roleList: withRole("rolelist", ["employee", "superAdmin"]),
    roleMap: withRole("rolemap", { employee: true, superAdmin: true }),
    roleOther: withRole("roleother", "manager"),
    roleMisspelt: withRole("rolemisspelt", "SuperAdmin"),
    employee: withRole(ALICE, "employee"),
    otherEmployee: withRole(BOB, "employee"),
    superAdmin: withRole(ROOT, "superAdmin"),
  };
}

/** 'allowed' or 'denied'; whatever else goes wrong is thrown, so that a broken test is not taken for a closed rule. */
export async function verdict(operation) {
  try {
    await operation;
    return "allowed";
  } catch (error) {
    if (error.code === "permission-denied") return "denied";
    throw error;
  }
}

export async function assertAllowed(operation, message) {
  assert.equal(await verdict(operation), "allowed", message);
}

export async function assertDenied(operation, message) {
  assert.equal(await verdict(operation), "denied", message);
}

/** Writes documents past the rules, as the server does: {path: fields}. */
export async function seed(environment, documents) {
  await environment.withSecurityRulesDisabled(async (context) => {
    const db = context.firestore();
    await Promise.all(
      Object.entries(documents).map(([path, fields]) => setDoc(doc(db, path), fields)),
    );
  });
}

export function threadFields(accountId, chatId, fields = {}) {
  return {
    threadId: `${accountId}_${chatId}`,
    accountId,
    chatId,
    locked: false,
    ownerUid: null,
    coWriterUids: [],
    ...fields,
  };
}

let created = 0;

/** The fields of a request that the rules take from Alice. `undefined` leaves a field out. */
export function requestFields(changes = {}) {
  created += 1;
  const fields = {
    threadId: THREAD,
    accountId: ACCOUNT,
    chatId: CHAT,
    to: CHAT,
    text: "Good morning",
    clientMessageId: `m${created}`,
    createdByUid: ALICE,
    createdByEmail: ALICE_EMAIL,
    createdAt: serverTimestamp(),
    status: "queued",
    ...changes,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The fields of a request into another thread. */
export function requestInto(accountId, chatId, changes = {}) {
  return requestFields({
    threadId: `${accountId}_${chatId}`,
    accountId,
    chatId,
    to: chatId,
    ...changes,
  });
}

export function digestOf({ threadId, to, text, clientMessageId }) {
  return createHash("sha256").update(`${threadId}|${to}|${text}|${clientMessageId}`).digest("hex");
}

export function requestIdOf(fields) {
  return `${fields.threadId}_${digestOf(fields)}`;
}

/** Creates a request under the id that its fields ask for, unless another is given. */
export function createRequest(db, fields, requestId = requestIdOf(fields)) {
  return setDoc(doc(db, "whatsapp_outbox", requestId), fields);
}
