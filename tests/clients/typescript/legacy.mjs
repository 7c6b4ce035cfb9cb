// A client on `@modelcontextprotocol/sdk` 1.x: `initialize`, sessions, protocol versions up to 2025-11-25.

import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { retrying } from './oauth.mjs';
import { run } from './walk.mjs';

async function connect({ url, user, fetch }) {
  let client;
  let transport;
  const open = () => {
    client = new Client({ name: 'typescript-legacy', version: '1.0.0' });
    transport = new StreamableHTTPClientTransport(url, { authProvider: user, fetch });
    return client.connect(transport);
  };
  const call = retrying(UnauthorizedError, async () => transport.finishAuth((await user.takeCallback()).get('code')));
  await call(open);
  return {
    protocolVersion: transport.protocolVersion,
    listTools: async () => (await call(() => client.listTools())).tools.map((tool) => tool.name),
    callTool: (name, args, onprogress) => call(
      () => client.callTool({ name, arguments: args }, undefined, onprogress && { onprogress }),
    ),
    readResource: (uri) => call(() => client.readResource({ uri })),
    getPrompt: (name, args) => call(() => client.getPrompt({ name, arguments: args })),
    close: async () => {
      try {
        await transport.terminateSession();
      } finally {
        await client.close();
      }
    },
  };
}

await run({
  name: 'typescript-legacy',
  modes: ['legacy'],
  // With a refresh token this SDK answers a step-up by refreshing, which cannot widen the scope.
  refreshTokens: 'none',
  connect,
});
