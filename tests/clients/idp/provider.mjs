// The identity provider of the end-to-end tests. It listens on a loopback port, prints one line of JSON when it is
// ready, and runs until it is stopped.

// The library's notices go to standard error: standard output has only that line.
console.info = console.error;

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';

import { Authority } from './authority.mjs';
import { Consent } from './consent.mjs';
import { controls } from './control.mjs';
import { Outage, Stats } from './faults.mjs';
import { ALGORITHMS, Keyring, isAlgorithm } from './keys.mjs';

const HOST = '127.0.0.1';

const USAGE = `usage: provider.mjs [--port N] [--tls-cert FILE --tls-key FILE [--mutual-tls]] [--issuer URL] [--path /PATH]
  [--resource URI=SCOPE,SCOPE ...] [--default-resource URI] [--alg ${ALGORITHMS.join('|')}] [--ttl SECONDS]
  [--client ID:SECRET ...] [--account NAME] [--opaque]`;

function options() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'mutual-tls': { type: 'boolean', default: false },
      issuer: { type: 'string' },
      path: { type: 'string', default: '' },
      resource: { type: 'string', multiple: true, default: [] },
      'default-resource': { type: 'string' },
      alg: { type: 'string', default: 'RS256' },
      ttl: { type: 'string', default: '3600' },
      client: { type: 'string', multiple: true, default: ['machine:machine-secret'] },
      account: { type: 'string', default: 'alice' },
      opaque: { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  if (values.help) throw new Error('');
  if (!isAlgorithm(values.alg)) throw new Error(`--alg is one of ${ALGORITHMS.join(', ')}`);
  if (!values['tls-cert'] !== !values['tls-key']) throw new Error('--tls-cert and --tls-key go together');
  if (values['mutual-tls'] && !values['tls-cert']) throw new Error('--mutual-tls needs --tls-cert');
  return values;
}

/** `URI=SCOPE,SCOPE`; the URI can contain an equals sign itself. */
function parseResource(text) {
  const at = text.lastIndexOf('=');
  if (at < 1) throw new Error(`--resource ${text}: give URI=SCOPE,SCOPE`);
  return { resource: text.slice(0, at), scopes: text.slice(at + 1).split(',').filter(Boolean) };
}

function parseClient(text) {
  const [id, ...secret] = text.split(':');
  if (!id || !secret.length) throw new Error('--client: give ID:SECRET');
  return { id, secret: secret.join(':') };
}

/**
 * The path of a request below the issuer's path, or undefined when it is outside. RFC 8414 §3.1 puts the well-known
 * name before the issuer's path, OpenID Connect Discovery §4 after it.
 */
function withinIssuer(pathname, mount) {
  if (!mount) return pathname;
  const inserted = `/.well-known/oauth-authorization-server${mount}`;
  if (pathname === inserted) return '/.well-known/oauth-authorization-server';
  if (pathname === `${mount}/.well-known/oauth-authorization-server`) return undefined;
  return pathname.startsWith(`${mount}/`) ? pathname.slice(mount.length) : undefined;
}

/** Registration from a browser: oidc-provider answers cross-origin requests everywhere else, but not here. */
function openRegistration(req, res) {
  res.setHeader('access-control-allow-origin', '*');
  if (req.method !== 'OPTIONS') return false;
  res.setHeader('access-control-allow-headers', req.headers['access-control-request-headers'] ?? '*');
  res.writeHead(204).end();
  return true;
}

function handler({ authority, outage, stats, mount }) {
  const control = controls({ authority, outage, stats });
  return async (req, res) => {
    const url = new URL(req.url, `http://${HOST}`);
    if (url.pathname.startsWith('/__control/')) return control(req, res, url);
    stats.count(url.pathname);
    if (await outage.intercept(res)) return undefined;
    const place = withinIssuer(url.pathname, mount);
    if (!place) return res.writeHead(404).end();
    if (place === '/reg' && openRegistration(req, res)) return undefined;
    if (mount) {
      req.originalUrl = `${mount}${place}${url.search}`;
      req.url = `${place}${url.search}`;
    }
    return authority.callback(req, res);
  };
}

function listen(values) {
  // With --mutual-tls any certificate of a client will do: tokens are bound to it, and it proves nothing else.
  const certificates = values['tls-cert'] && {
    cert: readFileSync(values['tls-cert']),
    key: readFileSync(values['tls-key']),
    requestCert: values['mutual-tls'],
    rejectUnauthorized: false,
  };
  const server = certificates ? https.createServer(certificates) : http.createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(values.port), HOST, () => resolve(server));
  });
}

async function main() {
  const values = options();
  const resources = values.resource.map(parseResource);
  const clients = values.client.map(parseClient);
  const server = await listen(values);
  const { port } = server.address();
  const scheme = values['tls-cert'] ? 'https' : 'http';
  const issuer = values.issuer ?? `${scheme}://${HOST}:${port}${values.path}`;
  const settings = {
    issuer,
    clients,
    alg: values.alg,
    ttl: Number(values.ttl),
    mutualTls: values['mutual-tls'],
    account: values.account,
    defaultResource: values['default-resource'],
    opaque: values.opaque,
  };
  const authority = new Authority(settings, new Keyring(), new Consent());
  for (const resource of resources) authority.addResource(resource);
  server.on('request', handler({ authority, outage: new Outage(), stats: new Stats(), mount: values.path }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
  process.stdout.write(`${JSON.stringify({ issuer, port })}\n`);
}

main().catch((error) => {
  console.error(error.message ? `${error.message}\n${USAGE}` : USAGE);
  process.exit(error.message ? 2 : 0);
});
