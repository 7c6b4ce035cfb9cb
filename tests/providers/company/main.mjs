// A provider as a company has it, with the ways of one preset. It listens on a loopback port, prints one line of JSON when it is
// ready, and runs until it is stopped. README.md describes the options and controls.

// The library's notices go to standard error: standard output has only that line.
console.info = console.error;
console.warn = console.error;

import http from 'node:http';
import { parseArgs } from 'node:util';

import { Stats, controls } from '../control.mjs';
import { TENANTS } from '../people.mjs';
import { Authority } from './authority.mjs';
import { Faults } from './faults.mjs';
import { PRESETS } from './presets.mjs';

const ADDRESS = '127.0.0.1';

const DISCOVERY = '/.well-known/openid-configuration';

function options() {
  const { values } = parseArgs({
    options: {
      preset: { type: 'string', default: 'oidc' },
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: 'localhost' },
      // Entra: the tenant in the configured issuer; `common` and `organizations` have an issuer that is a template.
      tenant: { type: 'string' },
      'client-id': { type: 'string', default: 'gateway' },
      'client-secret': { type: 'string', default: 'the-secret-of-the-gateway-at-its-provider' },
      // How the client authenticates; the first that the preset announces by default.
      method: { type: 'string' },
      // The public keys of a client that authenticates with `private_key_jwt`: a JWK set.
      'client-keys': { type: 'string' },
      redirect: { type: 'string', multiple: true, default: [] },
      // What it does wrong from the start, as the control `fault` takes it.
      fault: { type: 'string', default: '{}' },
      'id-token-seconds': { type: 'string', default: '3600' },
    },
  });
  if (!PRESETS[values.preset]) throw new Error(`--preset is one of ${Object.keys(PRESETS).join(', ')}`);
  return values;
}

/** Which endpoint a request is for, and the tenant in its path; the path is changed to the one that the library knows. */
function placed(req, url, authority) {
  let { pathname } = url;
  if (authority.settings.preset === 'entra') {
    const [, tenant, rest] = /^\/([^/]+)(\/.*)$/.exec(pathname) ?? [];
    if (tenant && rest.includes('v2.0')) {
      req.tenant = tenant;
      pathname = `/${TENANTS.company}${rest}`;
    }
  }
  const issuer = new URL(authority.issuer).pathname.replace(/\/$/, '');
  const isDiscovery = req.tenant ? pathname === `/${TENANTS.company}/v2.0${DISCOVERY}` : pathname === `${issuer}${DISCOVERY}`;
  if (isDiscovery) pathname = DISCOVERY;
  else if (pathname.includes('/.well-known/') && pathname !== authority.routes.jwks) return { endpoint: 'other' };
  req.url = `${pathname}${url.search}`;
  const [route] = Object.entries(authority.routes).find(([, path]) => pathname === path) ?? [];
  return { endpoint: isDiscovery ? 'discovery' : (route ?? 'other'), pathname };
}

/** Asking for `offline_access` asks for consent in the library's eyes, not in those of most providers. */
function askOffline(req, url, { preset }) {
  const wants = preset.offline === 'scope'
    ? url.searchParams.get('scope')?.split(' ').includes('offline_access')
    : url.searchParams.get('access_type') === 'offline' && url.searchParams.get('prompt')?.includes('consent');
  const prompts = url.searchParams.get('prompt')?.split(' ') ?? [];
  if (!wants || prompts.includes('none')) return;
  if (!prompts.includes('consent')) url.searchParams.set('prompt', [...prompts, 'consent'].join(' '));
  if (preset.offline === 'access_type') url.searchParams.set('scope', `${url.searchParams.get('scope')} offline_access`);
  req.url = `${req.url.split('?')[0]}${url.search}`;
}

/** What this provider answers with a page of its own, for parameters that others take. */
function unknown(query, { scopes }) {
  if (query.has('resource')) return 'invalid_request: this provider knows no parameter resource';
  const foreign = query.get('scope')?.split(' ').filter((scope) => scope && !scopes.includes(scope)) ?? [];
  return foreign.length > 0 ? `invalid_scope: ${foreign.join(' ')}` : undefined;
}

const actions = ({ authority, faults, disabled, stats }) => ({
  'POST fault': (body) => faults.set(body),
  'POST clear': () => faults.clear(),
  'POST rotate': ({ keep = true }) => authority.rotate(keep),
  'POST disable': ({ name }) => void disabled.add(name),
  'POST enable': ({ name }) => void disabled.delete(name),
  'GET stats': () => stats,
  'POST stats/reset': () => stats.reset(),
});

function handler(parts) {
  const control = controls(actions(parts));
  const { authority, faults, stats } = parts;
  return async (req, res) => {
    const url = new URL(req.url, authority.settings.origin);
    if (url.pathname.startsWith('/__control/')) return control(req, res, url);
    if (url.pathname.startsWith('/interaction/')) return authority.interactions.handle(req, res);
    const { endpoint, pathname } = placed(req, url, authority);
    stats.count(endpoint);
    if (await faults.intercept(endpoint, res)) return undefined;
    if (!pathname) return res.writeHead(404).end();
    if (endpoint === 'authorization') {
      stats.last.authorization = Object.fromEntries(url.searchParams);
      const problem = unknown(url.searchParams, authority.preset);
      if (problem) return res.writeHead(400, { 'content-type': 'text/plain' }).end(problem);
      askOffline(req, url, authority);
    }
    return authority.callback(req, res);
  };
}

async function main() {
  const values = options();
  const server = http.createServer();
  await new Promise((listens, fails) => server.once('error', fails).listen(Number(values.port), ADDRESS, listens));
  const origin = `http://${values.host}:${server.address().port}`;
  const keys = values['client-keys'] && JSON.parse(values['client-keys']);
  const settings = {
    preset: values.preset,
    origin,
    tenant: values.tenant,
    method: values.method,
    idTokenSeconds: Number(values['id-token-seconds']),
    client: { id: values['client-id'], secret: values['client-secret'], redirects: values.redirect, jwks: keys },
  };
  const parts = { faults: new Faults(), disabled: new Set(), stats: new Stats() };
  parts.faults.set(JSON.parse(values.fault));
  parts.authority = new Authority(settings, parts.faults, parts.disabled);
  server.on('request', handler(parts));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
  process.stdout.write(`${JSON.stringify({ issuer: parts.authority.issuer, origin })}\n`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(2);
});
