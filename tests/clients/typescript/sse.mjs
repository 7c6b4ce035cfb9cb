// A client on `@modelcontextprotocol/sdk` 1.x with the transport HTTP+SSE (MCP 2024-11-05): gets a token, lists the tools, and calls
// `echo` twice. With `--fallback` it begins with Streamable HTTP, as clients that know both transports do.
//
// Prints its findings on standard output as one line of JSON; exit code 0 when everything worked.

import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { AutomaticUser, retrying } from './oauth.mjs';

/** Timeout of the whole run, in milliseconds. */
const DEADLINE = 60_000;

const url = new URL(process.argv[2]);
const user = new AutomaticUser({ record: () => {}, loginHint: 'carol', refreshTokens: 'none' });
setTimeout(() => process.exit(1), DEADLINE).unref();

let client;
let transport;
const opening = (Transport) => () => {
  client = new Client({ name: 'typescript-sse', version: '1.0.0' });
  transport = new Transport(url, { authProvider: user });
  return client.connect(transport);
};
const call = retrying(UnauthorizedError, async () => transport.finishAuth((await user.takeCallback()).get('code')));

const findings = {};
if (process.argv.includes('--fallback')) {
  try {
    await call(opening(StreamableHTTPClientTransport));
    findings.fallback = 'it was not refused';
  } catch (error) {
    findings.fallback = error.code ?? String(error);
  }
}
await call(opening(SSEClientTransport));
findings.tools = (await client.listTools()).tools.map((tool) => tool.name);
findings.echoes = [];
for (const message of ['hello', 'again']) {
  const { content } = await client.callTool({ name: 'echo', arguments: { message } });
  findings.echoes.push(content[0].text);
}
await client.close();
console.log(JSON.stringify(findings));
process.exit(0);
