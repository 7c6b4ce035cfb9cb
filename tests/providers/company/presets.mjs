// What each provider does in its own way, as far as a relying party notices. Sources: the providers' documentation.

import { createHash } from 'node:crypto';

import { TENANTS } from '../people.mjs';

const ISSUER_PATHS = {
  entra: (tenant) => `/${tenant ?? TENANTS.company}/v2.0`,
  google: () => '',
  okta: () => '/oauth2/default',
  auth0: () => '/',
  keycloak: () => '/realms/company',
  oidc: () => '',
};

const profile = ({ name, label, email }) => ({ name: label, preferred_username: email, nickname: name });
const address = ({ email, verified }) => ({ email, email_verified: verified });

/** More groups than this are left out of a token of Entra. */
const MOST_GROUPS = 200;

/** Entra names a place to ask when somebody is in too many groups. */
function entraGroups({ groups, uuid }) {
  if (groups.length <= MOST_GROUPS) return { groups };
  const endpoint = `https://graph.microsoft.com/v1.0/users/${uuid}/getMemberObjects`;
  return { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } };
}

/**
 * `routes`: paths below the origin. `claims`: claims of the ID token by the scope that asks for them. `always`: claims without a
 * scope. `offline`: how a refresh token is asked for. `rotates`: a refresh token is used once. `iss`: whether the authorization
 * response has it (RFC 9207). `pkce`: whether the discovery document announces it. `asks`: whether people see a consent page.
 */
export const PRESETS = {
  entra: {
    routes: (tenant) => ({
      authorization: `/${tenant}/oauth2/v2.0/authorize`,
      token: `/${tenant}/oauth2/v2.0/token`,
      jwks: `/${tenant}/discovery/v2.0/keys`,
      userinfo: '/oidc/userinfo',
    }),
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    methods: ['client_secret_post', 'client_secret_basic', 'private_key_jwt'],
    claims: { profile, email: ({ email }) => ({ email }) },
    always: (person) => ({ oid: person.uuid, tid: person.tenant, ver: '2.0', uti: 'uti', ...entraGroups(person) }),
    sub: ({ name }) => name,
    pairwise: true,
    offline: 'scope',
    rotates: false,
    iss: false,
    pkce: false,
    keysHaveAlg: false,
  },
  google: {
    routes: () => ({ authorization: '/o/oauth2/v2/auth', token: '/token', jwks: '/oauth2/v3/certs', userinfo: '/v1/userinfo' }),
    scopes: ['openid', 'profile', 'email'],
    methods: ['client_secret_post', 'client_secret_basic'],
    claims: { profile: ({ label }) => ({ name: label }), email: address },
    // Only accounts of a company have a hosted domain.
    always: ({ domain, tenant }) => (tenant === TENANTS.company ? { hd: domain } : {}),
    sub: ({ id }) => `1${id.padStart(20, '0')}`,
    azp: true,
    offline: 'access_type',
    rotates: false,
    iss: false,
    pkce: true,
    asks: true,
    // Token endpoint and keys are on another host than the issuer.
    elsewhere: true,
  },
  okta: {
    routes: () => routesBelow('/oauth2/default/v1', { authorization: 'authorize', token: 'token', jwks: 'keys', userinfo: 'userinfo' }),
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    methods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    claims: { profile, email: address, groups: ({ groups }) => ({ groups }) },
    always: () => ({ ver: 1, idp: '00o1example', amr: ['pwd'] }),
    sub: ({ id }) => `00u${id}`,
    offline: 'scope',
    rotates: true,
    iss: false,
    pkce: true,
    scp: true,
  },
  auth0: {
    routes: () => ({ authorization: '/authorize', token: '/oauth/token', jwks: '/.well-known/jwks.json', userinfo: '/userinfo' }),
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    methods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    claims: { profile, email: address },
    always: ({ groups }) => ({ 'https://company.example/groups': groups }),
    sub: ({ id }) => `auth0|${id}`,
    offline: 'scope',
    rotates: true,
    iss: false,
    pkce: true,
    asks: true,
  },
  keycloak: {
    routes: () => {
      const names = { authorization: 'auth', token: 'token', jwks: 'certs', userinfo: 'userinfo' };
      return routesBelow('/realms/company/protocol/openid-connect', names);
    },
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    methods: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
    claims: { profile, email: address },
    always: ({ groups }) => ({ typ: 'ID', groups: groups.map((group) => `/${group}`), realm_access: { roles: groups } }),
    sub: ({ uuid }) => uuid,
    azp: true,
    offline: 'scope',
    rotates: true,
    iss: true,
    pkce: true,
    encryptionKey: true,
  },
  oidc: {
    routes: () => ({ authorization: '/auth', token: '/token', jwks: '/jwks', userinfo: '/me' }),
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    methods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    claims: { profile, email: address, groups: ({ groups }) => ({ groups }) },
    always: () => ({}),
    sub: ({ id }) => `user-${id}`,
    offline: 'scope',
    rotates: true,
    iss: true,
    pkce: true,
    asks: true,
  },
};

/** The path of the issuer; with `tenant`, of that tenant or of `common` and `organizations`, whose issuer is a template. */
export const issuerPath = (preset, tenant) => ISSUER_PATHS[preset](tenant);

/** A subject that is another one for each client, as Entra makes it. */
export const pairwise = (accountId, client) => createHash('sha256').update(`${client.clientId} ${accountId}`).digest('base64url');

function routesBelow(path, names) {
  return Object.fromEntries(Object.entries(names).map(([route, name]) => [route, `${path}/${name}`]));
}
