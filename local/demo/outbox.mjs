// How a client asks for a message to be sent: one document under an id that proves its content.
import { doc, serverTimestamp, setDoc } from "firebase/firestore";

/** requestId = threadId + "_" + the hex SHA-256 of threadId|to|text|clientMessageId in UTF-8. */
export async function requestIdOf(threadId, to, text, clientMessageId) {
  const content = new TextEncoder().encode([threadId, to, text, clientMessageId].join("|"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return `${threadId}_${[...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Writes the request and returns its document; the promise in `written` is the server's answer. */
export async function writeRequest(db, user, thread, text) {
  const clientMessageId = crypto.randomUUID();
  const to = thread.chatId;
  const requestId = await requestIdOf(thread.threadId, to, text, clientMessageId);
  const reference = doc(db, "whatsapp_outbox", requestId);
  const written = setDoc(reference, {
    threadId: thread.threadId,
    accountId: thread.accountId,
    chatId: thread.chatId,
    to,
    text,
    clientMessageId,
    createdByUid: user.uid,
    createdByEmail: user.email,
    createdAt: serverTimestamp(),
    status: "queued",
  });
  return { reference, written };
}
