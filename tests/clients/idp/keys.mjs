// The signing keys: one current key for each algorithm, and the retired ones that are still published.

import { generateKeyPairSync, randomUUID } from 'node:crypto';

/** How a key pair for each algorithm is made: the arguments of `generateKeyPairSync`. */
const KEY_PAIRS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

export const ALGORITHMS = Object.keys(KEY_PAIRS);

export function isAlgorithm(alg) {
  return Object.hasOwn(KEY_PAIRS, alg);
}

/** A new private JWK with a fresh key id. */
export function generateKey(alg) {
  const { privateKey } = generateKeyPairSync(...KEY_PAIRS[alg]);
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
}

export class Keyring {
  #current = new Map(ALGORITHMS.map((alg) => [alg, generateKey(alg)]));

  #retired = [];

  /** The key that signs with `alg` now. */
  current(alg) {
    return this.#current.get(alg);
  }

  /** Replaces the keys of `algs`; `keep` says whether the old ones stay published. */
  rotate(algs, keep) {
    for (const alg of algs) {
      if (keep) this.#retired.push(this.#current.get(alg));
      this.#current.set(alg, generateKey(alg));
    }
    if (!keep) this.#retired = this.#retired.filter((key) => !algs.includes(key.alg));
  }

  /** Private JWKs of all published keys, the current ones first. */
  published() {
    return [...this.#current.values(), ...this.#retired];
  }
}
