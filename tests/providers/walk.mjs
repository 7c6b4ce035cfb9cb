// Signs somebody in at a provider without a browser: discovery, the provider's forms, the code redeemed. Prints the answer of the
// token endpoint and the claims of the ID token. For looking at a provider by hand; the tests use the same steps.
//
//   node walk.mjs ISSUER [--client-id ID] [--client-secret SECRET] [--redirect URI] [--user NAME] [--scope SCOPES]

import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';

import { PASSWORD } from './people.mjs';
import { decodeJwt } from './packages.mjs';

/** Pages and redirects until the answer. */
const MOST_STEPS = 20;

const { values, positionals: [issuer] } = parseArgs({
  allowPositionals: true,
  options: {
    'client-id': { type: 'string', default: 'gateway' },
    'client-secret': { type: 'string', default: 'the-secret-of-the-gateway-at-its-provider' },
    redirect: { type: 'string', default: 'http://127.0.0.1:7777/callback/company' },
    user: { type: 'string', default: 'ana' },
    scope: { type: 'string', default: 'openid profile email offline_access' },
    method: { type: 'string', default: 'client_secret_basic' },
    extra: { type: 'string', default: '' },
  },
});

const cookies = new Map();

async function request(url, body) {
  const headers = { 'accept-language': 'en', cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
  const answer = await fetch(url, { method: body ? 'POST' : 'GET', body, headers, redirect: 'manual' });
  for (const set of answer.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
    cookies.set(name, value);
  }
  return answer;
}

/** The first form of a page, filled in. */
function filled(html) {
  const form = new URLSearchParams();
  const [, inside] = /<form[^>]*>([\s\S]*?)<\/form>/.exec(html) ?? [];
  if (!inside) throw new Error(`no form: ${html.slice(0, 2000)}`);
  const attribute = (tag, name) => (new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? '').replaceAll('&amp;', '&');
  for (const [tag] of inside.matchAll(/<input[^>]*>/g)) {
    const name = attribute(tag, 'name');
    const isPassword = attribute(tag, 'type') === 'password';
    const isAccount = /^(username|login|user)$/.test(name);
    form.set(name, isPassword ? PASSWORD : isAccount ? values.user : attribute(tag, 'value'));
  }
  const button = [...inside.matchAll(/<button[^>]*>/g)].map(([tag]) => tag).find((tag) => !/cancel|deny|no\b|logout/.test(tag));
  if (button && attribute(button, 'name')) form.set(attribute(button, 'name'), attribute(button, 'value'));
  return { action: attribute(/<form[^>]*>/.exec(html)[0], 'action'), form };
}

async function signIn(start) {
  let url = start;
  let answer = await request(url);
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const location = answer.headers.get('location');
    if (location) {
      url = new URL(location, url).href;
      if (url.startsWith(values.redirect)) return new URL(url);
      answer = await request(url);
    } else {
      const html = await answer.text();
      console.error(`${answer.status} ${url}: ${/<title>([^<]*)/.exec(html)?.[1]?.trim()}`);
      const { action, form } = filled(html);
      url = new URL(action || url, url).href;
      answer = await request(url, form);
    }
  }
  throw new Error('no answer');
}

const base = issuer.replace(/\/$/, '');
const metadata = await (await fetch(`${base}/.well-known/openid-configuration`)).json();
const verifier = randomBytes(32).toString('base64url');
const [state, nonce] = [randomBytes(8).toString('hex'), randomBytes(8).toString('hex')];
const query = new URLSearchParams({
  response_type: 'code',
  client_id: values['client-id'],
  redirect_uri: values.redirect,
  scope: values.scope,
  state,
  nonce,
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
  ...Object.fromEntries(new URLSearchParams(values.extra)),
});
const response = await signIn(`${metadata.authorization_endpoint}?${query}`);
console.log({ issuer: metadata.issuer, response: response.href });
const token = await fetch(metadata.token_endpoint, {
  method: 'POST',
  headers: values.method === 'client_secret_basic' ? { authorization: `Basic ${btoa(`${encodeURIComponent(values['client-id'])}:${encodeURIComponent(values['client-secret'])}`)}` } : {},
  body: new URLSearchParams({
    grant_type: 'authorization_code',
    code: response.searchParams.get('code'),
    redirect_uri: values.redirect,
    code_verifier: verifier,
    ...(values.method === 'client_secret_post' ? { client_id: values['client-id'], client_secret: values['client-secret'] } : {}),
  }),
});
const tokens = await token.json();
console.log(token.status, tokens, tokens.id_token && decodeJwt(tokens.id_token));
