// Controls and observations of a test from outside: the outage switch and the request counters.

import { setTimeout as delay } from 'node:timers/promises';

/** `off`; `error`: 503; `hang`: accepted and never answered; `slow`: answered after a delay in milliseconds. */
export class Outage {
  #mode = 'off';

  #milliseconds = 0;

  #held = new Set();

  /** Requests held by `hang` are aborted when the mode changes. */
  set(mode, milliseconds) {
    this.#mode = mode;
    this.#milliseconds = milliseconds;
    for (const res of this.#held) res.destroy();
    this.#held.clear();
  }

  /** Resolves to whether the request was handled here. */
  async intercept(res) {
    switch (this.#mode) {
      case 'error':
        res.writeHead(503, { 'content-type': 'text/plain' });
        res.end('switched off');
        return true;
      case 'hang':
        this.#held.add(res);
        res.once('close', () => this.#held.delete(res));
        return true;
      case 'slow':
        await delay(this.#milliseconds);
        return false;
      default:
        return false;
    }
  }
}

/** Requests that arrived, answered or not, by endpoint. */
export class Stats {
  #counts;

  constructor() {
    this.reset();
  }

  reset() {
    this.#counts = { discovery: 0, jwks: 0, registration: 0, authorization: 0, token: 0, other: 0 };
  }

  count(pathname) {
    this.#counts[kindOf(pathname)] += 1;
  }

  read() {
    return { ...this.#counts };
  }
}

function kindOf(pathname) {
  if (pathname.includes('/.well-known/')) return 'discovery';
  const endpoints = { jwks: 'jwks', reg: 'registration', auth: 'authorization', token: 'token' };
  return endpoints[pathname.split('/').at(-1)] ?? 'other';
}
