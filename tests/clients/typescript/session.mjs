// A legacy session on `@modelcontextprotocol/client` 2.x that still works after its server and its token were replaced.
//
// Opens a session and calls a tool. Prints `waiting`, and calls again on SIGUSR2: if the token is no longer accepted, the
// SDK refreshes it. Prints its findings on standard output as one line of JSON; exit code 0 when both calls passed.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

import { AutomaticUser, retrying } from './oauth.mjs';

/** Timeout of the whole run, in milliseconds. */
const DEADLINE = 60_000;

const url = new URL(process.argv[2]);
const sessions = new Set();
const recording = (input, init) => {
  const sent = new Headers(init?.headers).get('mcp-session-id');
  if (sent) sessions.add(sent);
  return fetch(input, init);
};
const user = new AutomaticUser({ record: () => {}, loginHint: 'carol', refreshTokens: 'kept' });

setTimeout(() => process.exit(1), DEADLINE).unref();
let client;
let transport;
const open = () => {
  client = new Client({ name: 'typescript-session', version: '1.0.0' }, { versionNegotiation: { mode: 'legacy' } });
  transport = new StreamableHTTPClientTransport(url, { authProvider: user, fetch: recording });
  return client.connect(transport);
};
const passes = async () => !(await client.callTool({ name: 'list_tasks', arguments: {} })).isError;

await retrying(UnauthorizedError, async () => transport.finishAuth(await user.takeCallback()))(open);
const calls = [await passes()];
const token = user.tokens().access_token;
const resumed = new Promise((resolve) => { process.once('SIGUSR2', resolve); });
console.log('waiting');
await resumed;
calls.push(await passes());
const refreshed = user.tokens().access_token !== token;
console.log(JSON.stringify({ calls, sessions: [...sessions], refreshed }));
process.exit(0);
