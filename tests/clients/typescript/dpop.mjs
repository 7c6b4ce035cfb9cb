// A client with tokens that are bound to its key (DPoP, RFC 9449), by two libraries: npm `openid-client` and npm `oauth4webapi`. It gets a
// token by client credentials, calls the MCP server several times, and prints one line of JSON: the type of the token, the status of each
// call, and the requests that a server answered with a nonce.

import { parseArgs } from 'node:util';

import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const USAGE = 'usage: dpop.mjs URL --package openid-client|oauth4webapi --issuer URL --client ID --secret SECRET [--algorithm ES256]';

const CALLS = 3;

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'dpop', version: '1.0.0' } },
});

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Counts the answers that ask for a nonce, by origin. */
function counting() {
  const nonces = {};
  const countingFetch = async (url, init) => {
    const response = await fetch(url, init);
    const isAsked = [400, 401].includes(response.status) && response.headers.has('dpop-nonce');
    const { origin } = new URL(url);
    if (isAsked) nonces[origin] = (nonces[origin] ?? 0) + 1;
    return response;
  };
  return { nonces, fetch: countingFetch };
}

async function withOpenidClient({ url, issuer, client, secret, algorithm }, counted) {
  const config = await openid.discovery(new URL(issuer), client, undefined, openid.ClientSecretBasic(secret), {
    algorithm: 'oauth2',
    execute: [openid.allowInsecureRequests],
    [openid.customFetch]: counted.fetch,
  });
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(algorithm));
  const answer = await openid.clientCredentialsGrant(config, { resource: url, scope: 'tasks:read' }, { DPoP });
  const statuses = [];
  for (let call = 0; call < CALLS; call += 1) {
    const response = await openid.fetchProtectedResource(
      config, answer.access_token, new URL(url), 'POST', INITIALIZE, new Headers(HEADERS), { DPoP },
    );
    statuses.push(response.status);
    await response.text();
  }
  return { type: answer.token_type, statuses };
}

async function withOauth4webapi({ url, issuer, client: id, secret, algorithm }, counted) {
  const options = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: counted.fetch };
  const discovered = await oauth.discoveryRequest(new URL(issuer), { ...options, algorithm: 'oauth2' });
  const server = await oauth.processDiscoveryResponse(new URL(issuer), discovered);
  const client = { client_id: id };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(algorithm));
  /** The library knows the nonce of each origin after the first answer: the same request is repeated once. */
  const repeated = async (request) => {
    try {
      return await request();
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error;
      return request();
    }
  };
  const answer = await repeated(async () => {
    const parameters = new URLSearchParams({ resource: url, scope: 'tasks:read' });
    const authentication = oauth.ClientSecretBasic(secret);
    const response = await oauth.clientCredentialsGrantRequest(
      server, client, authentication, parameters, { ...options, DPoP },
    );
    return oauth.processClientCredentialsResponse(server, client, response);
  });
  const statuses = [];
  for (let call = 0; call < CALLS; call += 1) {
    const response = await repeated(() => oauth.protectedResourceRequest(
      answer.access_token, 'POST', new URL(url), new Headers(HEADERS), INITIALIZE, { ...options, DPoP },
    ));
    statuses.push(response.status);
    await response.text();
  }
  return { type: answer.token_type, statuses };
}

const CLIENTS = { 'openid-client': withOpenidClient, oauth4webapi: withOauth4webapi };

async function main() {
  const { values, positionals: [url] } = parseArgs({
    allowPositionals: true,
    options: {
      package: { type: 'string' },
      issuer: { type: 'string' },
      client: { type: 'string' },
      secret: { type: 'string' },
      algorithm: { type: 'string', default: 'ES256' },
    },
  });
  const run = CLIENTS[values.package];
  if (!url || !run || !values.issuer || !values.client || !values.secret) throw new Error(USAGE);
  const counted = counting();
  const found = await run({ ...values, url }, counted);
  process.stdout.write(`${JSON.stringify({ ...found, nonces: counted.nonces })}\n`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
