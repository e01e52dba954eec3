// Firebase as a person's app has it: signed in by e-mail and password, talking to the emulators.
import { initializeApp } from "firebase/app";
import { connectAuthEmulator, getAuth, signInWithEmailAndPassword } from "firebase/auth";
import { connectFirestoreEmulator, getFirestore, setLogLevel } from "firebase/firestore";
import { connectFunctionsEmulator, getFunctions, httpsCallable } from "firebase/functions";

setLogLevel("error");

/** Signs a person in; returns the user, the database and a way to call functions. */
export async function signIn(settings, person) {
  const app = initializeApp({ projectId: settings.projectId, apiKey: "demo" }, person.email);
  const auth = getAuth(app);
  connectAuthEmulator(auth, `http://${settings.auth}`, { disableWarnings: true });
  const db = getFirestore(app);
  connectFirestoreEmulator(db, ...hostAndPort(settings.firestore));
  const functions = getFunctions(app, settings.region);
  connectFunctionsEmulator(functions, ...hostAndPort(settings.functions));
  const { user } = await signInWithEmailAndPassword(auth, person.email, person.password);
  const { claims } = await user.getIdTokenResult();
  return {
    user,
    role: claims.role,
    db,
    call: async (name, data) => (await httpsCallable(functions, name)(data)).data,
  };
}

function hostAndPort(address) {
  const [host, port] = address.split(":");
  return [host, Number(port)];
}
