// Live listeners as promises: what a person's app shows, and waiting until it shows something.
import { onSnapshot } from "firebase/firestore";

/** A step of the demo that did not happen in time, or went wrong. */
export class StepFailed extends Error {}

/** Keeps the latest state of a listener; each change is told to `tell`. */
export class Watch {
  #waiting = new Set();
  #error = null;

  /** `tell(snapshot, before)` returns the state that `until` sees. */
  constructor(target, tell) {
    this.state = undefined;
    onSnapshot(
      target,
      (snapshot) => {
        this.state = tell(snapshot, this.state);
        for (const check of [...this.#waiting]) check();
      },
      (error) => {
        this.#error = error;
        for (const check of [...this.#waiting]) check();
      },
    );
  }

  /** The state once it holds what is wanted. Fails after `seconds` with the step's name. */
  until(step, wanted, seconds = 30) {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.state !== undefined && wanted(this.state);
        if (!found && this.#error === null) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        if (found) resolve(this.state);
        else reject(new StepFailed(`${step}: the listener ended with ${this.#error.code}`));
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new StepFailed(`${step}: did not happen within ${seconds} s`));
      }, seconds * 1000);
      this.#waiting.add(check);
      check();
    });
  }
}

/** The result of something that takes a while. Fails after `seconds` with the step's name. */
export async function within(step, promise, seconds = 30) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new StepFailed(`${step}: did not happen within ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    throw error instanceof StepFailed ? error : new StepFailed(`${step}: ${error.message}`);
  } finally {
    clearTimeout(timer);
  }
}
