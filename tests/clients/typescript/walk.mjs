// What both TypeScript clients do after they have a token, and the program around it: arguments, findings on standard output as
// one line of JSON, exit code. `--scenario step-up` runs the scenario of `step_up.mjs` instead of the walk, `calls` that of `calls.mjs`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { parseArgs } from 'node:util';

import { decodeJwt } from 'jose';

import { calls } from './calls.mjs';
import { AutomaticUser, REFRESH_TOKENS } from './oauth.mjs';
import { namingOnlyMissing, stepUp } from './step_up.mjs';
import { recorder } from './steps.mjs';

/** Timeout of the whole walk, in milliseconds. The scenario `calls` waits for its test. */
const DEADLINE = 60_000;
const CALLS_DEADLINE = 600_000;

const SCENARIOS = ['walk', 'step-up', 'calls'];

/** What a refusal names: all scopes for the call, as the server sends it, or only those that the token lacks. */
const CHALLENGES = ['whole', 'missing'];

const TOOLS = ['create_task', 'list_tasks', 'secure_echo', 'generate_report'];

/** Slow enough that the steps are sent one by one. */
const REPORT = { steps: 4, delay_ms: 100 };

/**
 * Runs a client program. `connect({ url, mode, user, fetch })` resolves to a connection: `protocolVersion`,
 * `listTools()`, `callTool(name, arguments, onprogress)`, `readResource(uri)`, `getPrompt(name, arguments)`, `close()`.
 */
export async function run({ name, modes, refreshTokens, connect }) {
  try {
    const options = parse(modes, refreshTokens);
    if (options.ca) trust(options.ca);
    const deadline = options.scenario === 'calls' ? CALLS_DEADLINE : DEADLINE;
    setTimeout(() => fail(name, new Error(`not done within ${deadline} ms`)), deadline).unref();
    const findings = await findingsOf(options, connect);
    process.stdout.write(`${JSON.stringify({ client: name, mode: options.mode, ...findings })}\n`);
    process.exitCode = 0;
  } catch (error) {
    fail(name, error);
  }
}

function parse(modes, refreshTokens) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      mode: { type: 'string', default: modes[0] },
      scenario: { type: 'string', default: 'walk' },
      challenge: { type: 'string', default: 'whole' },
      'refresh-tokens': { type: 'string', default: refreshTokens },
      'login-hint': { type: 'string' },
      person: { type: 'string' },
      'client-metadata-url': { type: 'string' },
      ca: { type: 'string' },
    },
  });
  if (positionals.length !== 1) throw new Error('give the URL of the MCP server');
  oneOf('mode', values.mode, modes);
  oneOf('scenario', values.scenario, SCENARIOS);
  oneOf('challenge', values.challenge, CHALLENGES);
  oneOf('refresh-tokens', values['refresh-tokens'], REFRESH_TOKENS);
  return {
    url: new URL(positionals[0]),
    mode: values.mode,
    scenario: values.scenario,
    challenge: values.challenge,
    refreshTokens: values['refresh-tokens'],
    loginHint: values['login-hint'],
    person: values.person,
    clientMetadataUrl: values['client-metadata-url'],
    ca: values.ca,
  };
}

function oneOf(name, value, allowed) {
  if (!allowed.includes(value)) throw new Error(`--${name} is one of ${allowed.join(', ')}`);
}

function trust(file) {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(file, 'utf8')]);
}

function fail(name, error) {
  console.error(`${name}: ${error.message}`);
  console.error(error);
  process.exit(1);
}

async function findingsOf({ url, mode, scenario, challenge, ...choices }, connect) {
  const { steps, fetch, record } = recorder(url, (response) => refused(response));
  const user = new AutomaticUser({ record, ...choices });
  const scope = () => identity(user.tokens())?.scope;
  function refused(response) {
    user.stepsUp();
    return challenge === 'missing' ? namingOnlyMissing(response, scope()) : response;
  }
  const connection = await connect({ url, mode, user, fetch });
  const seen = await { walk, 'step-up': () => stepUp(connection, scope), calls }[scenario](connection, user);
  return { protocol_version: connection.protocolVersion, auth: { steps, token: identity(user.tokens()) }, ...seen };
}

async function walk(connection, user) {
  const seen = await useServer(connection);
  await connection.close();
  const subject = identity(user.tokens())?.sub ?? 'anonymous';
  assert.equal(seen.subject, subject, 'secure_echo names another subject than the token');
  return seen;
}

async function useServer(connection) {
  const tools = await connection.listTools();
  for (const tool of TOOLS) assert(tools.includes(tool), `tool ${tool} is not listed`);

  const title = `Task ${crypto.randomUUID()}`;
  const created = content(await connection.callTool('create_task', { title }));
  assert.equal(created.title, title, 'create_task');
  const listed = content(await connection.callTool('list_tasks', {}));
  assert(listed.tasks.some((task) => task.title === title), 'list_tasks lacks the new task');
  const echo = content(await connection.callTool('secure_echo', { message: 'hello' }));
  assert.equal(echo.message, 'hello', 'secure_echo');

  const resource = await connection.readResource('tasks://all');
  const text = resource.contents.map((part) => part.text).join('\n');
  assert(text.includes(title), 'tasks://all lacks the new task');
  const prompt = await connection.getPrompt('prioritize_tasks', { focus: 'urgency' });
  const words = prompt.messages.map((message) => message.content.text).join('\n');
  assert(words.includes(title), 'prioritize_tasks lacks the new task');

  let progress = 0;
  const report = content(await connection.callTool('generate_report', REPORT, () => { progress += 1; }));
  assert.equal(progress, REPORT.steps, 'progress notifications of generate_report');
  return { tools, created, listed: listed.tasks.length, subject: echo.subject, resource: text, prompt: words, progress, report };
}

/** The structured content of a tool result, which must not be an error. */
function content(result) {
  assert(!result.isError, `tool error: ${JSON.stringify(result.content)}`);
  assert(result.structuredContent, `no structured content: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}

/** The claims of the access token, read without checking the signature: the server does that. */
function identity(tokens) {
  if (!tokens) return null;
  const { iss, sub, aud, scope } = decodeJwt(tokens.access_token);
  return { iss, sub, aud, scope };
}
