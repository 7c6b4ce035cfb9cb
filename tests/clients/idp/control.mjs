// The control endpoints under `/__control/`, by which a test rotates keys, breaks the provider and reads its
// requests. Parameters are in the query, or in a JSON body where they have a structure.

import { ANSWERS } from './consent.mjs';
import { ALGORITHMS, isAlgorithm } from './keys.mjs';

/** Bytes of a control request's body that are read. */
const MAX_BODY = 64 * 1024;

const OUTAGES = ['off', 'error', 'hang', 'slow'];

class BadRequest extends Error {}

/** A handler of control requests over the authority, the outage switch and the counters. */
export function controls({ authority, outage, stats }) {
  const actions = {
    'POST rotate': ({ query }) => rotate(authority, query),
    'POST alg': ({ query }) => chooseAlgorithm(authority, query),
    'POST outage': ({ query }) => outage.set(oneOf('mode', query.get('mode'), OUTAGES), Number(query.get('ms') ?? 0)),
    'POST resource': ({ body }) => addResource(authority, body),
    'POST consent': ({ body }) => withhold(authority, body),
    'GET consent': () => authority.consent.read(),
    'POST token': async ({ body }) => ({ access_token: await authority.mint(checkedToken(body)) }),
    'GET stats': () => stats.read(),
    'POST stats/reset': () => stats.reset(),
  };
  return async (req, res, url) => {
    const action = actions[`${req.method} ${url.pathname.slice('/__control/'.length)}`];
    if (!action) return answer(res, 404, { error: `no such control: ${Object.keys(actions).join(', ')}` });
    try {
      const body = await readJson(req);
      return answer(res, 200, (await action({ query: url.searchParams, body })) ?? { ok: true });
    } catch (error) {
      return answer(res, error instanceof BadRequest ? 400 : 500, { error: error.message });
    }
  };
}

function rotate(authority, query) {
  const alg = query.get('alg');
  const algs = alg ? [oneOf('alg', alg, ALGORITHMS)] : ALGORITHMS;
  authority.keyring.rotate(algs, query.get('keep') !== 'false');
  authority.rebuild();
  return { kids: authority.keyring.published().map(({ alg: of, kid }) => ({ alg: of, kid })) };
}

function chooseAlgorithm(authority, query) {
  const alg = oneOf('alg', query.get('alg'), ALGORITHMS);
  const resource = query.get('resource');
  if (!resource) {
    authority.settings.alg = alg;
    return;
  }
  const entry = authority.resources.get(resource);
  if (!entry) throw new BadRequest(`unknown resource ${resource}`);
  entry.alg = alg;
}

function addResource(authority, entry) {
  if (typeof entry.resource !== 'string' || !Array.isArray(entry.scopes)) {
    throw new BadRequest('give {"resource": URI, "scopes": [...]}, and alg, audience, ttl optionally');
  }
  if (entry.alg) oneOf('alg', entry.alg, ALGORITHMS);
  authority.addResource(entry);
}

function withhold(authority, { withhold: scopes, answer: kind = 'narrow' }) {
  if (!Array.isArray(scopes)) throw new BadRequest('give {"withhold": [SCOPE, ...]}, and answer optionally');
  authority.consent.withhold(scopes, oneOf('answer', kind, ANSWERS));
}

function checkedToken(body) {
  if (body.alg && !isAlgorithm(body.alg)) throw new BadRequest(`alg is one of ${ALGORITHMS.join(', ')}`);
  if (body.signer) oneOf('signer', body.signer, ['current', 'foreign']);
  return body;
}

function oneOf(name, value, allowed) {
  if (!allowed.includes(value)) throw new BadRequest(`${name} is one of ${allowed.join(', ')}`);
  return value;
}

async function readJson(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > MAX_BODY) throw new BadRequest('body too large');
  }
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    throw new BadRequest('body is not JSON');
  }
}

function answer(res, status, body) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}
