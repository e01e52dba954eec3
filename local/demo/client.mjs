// The people's side of the demo: a super-admin pairs an account, an employee talks with a contact, all through the real
// Firebase SDK and the security rules. Started by local.demo with its settings as JSON in DEMO_SETTINGS.
import { writeFileSync } from "node:fs";
import { collection, doc, orderBy, query, where } from "firebase/firestore";
import { signIn } from "./firebase_clients.mjs";
import { Network } from "./network.mjs";
import { writeRequest } from "./outbox.mjs";
import { modulesOf, scan } from "./qr.mjs";
import { drawModules, print, say, ticks } from "./screen.mjs";
import { StepFailed, Watch, within } from "./watching.mjs";

const GREETING = "Hello! Do you still have a table for two tonight? 🙂";
const REPLY = "Good evening! Yes, at 19:30 by the window. Shall I book it?";
const ANSWER = "Perfect, please do. Thank you!";

const settings = JSON.parse(process.env.DEMO_SETTINGS);
const { account, contact } = settings;
const network = new Network(settings.network);

async function main() {
  const [admin, employee] = await within(
    "Signing in",
    Promise.all([signIn(settings, settings.superAdmin), signIn(settings, settings.employee)]),
  );
  say("super-admin", `signed in as ${admin.user.email}, role ${admin.role}`);
  say("employee", `signed in as ${employee.user.email}, role ${employee.role}`);

  const accountId = await createAccount(admin);
  const shownAccount = watchAccount(employee, accountId);
  await pair(admin, accountId, shownAccount);

  const threads = watchThreads(employee, accountId);
  const messages = watchMessages(employee, accountId);
  const requestId = await talk(employee, threads, messages);

  writeFileSync(
    settings.resultFile,
    JSON.stringify({ accountId, requestId, inbound: [GREETING, ANSWER], outbound: [REPLY] }),
  );
}

async function createAccount(admin) {
  const created = admin.call("threadlineCreateAccount", { name: account.name });
  const { accountId } = await within("Creating the account", created);
  say("super-admin", `created the account "${account.name}" (${accountId})`);
  return accountId;
}

function watchAccount(employee, accountId) {
  return new Watch(doc(employee.db, "whatsapp_accounts", accountId), (snapshot, before) => {
    const now = snapshot.data() ?? {};
    if (now.status !== before?.status) say("account", `status ${now.status}`);
    return now;
  });
}

async function pair(admin, accountId, shownAccount) {
  const secrets = new Watch(
    doc(admin.db, "whatsapp_accounts", accountId, "private", "state"),
    (snapshot) => snapshot.data() ?? {},
  );
  await within("Asking for a QR code", admin.call("threadlinePairAccount", { accountId }));
  const { qrCodeDataUrl } = await secrets.until("The QR code", (state) => state.qrCodeDataUrl);
  say("super-admin", "sees the QR code; only super-admins may read it");
  drawModules(modulesOf(qrCodeDataUrl));
  await within("Scanning the QR code", network.scan(account.phone, scan(qrCodeDataUrl)));
  say("phone", `${account.phone} scanned it: linked devices, link a device`);
  const { phoneE164 } = await shownAccount.until(
    "The account's connection",
    (state) => state.status === "connected" && state.phoneE164,
  );
  say("account", `connected as ${phoneE164}`);
}

function watchThreads(employee, accountId) {
  const ofAccount = query(
    collection(employee.db, "whatsapp_threads"),
    where("accountId", "==", accountId),
    orderBy("lastMessageAt", "desc"),
  );
  return new Watch(ofAccount, (snapshot) => {
    for (const { type, doc: thread } of snapshot.docChanges()) {
      if (type === "added") {
        say("employee", `sees a new thread: ${thread.get("clientDisplayName") ?? "a contact"}`);
      }
    }
    return snapshot.docs.map((thread) => thread.data());
  });
}

function watchMessages(employee, accountId) {
  const shown = new Map();
  const ofAccount = query(
    collection(employee.db, "whatsapp_messages"),
    where("accountId", "==", accountId),
  );
  return new Watch(ofAccount, (snapshot) => {
    for (const { doc: message } of snapshot.docChanges()) {
      tellMessage(message.data(), shown);
    }
    return snapshot.docs.map((message) => message.data());
  });
}

function tellMessage(message, shown) {
  const known = shown.has(message.waMessageId);
  if (known && shown.get(message.waMessageId) === message.delivery) return;
  shown.set(message.waMessageId, message.delivery);
  if (message.direction === "in") say("employee", `sees ${contact.name}: ${message.text}`);
  else say("employee", `sees ${ticks(message.delivery)}  ${message.text}`);
}

/** One conversation: the contact writes, the employee replies, the contact reads and answers. Returns the reply's requestId. */
async function talk(employee, threads, messages) {
  await within("Adding the contact", network.addContact(contact));
  await within("Writing as the contact", network.write(contact, account.phone, GREETING));
  say("contact", `${contact.name} writes: ${GREETING}`);
  await messages.until("The contact's message", hasInbound(GREETING));
  const [thread] = await threads.until("The thread", ([first]) => first?.unreadCountGlobal === 1);

  await within("Setting the network's pace", network.beUnhurried(account.phone));
  const { reference, written } = await writeRequest(employee.db, employee.user, thread, REPLY);
  say("employee", `writes the outbox document: ${REPLY}`);
  const request = new Watch(reference, (snapshot, before) => {
    const now = snapshot.data() ?? {};
    if (now.status !== before?.status) say("employee", `sees the outbox document ${now.status}`);
    return now;
  });
  await within("Writing the outbox document", written);
  await request.until("The request's way to sent", ({ status }) => status === "sent", 60);
  await messages.until("The tick for sent", hasDelivery(["sent", "delivered", "read"]));
  await messages.until("The ticks for delivered", hasDelivery(["delivered", "read"]));
  await within("Reading as the contact", network.read(contact, account.phone));
  say("contact", `${contact.name} opens the chat`);
  await messages.until("The ticks for read", hasDelivery(["read"]));

  await within("Answering as the contact", network.write(contact, account.phone, ANSWER));
  say("contact", `${contact.name} answers: ${ANSWER}`);
  await messages.until("The contact's answer", hasInbound(ANSWER));
  await threads.until("The thread's unread count", ([first]) => first?.unreadCountGlobal === 1);
  return reference.id;
}

const hasInbound = (text) => (messages) =>
  messages.some((message) => message.direction === "in" && message.text === text);

const hasDelivery = (deliveries) => (messages) =>
  messages.some((message) => message.direction === "out" && deliveries.includes(message.delivery));

try {
  await main();
  if (settings.once) process.exit(0);
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  print(`\n✗ ${error.message}`);
  process.exit(1);
}
