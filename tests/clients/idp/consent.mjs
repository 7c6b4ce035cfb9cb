// The consent of the user: grants everything, except for scopes that a test withholds. Keeps a record of the requested and
// the granted scopes.

/** Limit of the record; older decisions are dropped. */
const MAX_DECISIONS = 1000;

/** What a request for a withheld scope gets: a token without it (RFC 6749 §3.3), or `access_denied` (§4.1.2.1). */
export const ANSWERS = ['narrow', 'deny'];

export class Consent {
  #withheld = new Set();

  #answer = 'narrow';

  #decisions = [];

  /** Withholds these scopes from now on, and no others; clears the record. */
  withhold(scopes, answer) {
    this.#decisions = [];
    this.#withheld = new Set(scopes);
    this.#answer = answer;
  }

  /** The granted ones of the requested scopes, or undefined when the request is denied. */
  decide(asked) {
    const agreed = asked.filter((scope) => !this.#withheld.has(scope));
    const granted = agreed.length < asked.length && this.#answer === 'deny' ? undefined : agreed;
    this.#decisions = [...this.#decisions, { asked, granted: granted ?? [] }].slice(-MAX_DECISIONS);
    return granted;
  }

  /** Each decision so far, the oldest first. */
  read() {
    return this.#decisions;
  }
}
