import type { RbdsrError } from '../../base/error.ts';

/** The questions on one connection that have no answer yet. When it is lost, all of them fail with the same error. */
export class PendingAnswers<T> {
  readonly #waiting = new Map<number, { resolve(answer: T): void; reject(error: RbdsrError): void }>();
  #failure: RbdsrError | undefined;
  #last = 0;

  get isFailed(): boolean {
    return this.#failure !== undefined;
  }

  get keys(): readonly number[] {
    return [...this.#waiting.keys()];
  }

  /** With a number that no other question on this connection has. */
  add(): { readonly key: number; readonly answer: Promise<T> } {
    this.#last += 1;
    return { key: this.#last, answer: this.addNamed(this.#last) };
  }

  addNamed(key: number): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      if (this.#failure === undefined) this.#waiting.set(key, { resolve, reject });
      else reject(this.#failure);
    });
    // Who has stopped waiting for it is not asked.
    answer.catch(() => undefined);
    return answer;
  }

  forget(key: number): void {
    this.#waiting.delete(key);
  }

  /** Nothing, where nobody waits. */
  settle(key: number, answer: T): void {
    this.#waiting.get(key)?.resolve(answer);
    this.#waiting.delete(key);
  }

  fail(error: RbdsrError): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}
