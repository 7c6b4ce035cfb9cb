// Debian's `glewlwyd` (C, SQLite) as the company's provider: a database of its own in a temporary folder, set up through its API with a
// scope for each question, the people, and one confidential client. Prints one line of JSON when it is ready.

import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

import { PASSWORD, PEOPLE } from '../people.mjs';

const PAGES = '/usr/share/glewlwyd/webapp';
const PAGES_CONFIG = '/usr/share/glewlwyd/templates/config.json';
const SCHEMA = '/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz';

/** The first administrator of a new database. */
const ADMINISTRATOR = { username: 'admin', password: 'password' };

/** Milliseconds that a busy machine may take to start it. */
const START = 60_000;

/** What the gateway can ask for. */
const SCOPES = ['openid', 'profile', 'email', 'groups'];

/** What the database knows of a user beside the usual. */
const USERS = {
  'use-glewlwyd-connection': true,
  'data-format': {
    groups: { multiple: true, read: true, write: true },
    email_verified: { multiple: false, read: true, write: true },
  },
};

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    'client-id': { type: 'string', default: 'gateway' },
    'client-secret': { type: 'string', default: 'the-secret-of-the-gateway-at-its-provider' },
    redirect: { type: 'string', multiple: true, default: [] },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'glewlwyd-'));
const origin = `http://localhost:${values.port}`;

function prepare() {
  const database = join(folder, 'glewlwyd.db');
  const users = `UPDATE g_user_module_instance SET gumi_parameters = '${JSON.stringify(USERS)}';`;
  execFileSync('sqlite3', [database], { input: `${gunzipSync(readFileSync(SCHEMA))}\n${users}` });
  mkdirSync(join(folder, 'none'));
  // It serves nothing that a link leads to, and Debian links to other packages.
  const pages = join(folder, 'pages');
  cpSync(PAGES, pages, { recursive: true, dereference: true, filter: (path) => !path.endsWith('/config.json') });
  copyFileSync(PAGES_CONFIG, join(pages, 'config.json'));
  const template = readFileSync(new URL('glewlwyd.conf', import.meta.url), 'utf8');
  const file = join(folder, 'glewlwyd.conf');
  writeFileSync(file, template.replaceAll('{port}', values.port).replaceAll('{folder}', folder));
  return file;
}

/** Started so that it ends with this process, however that ends. */
function start(file) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'glewlwyd', '--config-file', file], { stdio: ['ignore', 2, 2] });
  child.once('exit', (code) => {
    console.error(`glewlwyd ended: ${code}`);
    process.exit(1);
  });
  const end = () => {
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end);
}

let cookie = '';

async function api(method, path, body) {
  const headers = { 'content-type': 'application/json', cookie };
  const answer = await fetch(`${origin}/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
}

async function signInAsAdministrator() {
  const end = Date.now() + START;
  for (;;) {
    try {
      await api('POST', 'auth/', ADMINISTRATOR);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await delay(50);
    }
  }
}

/** The plugin that speaks OpenID Connect; its name is the path of the issuer. */
function plugin() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const claim = (name, property, scope, more = {}) => ({ name, 'user-property': property, type: 'string', mandatory: true, 'on-demand': false, scope: [scope], ...more });
  return {
    module: 'oidc',
    name: 'oidc',
    display_name: 'OpenID Connect',
    enabled: true,
    parameters: {
      iss: `${origin}/api/oidc`,
      'jwt-type': 'rsa',
      'jwt-key-size': '256',
      key: privateKey,
      cert: publicKey,
      'jwks-show': true,
      'subject-type': 'public',
      'code-duration': 60,
      'access-token-duration': 3600,
      'refresh-token-duration': 86400,
      'refresh-token-rolling': false,
      'refresh-token-one-use': 'always',
      'auth-type-code-enabled': true,
      'auth-type-refresh-enabled': true,
      'pkce-allowed': true,
      'pkce-required': true,
      'allowed-scope': SCOPES,
      'name-claim': 'mandatory',
      'name-claim-scope': ['profile'],
      'email-claim': 'mandatory',
      'email-claim-scope': ['email'],
      claims: [claim('groups', 'groups', 'groups'), claim('email_verified', 'email_verified', 'email', { type: 'boolean', 'boolean-value-true': 'yes', 'boolean-value-false': 'no' })],
      'authorization-response-iss-parameter-supported': true,
      'introspection-revocation-allowed': true,
      'introspection-revocation-allow-target-client': true,
    },
  };
}

async function setUp() {
  for (const name of SCOPES.slice(1)) await api('POST', 'scope/', { name, display_name: name, password_required: true, scheme: {} });
  await api('PUT', 'scope/openid', { display_name: 'openid', password_required: true, scheme: {} });
  for (const { name, label, email, verified, groups } of PEOPLE) {
    const about = { name: label, email, email_verified: verified ? 'yes' : 'no', groups: groups.slice(0, 20) };
    await api('POST', 'user/', { username: name, password: PASSWORD, enabled: true, scope: SCOPES, ...about });
  }
  await api('POST', 'mod/plugin/', plugin());
  await api('POST', 'client/', {
    client_id: values['client-id'],
    name: 'The gateway',
    enabled: true,
    confidential: true,
    client_secret: values['client-secret'],
    redirect_uri: values.redirect,
    authorization_type: ['code', 'refresh_token'],
    token_endpoint_auth_method: ['client_secret_basic'],
    scope: [],
  });
}

start(prepare());
await signInAsAdministrator();
await setUp();
process.stdout.write(`${JSON.stringify({ issuer: `${origin}/api/oidc`, origin })}\n`);
