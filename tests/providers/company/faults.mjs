// What a test may have the provider do wrong from now on.

import { setTimeout as delay } from 'node:timers/promises';

import { CompactSign, decodeJwt, decodeProtectedHeader, generateKey, importJWK } from '../packages.mjs';

/** Bytes of an answer that never ends, as far as anybody reads. */
const HUGE = 32 * 1024 * 1024;

/** Faults of an endpoint: `discovery`, `jwks`, `authorization`, `token`, `userinfo`. */
const ENDPOINT_FAULTS = {
  error: (res) => res.writeHead(500, { 'content-type': 'text/plain' }).end('out of order'),
  refuse: (res) => res.destroy(),
  hang: () => {},
  html: (res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Maintenance</h1>'),
  redirect: (res, { to }) => res.writeHead(302, { location: to }).end(),
  huge: (res) => res.writeHead(200, { 'content-type': 'application/json' }).end(`{"padding":"${'x'.repeat(HUGE)}"}`),
  answer: (res, { status = 200, body }) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
};

export class Faults {
  constructor() {
    this.clear();
  }

  clear() {
    /** By endpoint: `{ kind, ... }`, or `{ kind: "slow", ms }`. */
    this.endpoints = {};
    /** Changes to each ID token, as `remake` takes them; `signer`: `current`, `foreign`, `none`, `hmac`, or `missing` for no token. */
    this.idToken = undefined;
    /** The next authorization responses are this error: `{ error, error_description }`. */
    this.refusal = undefined;
    /** Parameters of each authorization response that are replaced (null removes one): `code`, `state`, `iss`. */
    this.response = undefined;
    /** Members of the discovery document that are replaced (null removes one). */
    this.discovery = undefined;
  }

  /** Names of faults by the request of a test: `{ endpoints, idToken, refusal, response, discovery }`. */
  set(changes) {
    for (const { kind } of Object.values(changes.endpoints ?? {})) {
      if (kind !== 'slow' && !ENDPOINT_FAULTS[kind]) throw new Error(`unknown fault ${kind}`);
    }
    Object.assign(this, changes);
  }

  /** Whether the request was answered here. */
  async intercept(endpoint, res) {
    const fault = this.endpoints[endpoint];
    if (!fault) return false;
    if (fault.kind === 'slow') {
      await delay(fault.ms);
      return false;
    }
    ENDPOINT_FAULTS[fault.kind](res, fault);
    return true;
  }

  /** The ID token as the relying party gets it: `undefined` where it gets none. */
  async spoil(token, keys) {
    if (this.idToken?.signer === 'missing') return undefined;
    return this.idToken ? remake(token, this.idToken, keys) : token;
  }
}

/** A token with other members, signed again: `claims` and `header` replace members, null removes one. */
export async function remake(token, { claims = {}, header = {}, signer = 'current' }, keys) {
  const payload = overlay(decodeJwt(token), claims);
  const head = overlay(decodeProtectedHeader(token), header);
  return sign(payload, head, signer, keys);
}

async function sign(payload, header, signer, { key, secret }) {
  const bytes = Buffer.from(JSON.stringify(payload));
  if (signer === 'none') {
    const head = Buffer.from(JSON.stringify({ ...header, alg: 'none' }));
    return `${head.toString('base64url')}.${bytes.toString('base64url')}.`;
  }
  if (signer === 'hmac') {
    return new CompactSign(bytes).setProtectedHeader({ ...header, alg: 'HS256' }).sign(Buffer.from(secret));
  }
  const signing = signer === 'foreign' ? generateKey(key.alg) : key;
  return new CompactSign(bytes).setProtectedHeader(header).sign(await importJWK(signing, key.alg));
}

export function overlay(base, changes) {
  const merged = Object.entries({ ...base, ...changes });
  return Object.fromEntries(merged.filter(([, value]) => value !== null && value !== undefined));
}
