// The company's provider: npm `oidc-provider` with one confidential client, people with passwords, and the ways of a preset.

import { randomBytes } from 'node:crypto';

import { Provider, decodeJwt, errors, generateKey, interactionPolicy, memoryStore } from '../packages.mjs';
import { PEOPLE, TENANTS } from '../people.mjs';
import { overlay, remake } from './faults.mjs';
import { Interactions, errorPage } from './pages.mjs';
import { PRESETS, issuerPath, pairwise } from './presets.mjs';

const DAY = 86_400;

/** The redirect of an authorization response: the parameters that say so. */
const isResponse = (url) => url.searchParams.has('code') || url.searchParams.has('error');

export class Authority {
  #provider;

  /**
   * `settings`: preset, origin, tenant (Entra), client `{ id, secret, redirects, jwks }`, idTokenSeconds; `faults`; `disabled`: names of
   * people whose account is switched off.
   */
  constructor(settings, faults, disabled) {
    this.settings = settings;
    this.faults = faults;
    this.disabled = disabled;
    this.preset = PRESETS[settings.preset];
    this.routes = this.preset.routes(TENANTS.company);
    this.keys = [generateKey('RS256')];
    this.encryption = this.preset.encryptionKey && encryptionKey();
    this.store = memoryStore();
    this.cookieKeys = [randomBytes(16).toString('hex')];
    this.start();
  }

  /** The issuer that the relying party is configured with. */
  get issuer() {
    return `${this.settings.origin}${issuerPath(this.settings.preset, this.settings.tenant)}`;
  }

  /** New keys; the old ones stay published where `keep`. */
  rotate(keep) {
    this.keys = [generateKey('RS256'), ...(keep ? this.keys : [])];
    this.start();
  }

  start() {
    this.#provider = new Provider(`${this.settings.origin}${issuerPath(this.settings.preset, this.tenant())}`, this.#configuration());
    this.#provider.on('server_error', (_ctx, error) => console.error(error));
    this.#provider.use((ctx, next) => this.#afterwards(ctx, next));
    this.interactions = new Interactions(this.#provider, (person) => this.preset.sub(person), this.disabled);
    this.callback = this.#provider.callback();
  }

  tenant() {
    return this.settings.preset === 'entra' ? TENANTS.company : undefined;
  }

  #configuration() {
    const { preset } = this;
    return {
      adapter: this.store,
      jwks: { keys: this.keys },
      clients: [this.#client()],
      clientAuthMethods: preset.methods,
      cookies: { keys: this.cookieKeys, long: { signed: true }, short: { signed: true } },
      scopes: [...new Set([...preset.scopes, 'offline_access'])],
      claims: this.#claims(),
      conformIdTokenClaims: false,
      pkce: { required: () => false },
      routes: this.routes,
      subjectTypes: [preset.pairwise ? 'pairwise' : 'public'],
      pairwiseIdentifier: (_ctx, accountId, client) => pairwise(accountId, client),
      extraParams: ['access_type', 'hd', 'domain_hint', 'audience'],
      findAccount: (_ctx, id) => this.#account(id),
      interactions: { url: (_ctx, { uid }) => `/interaction/${uid}`, policy: this.#policy() },
      ...(preset.asks ? {} : { loadExistingGrant: grantWhatIsAsked }),
      issueRefreshToken: (_ctx, _client, code) => code.scopes.has('offline_access'),
      rotateRefreshToken: preset.rotates,
      expiresWithSession: () => false,
      renderError: (ctx, out) => errorPage(ctx, out),
      ttl: { AccessToken: 3600, AuthorizationCode: 60, IdToken: this.settings.idTokenSeconds, RefreshToken: DAY, Grant: DAY, Session: DAY, Interaction: 3600 },
      features: { devInteractions: { enabled: false }, resourceIndicators: { enabled: false }, rpInitiatedLogout: { enabled: false } },
    };
  }

  #client() {
    const { id, secret, redirects, jwks } = this.settings.client;
    const credentials = jwks
      ? { jwks, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: jwks.keys[0].alg }
      : { client_secret: secret, token_endpoint_auth_method: this.settings.method ?? this.preset.methods.find((one) => one.startsWith('client_secret')) };
    return {
      client_id: id,
      ...credentials,
      redirect_uris: redirects,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      subject_type: this.preset.pairwise ? 'pairwise' : 'public',
    };
  }

  /** oidc-provider gives claims by scope; those without a scope come with `openid`. */
  #claims() {
    const names = (part) => [...new Set(PEOPLE.flatMap((person) => Object.keys(part(person))))];
    const { claims, always } = this.preset;
    const byScope = Object.entries(claims).map(([scope, part]) => [scope, names(part)]);
    return { openid: ['sub', ...names(always)], ...Object.fromEntries(byScope) };
  }

  #account(id) {
    const person = PEOPLE.find((one) => this.preset.sub(one) === id);
    if (!person || this.disabled.has(person.name)) return undefined;
    const { always, claims, sub } = this.preset;
    const parts = [always, ...Object.values(claims)].map((part) => part(person));
    return { accountId: sub(person), claims: () => Object.assign({ sub: sub(person) }, ...parts) };
  }

  #policy() {
    const policy = interactionPolicy.base();
    if (!this.preset.asks) policy.get('consent').checks.clear();
    return policy;
  }

  async #afterwards(ctx, next) {
    await next();
    const route = ctx.oidc?.route;
    if (route === 'discovery') ctx.body = this.#document(ctx);
    if (route === 'jwks') ctx.body = { keys: this.#published(ctx.body.keys) };
    if (route === 'token' && ctx.body?.id_token) await this.#finish(ctx);
    if (ctx.response.get('location')) this.#redirect(ctx);
  }

  #published(keys) {
    const signing = this.preset.keysHaveAlg === false ? keys.map(({ alg: _, ...key }) => key) : keys;
    return this.encryption ? [this.encryption, ...signing] : signing;
  }

  #document(ctx) {
    const { preset, settings } = this;
    const tenant = ctx.req.tenant ?? TENANTS.company;
    const isTemplate = preset === PRESETS.entra && !Object.values(TENANTS).includes(tenant);
    const changes = {
      ...(preset.iss ? {} : { authorization_response_iss_parameter_supported: null }),
      ...(preset.pkce ? {} : { code_challenge_methods_supported: null }),
      ...(preset === PRESETS.entra ? { issuer: `${settings.origin}/${isTemplate ? '{tenantid}' : tenant}/v2.0` } : {}),
      ...(preset.elsewhere ? elsewhere(ctx.body) : {}),
      ...this.faults.discovery,
    };
    const text = JSON.stringify(overlay(ctx.body, changes));
    // The endpoints of a tenant are below its name.
    return JSON.parse(preset === PRESETS.entra ? text.replaceAll(`/${TENANTS.company}/oauth2`, `/${tenant}/oauth2`) : text);
  }

  /** The ID token as this provider makes it, and with what a test has it do wrong. */
  async #finish(ctx) {
    const { faults, preset, settings } = this;
    const keys = { key: this.keys[0], secret: settings.client.secret };
    const claims = {};
    if (preset.azp) claims.azp = settings.client.id;
    if (preset === PRESETS.entra) claims.iss = `${settings.origin}/${decodeJwt(ctx.body.id_token).tid}/v2.0`;
    const token = await remake(ctx.body.id_token, { claims }, keys);
    ctx.body = overlay(ctx.body, { id_token: (await faults.spoil(token, keys)) ?? null });
  }

  #redirect(ctx) {
    const location = new URL(ctx.response.get('location'), this.settings.origin);
    if (location.origin === this.settings.origin || !isResponse(location)) return;
    const { refusal, response } = this.faults;
    if (refusal) {
      location.searchParams.delete('code');
      for (const [name, value] of Object.entries(refusal)) location.searchParams.set(name, value);
    }
    if (!this.preset.iss) location.searchParams.delete('iss');
    for (const [name, value] of Object.entries(response ?? {})) {
      if (value === null) location.searchParams.delete(name);
      else location.searchParams.set(name, value);
    }
    ctx.set('location', location.href);
  }
}

/** A public key that is not for signatures. */
function encryptionKey() {
  const { kty, n, e, kid } = generateKey('RS256');
  return { kty, n, e, kid, use: 'enc', alg: 'RSA-OAEP' };
}

/** The same endpoints on another host. */
function elsewhere({ token_endpoint: token, jwks_uri: keys, userinfo_endpoint: userinfo }) {
  const move = (url) => url.replace('//localhost:', '//127.0.0.1:');
  return { token_endpoint: move(token), jwks_uri: move(keys), userinfo_endpoint: move(userinfo) };
}

async function grantWhatIsAsked(ctx) {
  const { account, client, provider } = ctx.oidc;
  if (!account) throw new errors.AccessDenied('nobody is signed in');
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  grant.addOIDCScope(ctx.oidc.requestParamOIDCScopes);
  await grant.save();
  return grant;
}

