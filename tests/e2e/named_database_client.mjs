// A client app whose Threadline is in the database "threadline": the Firebase SDK, under the security rules.
// node named_database_client.mjs SETTINGS: prints "written", or the code of the refusal.
import { initializeApp } from "firebase/app";
import {
  connectFirestoreEmulator,
  doc,
  getFirestore,
  serverTimestamp,
  setDoc,
  setLogLevel,
  terminate,
} from "firebase/firestore";

const { project, host, port, database, user, id, request } = JSON.parse(process.argv[2]);
setLogLevel("silent");

const db = getFirestore(initializeApp({ projectId: project }), database);
connectFirestoreEmulator(db, host, port, { mockUserToken: user });
try {
  await setDoc(doc(db, "whatsapp_outbox", id), { ...request, createdAt: serverTimestamp() });
  console.log("written");
} catch (error) {
  console.log(error.code);
}
await terminate(db);
