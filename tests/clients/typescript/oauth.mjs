// The OAuth side of both TypeScript clients: what the SDKs call an `OAuthClientProvider`. Everything is stored in
// memory, and instead of a user with a browser a plain HTTP request goes to the authorization endpoint, whose redirect is
// read and not followed. Where somebody has to sign in, `browser/person.py` does.

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Never connected to: the redirect is read from the answer. Identity providers let the port of a loopback vary. */
const REDIRECT_URL = 'http://127.0.0.1:53682/callback';

/** Signs in at pages. */
const PERSON = fileURLToPath(new URL('../browser/person.py', import.meta.url));

/** Limit of redirects within the identity provider. */
const MAX_REDIRECTS = 5;

/** How often, and how long each time, a callback is waited for. */
const MAX_WAITS = 100;
const WAIT_MS = 100;

/**
 * Refresh tokens: `none` are requested; `kept`: the SDK uses them; `hidden`: the SDK does not see them during a step-up,
 * because a refresh cannot widen the scope (RFC 6749 §6).
 */
export const REFRESH_TOKENS = ['none', 'kept', 'hidden'];

export class AutomaticUser {
  #clientInformation;

  #tokens;

  #codeVerifier;

  #discovery;

  /** Of the authorizations that were started, the last one last: a stream and a call can start one each at the same time. */
  #states = [];

  #callback;

  #steppingUp = false;

  /** `record`: called for each authorization; `loginHint`: who logs in; `person`: `NAME:PASSWORD` of who signs in at
   * pages; `refreshTokens`: one of `REFRESH_TOKENS`. */
  constructor({ record, loginHint, person, clientMetadataUrl, refreshTokens }) {
    this.record = record;
    this.loginHint = loginHint;
    this.person = person;
    this.clientMetadataUrl = clientMetadataUrl;
    this.refreshTokens = refreshTokens;
  }

  get redirectUrl() {
    return REDIRECT_URL;
  }

  get clientMetadata() {
    return {
      client_name: 'TypeScript test client',
      application_type: 'native',
      redirect_uris: [REDIRECT_URL],
      grant_types: ['authorization_code', ...(this.refreshTokens === 'none' ? [] : ['refresh_token'])],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() {
    this.#states.push(randomUUID());
    return this.#states.at(-1);
  }

  clientInformation() {
    return this.#clientInformation;
  }

  saveClientInformation(information) {
    this.#clientInformation = information;
  }

  tokens() {
    if (!this.#steppingUp || this.refreshTokens !== 'hidden') return this.#tokens;
    const { refresh_token: _hidden, ...tokens } = this.#tokens;
    return tokens;
  }

  /** Must be called when a call needs a token with more scopes. */
  stepsUp() {
    this.#steppingUp = true;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
    this.#steppingUp = false;
  }

  /** What the authorization server no longer accepts: the SDK then asks the user again. */
  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'client') this.#clientInformation = undefined;
    if (scope === 'all' || scope === 'tokens') this.#tokens = undefined;
    if (scope === 'all' || scope === 'verifier') this.#codeVerifier = undefined;
    if (scope === 'all' || scope === 'discovery') this.#discovery = undefined;
  }

  codeVerifier() {
    return this.#codeVerifier;
  }

  saveCodeVerifier(verifier) {
    this.#codeVerifier = verifier;
  }

  discoveryState() {
    return this.#discovery;
  }

  saveDiscoveryState(discovery) {
    this.#discovery = discovery;
  }

  async redirectToAuthorization(authorizationUrl) {
    const url = new URL(authorizationUrl);
    if (this.loginHint) url.searchParams.set('login_hint', this.loginHint);
    this.record('authorization');
    const callback = this.person ? await signIn(url, this.person) : await followToCallback(url);
    const error = callback.get('error');
    if (error) throw new Error(`authorization refused: ${error}: ${callback.get('error_description')}`);
    const state = callback.get('state');
    if (!this.#states.includes(state)) throw new Error('the callback has another state');
    // The SDK keeps one code verifier: a code can be redeemed only for the authorization that was started last.
    if (state === this.#states.at(-1)) this.#callback = callback;
  }

  /** The parameters of the last redirect; returned once. Another authorization may have been started meanwhile, and is waited for. */
  async takeCallback() {
    for (let waits = 0; !this.#callback && waits < MAX_WAITS; waits += 1) await setTimeout(WAIT_MS);
    const callback = this.#callback;
    this.#callback = undefined;
    if (!callback) throw new Error('not authorized, and no authorization was started');
    return callback;
  }
}

/**
 * Completes operations that can end in `Unauthorized`: `authorize` redeems the code of the redirect, then the operation is
 * repeated. This happens on a first connection, and on a call that needs a token with more scopes.
 */
export function retrying(Unauthorized, authorize) {
  return async (operation) => {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof Unauthorized)) throw error;
      await authorize();
      return operation();
    }
  };
}

async function signIn(url, person) {
  const [name, password] = person.split(':');
  const options = ['--user', name, '--password', password, '--until', REDIRECT_URL];
  const { stdout } = await promisify(execFile)('python3', [PERSON, url.href, ...options]);
  return new URL(stdout.trim()).searchParams;
}

async function followToCallback(start) {
  let url = start;
  for (let followed = 0; followed < MAX_REDIRECTS; followed += 1) {
    const response = await fetch(url, { redirect: 'manual' });
    const location = response.headers.get('location');
    if (!location) throw new Error(`authorization endpoint: ${response.status} ${await response.text()}`);
    url = new URL(location, url);
    if (url.href.startsWith(REDIRECT_URL)) return url.searchParams;
  }
  throw new Error(`authorization endpoint: more than ${MAX_REDIRECTS} redirects`);
}
