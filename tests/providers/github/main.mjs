// A fake of GitHub's OAuth, written for these tests from its documentation: the authorization and token endpoints of OAuth apps, and the
// few API paths that say who somebody is, with pages of organizations and teams. It is not GitHub's code and shows nothing about GitHub itself.
// The API is below `/api/v3`, as at an Enterprise Server. It prints one line of JSON when it is ready.

import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { answer, escape } from '../company/pages.mjs';
import { Stats, controls, read } from '../control.mjs';
import { PASSWORD, PEOPLE, personNamed } from '../people.mjs';

const ADDRESS = '127.0.0.1';
const API = '/api/v3';

/** Entries of a page where nothing is asked for, and at most. */
const PAGE = { usual: 30, most: 100 };

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: 'localhost' },
    'client-id': { type: 'string', default: 'gateway' },
    'client-secret': { type: 'string', default: 'the-secret-of-the-gateway-at-its-provider' },
    redirect: { type: 'string', multiple: true, default: [] },
  },
});

const random = (prefix) => prefix + randomBytes(20).toString('hex');

/** Requests for a code by their id, codes, and tokens. */
const state = { asked: new Map(), codes: new Map(), tokens: new Map(), disabled: new Set(), left: new Map(), fault: {} };
const stats = new Stats();

const json = (res, status, body, headers = {}) => {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  res.end(JSON.stringify(body));
};

/** The first page: somebody signs in and allows the app in one step. */
function authorize(res, query) {
  const redirect = query.get('redirect_uri') ?? values.redirect[0];
  if (query.get('client_id') !== values['client-id']) return answer(res, 404, 'Not found', '');
  if (!values.redirect.includes(redirect)) return answer(res, 400, 'The redirect_uri is not associated with this application', '');
  const id = random('');
  state.asked.set(id, { redirect, state: query.get('state'), scope: query.get('scope') ?? '', challenge: query.get('code_challenge') });
  return answer(res, 200, 'Sign in to the fake GitHub', form(id, ''));
}

const form = (id, problem) => `<p role="alert">${escape(problem)}<form method="post" action="/session"><input type="hidden" name="id" value="${id}">
<p><label>Account <input name="username" autocomplete="username" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button>Authorize</button> <button name="cancel" value="yes" formnovalidate>Cancel</button></form>`;

async function session(req, res) {
  const submitted = new URLSearchParams(await read(req));
  const id = submitted.get('id');
  const asked = state.asked.get(id);
  if (!asked) return answer(res, 404, 'Not found', '');
  const to = new URL(asked.redirect);
  if (submitted.get('cancel')) {
    to.searchParams.set('error', 'access_denied');
    to.searchParams.set('error_description', 'The user has denied your application access.');
  } else {
    const person = personNamed(submitted.get('username'));
    const isRight = person && submitted.get('password') === PASSWORD && !state.disabled.has(person.name);
    if (!isRight) return answer(res, 403, 'Sign in to the fake GitHub', form(id, 'Incorrect username or password.'));
    const code = randomBytes(10).toString('hex');
    state.codes.set(code, { ...asked, person });
    to.searchParams.set('code', code);
  }
  if (asked.state !== null) to.searchParams.set('state', asked.state);
  state.asked.delete(id);
  return res.writeHead(302, { location: to.href }).end();
}

/** Errors have the status 200, as at GitHub. */
async function token(req, res) {
  const sent = new URLSearchParams(await read(req));
  const reply = (body) => (req.headers.accept?.includes('json')
    ? json(res, 200, body)
    : res.writeHead(200, { 'content-type': 'application/x-www-form-urlencoded' }).end(new URLSearchParams(body).toString()));
  const error = (name) => reply({ error: name, error_description: `The fake says ${name}.`, error_uri: 'https://docs.github.com/' });
  if (sent.get('client_id') !== values['client-id'] || sent.get('client_secret') !== values['client-secret']) return error('incorrect_client_credentials');
  const code = state.codes.get(sent.get('code'));
  state.codes.delete(sent.get('code'));
  const challenge = createHash('sha256').update(sent.get('code_verifier') ?? '').digest('base64url');
  if (!code || (code.challenge && code.challenge !== challenge)) return error('bad_verification_code');
  if (sent.has('redirect_uri') && sent.get('redirect_uri') !== code.redirect) return error('redirect_uri_mismatch');
  const access = random('gho_');
  const scope = code.scope.split(/[ ,]+/).filter(Boolean).join(',');
  state.tokens.set(access, { person: code.person, scope });
  return reply({ access_token: access, scope, token_type: 'bearer' });
}

/** Organizations and teams of somebody, without those that a test took away. */
function memberships({ name, organizations, teams }) {
  const left = state.left.get(name) ?? new Set();
  const isIn = (organization) => !left.has(organization);
  return { organizations: organizations.filter(isIn), teams: teams.filter((team) => isIn(team.split('/')[0]) && !left.has(team)) };
}

const organization = (login, index) => ({ login, id: 1000 + index });

const API_PATHS = [
  ['', /^\/user$/, ({ name, id, label, email, verified }) => ({ login: name, id: Number(id), name: label, email: verified ? email : null, type: 'User' })],
  ['user:email', /^\/user\/emails$/, ({ email, verified }) => [{ email, primary: true, verified, visibility: 'private' }]],
  ['read:org', /^\/user\/orgs$/, (person) => memberships(person).organizations.map(organization)],
  ['read:org', /^\/user\/teams$/, (person) => memberships(person).teams.map((team, index) => ({
    id: 2000 + index, slug: team.split('/')[1], name: team.split('/')[1], organization: organization(team.split('/')[0], 0),
  }))],
  ['read:org', /^\/user\/memberships\/orgs\/([^/]+)$/, (person, login) => (memberships(person).organizations.includes(login)
    ? { state: 'active', role: 'member', organization: organization(login, 0) } : undefined)],
  ['read:org', /^\/orgs\/([^/]+)\/teams\/([^/]+)\/memberships\/([^/]+)$/, (person, login, slug, name) => (person.name === name
    && memberships(person).teams.includes(`${login}/${slug}`) ? { state: 'active', role: 'member' } : undefined)],
];

function api(req, res, url) {
  // GitHub refuses requests without one.
  if (!req.headers['user-agent']) return json(res, 403, { message: 'Request forbidden by administrative rules.' });
  const [, access] = /^(?:Bearer|token) (.+)$/i.exec(req.headers.authorization ?? '') ?? [];
  const known = state.tokens.get(access);
  if (!known || state.disabled.has(known.person.name)) return json(res, 401, { message: 'Bad credentials' });
  const path = decodeURIComponent(url.pathname.slice(API.length));
  for (const [scope, pattern, find] of API_PATHS) {
    const match = pattern.exec(path);
    if (!match) continue;
    if (scope && !known.scope.split(',').includes(scope)) return json(res, 403, { message: 'Resource not accessible.' }, { 'x-accepted-oauth-scopes': scope });
    const found = find(known.person, ...match.slice(1));
    if (found === undefined) return json(res, 404, { message: 'Not Found' });
    return Array.isArray(found) ? page(res, url, found, known.scope) : json(res, 200, found, { 'x-oauth-scopes': known.scope });
  }
  return json(res, 404, { message: 'Not Found' });
}

/** One page of a list, with the address of the next one. */
function page(res, url, entries, scope) {
  const size = Math.min(Number(url.searchParams.get('per_page') ?? PAGE.usual) || PAGE.usual, PAGE.most);
  const number = Number(url.searchParams.get('page') ?? 1) || 1;
  const next = new URL(url);
  next.searchParams.set('page', number + 1);
  const more = number * size < entries.length ? { link: `<${next.href}>; rel="next"` } : {};
  return json(res, 200, entries.slice((number - 1) * size, number * size), { 'x-oauth-scopes': scope, ...more });
}

const control = controls({
  'POST fault': (body) => { state.fault = body; },
  'POST clear': () => { state.fault = {}; },
  'POST disable': ({ name }) => void state.disabled.add(name),
  'POST enable': ({ name }) => void state.disabled.delete(name),
  // Somebody leaves an organization, or a team of it.
  'POST leave': ({ name, place }) => void state.left.set(name, new Set([...(state.left.get(name) ?? []), place])),
  'GET stats': () => stats,
  'POST stats/reset': () => stats.reset(),
});

const endpointOf = (pathname) => (pathname.startsWith(API) ? pathname.slice(API.length + 1) : pathname.split('/').at(-1));

/** Faults by endpoint (`access_token`, `user`, `user/orgs`): `{ ms, status, body, headers }`. */
async function spoilt(res, endpoint) {
  const fault = state.fault[endpoint];
  if (!fault) return false;
  if (fault.ms) await delay(fault.ms);
  if (fault.status) json(res, fault.status, fault.body ?? { message: 'a fault' }, fault.headers);
  return Boolean(fault.status);
}

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, `http://${values.host}:${server.address().port}`);
  if (url.pathname.startsWith('/__control/')) return control(req, res, url);
  const endpoint = endpointOf(url.pathname);
  stats.count(endpoint);
  if (await spoilt(res, endpoint)) return undefined;
  if (url.pathname.startsWith(`${API}/`)) return api(req, res, url);
  switch (`${req.method} ${url.pathname}`) {
    case 'GET /login/oauth/authorize': return authorize(res, url.searchParams);
    case 'POST /session': return session(req, res);
    case 'POST /login/oauth/access_token': return token(req, res);
    default: return answer(res, 404, 'Not found', '');
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
server.listen(Number(values.port), ADDRESS, () => {
  const origin = `http://${values.host}:${server.address().port}`;
  console.log(JSON.stringify({ issuer: origin, origin, api: `${origin}${API}`, people: PEOPLE.length }));
});
