// Token exchange (RFC 8693) as a grant type of oidc-provider: an access token that this provider signed becomes one for another resource, for the same
// account and for the client that asks.

import { createLocalJWKSet, jwtVerify } from 'jose';
import { errors } from 'oidc-provider';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const PARAMETERS = ['subject_token', 'subject_token_type', 'requested_token_type', 'scope', 'resource', 'audience'];

/** Registers the grant type; `serverOf` describes a resource, `keys` are the JWKs that sign. */
export function registerExchange(provider, { issuer, keys, serverOf }) {
  const keySet = createLocalJWKSet({ keys: keys.map(published) });
  const handler = async (ctx) => {
    const { params, client } = ctx.oidc;
    if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('only access tokens are exchanged');
    const subject = await verified(params.subject_token, keySet, issuer);
    const token = new provider.AccessToken({ accountId: subject.sub, client, gty: 'token_exchange' });
    const info = serverOf(ctx, params.resource);
    token.resourceServer = new provider.ResourceServer(params.resource, info);
    token.scope = common(params.scope ?? info.scope, info.scope, subject.scope ?? '');
    ctx.oidc.entity('AccessToken', token);
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: ACCESS_TOKEN,
      token_type: token.tokenType,
      expires_in: token.expiration,
      scope: token.scope,
    };
  };
  provider.registerGrantType(TOKEN_EXCHANGE, handler, PARAMETERS, ['resource', 'audience']);
}

/** RFC 8693 §2.2.2: a subject token that is not accepted is an invalid request. */
async function verified(token, keySet, issuer) {
  try {
    return (await jwtVerify(token ?? '', keySet, { issuer, typ: 'at+jwt' })).payload;
  } catch {
    throw new errors.InvalidRequest('the subject token is not valid');
  }
}

/** The public part of a key. */
function published({ kty, crv, x, y, n, e, alg, use, kid }) {
  return { kty, crv, x, y, n, e, alg, use, kid };
}

/** The scopes that all of these lists have. */
function common(first, ...others) {
  const rest = others.map((scopes) => new Set(scopes.split(' ')));
  return first.split(' ').filter((scope) => rest.every((scopes) => scopes.has(scope))).join(' ');
}
