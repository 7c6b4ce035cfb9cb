// The authorization server itself: npm `oidc-provider`, with resource indicators (RFC 8707), `at+jwt` access tokens
// (RFC 9068), token exchange (RFC 8693), open registration (RFC 7591), client metadata documents, and no user interaction: the account of the
// login hint is logged in, and all requested scopes are granted, except for those that `Consent` withholds.

import { randomBytes, randomUUID } from 'node:crypto';

import { CompactSign, importJWK } from 'jose';
import { Provider, errors, interactionPolicy } from 'oidc-provider';

import { TOKEN_EXCHANGE, registerExchange } from './exchange.mjs';
import { generateKey } from './keys.mjs';
import { memoryStore } from './store.mjs';

const LOOPBACK_HOSTS = new Set(['127.0.0.1', 'localhost', '[::1]']);

export class Authority {
  #store = memoryStore();

  #cookieKeys = [randomBytes(16).toString('hex')];

  #nonceSecret = randomBytes(32);

  #provider;

  /**
   * `settings`: issuer, account (the default subject), alg (the default signature), ttl (seconds), clients
   * (`{ id, secret }`), defaultResource, mutualTls (tokens are bound to the client's certificate); `keyring`: what signs; `consent`: what is granted.
   */
  constructor(settings, keyring, consent) {
    this.settings = settings;
    this.keyring = keyring;
    this.consent = consent;
    this.resources = new Map();
    this.rebuild();
  }

  /** Registers or replaces a resource: `{ resource, scopes, alg, audience, ttl }`. */
  addResource(entry) {
    this.resources.set(entry.resource, entry);
    this.rebuild();
  }

  /** Keys and scopes are read once by oidc-provider: after a change a new instance takes over, on the same store. */
  rebuild() {
    this.#provider = new Provider(this.settings.issuer, this.#configuration());
    registerExchange(this.#provider, {
      issuer: this.settings.issuer,
      keys: this.keyring.published(),
      serverOf: (ctx, resource) => this.#resourceServer(ctx, resource),
    });
    this.#provider.on('server_error', (_ctx, error) => console.error(error));
    this.callback = this.#provider.callback();
  }

  /** Signs a token of any shape: `claims` and `header` replace the usual ones, a null removes one. */
  async mint({ alg = this.settings.alg, claims = {}, header = {}, signer = 'current' }) {
    const key = this.keyring.current(alg);
    const signingKey = signer === 'foreign' ? generateKey(alg) : key;
    const now = Math.floor(Date.now() / 1000);
    const resource = claims.aud ?? this.#defaultResource();
    const payload = overlay({
      iss: this.settings.issuer,
      sub: this.settings.account,
      aud: resource,
      client_id: 'minted',
      scope: this.resources.get(resource)?.scopes.join(' '),
      jti: randomUUID(),
      iat: now,
      exp: now + this.settings.ttl,
    }, claims);
    return new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader(overlay({ alg, typ: 'at+jwt', kid: key.kid }, header))
      .sign(await importJWK(signingKey, alg));
  }

  #defaultResource() {
    return this.settings.defaultResource ?? this.resources.keys().next().value;
  }

  #scopes() {
    const ofResources = [...this.resources.values()].flatMap(({ scopes }) => scopes);
    return [...new Set(['openid', 'offline_access', ...ofResources])];
  }

  #configuration() {
    return {
      adapter: this.#store,
      jwks: { keys: this.keyring.published() },
      clients: this.settings.clients.map((client) => machineClient(client, this.settings)),
      cookies: { keys: this.#cookieKeys },
      scopes: this.#scopes(),
      clientBasedCORS: () => true,
      pkce: { required: () => true },
      ttl: lifetimes(this.settings.ttl),
      issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
      expiresWithSession: () => false,
      rotateRefreshToken: true,
      findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
      loadExistingGrant: (ctx) => grantWhatIsAsked(ctx, this.consent),
      interactions: { policy: promptless() },
      extraParams: { login_hint: (ctx, hint) => this.#login(ctx, hint) },
      fetch: fetchFromLoopback,
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        // Clients that send proofs get nonces, and have to use them (RFC 9449 §8).
        dPoP: { enabled: true, nonceSecret: this.#nonceSecret, requireNonce: () => true },
        registration: { enabled: true },
        revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
        mTLS: {
          enabled: this.settings.mutualTls ?? false,
          certificateBoundAccessTokens: true,
          getCertificate: (ctx) => ctx.req.socket.getPeerX509Certificate(),
        },
        introspection: { enabled: this.settings.opaque },
        clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
        resourceIndicators: {
          enabled: true,
          defaultResource: (_ctx, _client, oneOf) => oneOf?.[0] ?? this.#defaultResource(),
          useGrantedResource: () => true,
          getResourceServerInfo: (ctx, resource) => this.#resourceServer(ctx, resource),
        },
      },
    };
  }

  /** oidc-provider checks extra parameters before it looks for the account, so the login happens here. */
  #login(ctx, hint) {
    ctx.oidc.session.loginAccount({ accountId: hint || this.settings.account });
  }

  #resourceServer(ctx, resource) {
    const entry = this.resources.get(resource);
    if (!entry) throw new errors.InvalidTarget();
    defaultScope(ctx, entry.scopes);
    const alg = entry.alg ?? this.settings.alg;
    const form = this.settings.opaque
      ? { accessTokenFormat: 'opaque' }
      : { accessTokenFormat: 'jwt', jwt: { sign: { alg, kid: this.keyring.current(alg).kid } } };
    return {
      audience: entry.audience ?? resource,
      scope: entry.scopes.join(' '),
      accessTokenTTL: entry.ttl ?? this.settings.ttl,
      ...form,
    };
  }
}

/** A request without `scope` gets all scopes of the resource (RFC 6749 §3.3 lets the server choose). */
function defaultScope(ctx, scopes) {
  const opensGrant = ctx.oidc.route === 'authorization' || ctx.oidc.params.grant_type === 'client_credentials';
  if (opensGrant) ctx.oidc.params.scope ??= scopes.join(' ');
}

function machineClient({ id, secret }, { mutualTls }) {
  return {
    ...(mutualTls && { tls_client_certificate_bound_access_tokens: true }),
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials', TOKEN_EXCHANGE],
    response_types: [],
    redirect_uris: [],
  };
}

/** Lifetimes in seconds; those of access tokens are set, the others long enough for any test. */
function lifetimes(accessToken) {
  const ofToken = (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessToken;
  const day = 86_400;
  return { AccessToken: ofToken, ClientCredentials: ofToken, IdToken: 3600, RefreshToken: day, Grant: day, Session: day };
}

/** The prompts clients may ask for (`login`, `consent`), each satisfied without a user. */
function promptless() {
  const policy = interactionPolicy.base();
  for (const prompt of policy) prompt.checks.clear();
  return policy;
}

async function grantWhatIsAsked(ctx, consent) {
  const { account, client, provider, resourceServers } = ctx.oidc;
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  grant.addOIDCScope(ctx.oidc.requestParamOIDCScopes);
  for (const [identifier, { scopes }] of Object.entries(resourceServers)) {
    const granted = consent.decide([...ctx.oidc.requestParamScopes].filter((scope) => scopes.has(scope)));
    if (!granted) throw new errors.AccessDenied('the user withholds a scope');
    grant.addResourceScope(identifier, granted);
  }
  await grant.save();
  return grant;
}

/** oidc-provider fetches client metadata documents, but never from special-use addresses; in the tests all addresses are such. */
function fetchFromLoopback(url, { dispatcher: _guard, ...options }) {
  const { hostname } = new URL(url);
  if (!LOOPBACK_HOSTS.has(hostname)) throw new Error(`${hostname} is not a loopback address`);
  return fetch(url, options);
}

function overlay(base, changes) {
  const merged = Object.entries({ ...base, ...changes });
  return Object.fromEntries(merged.filter(([, value]) => value !== null && value !== undefined));
}
