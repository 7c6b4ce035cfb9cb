// A client on `@modelcontextprotocol/client` 2.x: 2026-07-28 without sessions, and the legacy handshake on demand.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

import { retrying } from './oauth.mjs';
import { run } from './walk.mjs';

const NEGOTIATION = { modern: { pin: '2026-07-28' }, auto: 'auto', legacy: 'legacy' };

async function connect({ url, mode, user, fetch }) {
  const versionNegotiation = { mode: NEGOTIATION[mode] };
  let client;
  let transport;
  const open = () => {
    client = new Client({ name: 'typescript-modern', version: '1.0.0' }, { versionNegotiation });
    transport = new StreamableHTTPClientTransport(url, { authProvider: user, fetch });
    return client.connect(transport);
  };
  const call = retrying(UnauthorizedError, async () => transport.finishAuth(await user.takeCallback()));
  await call(open);
  return {
    protocolVersion: client.getNegotiatedProtocolVersion(),
    listTools: async () => (await call(() => client.listTools())).tools.map((tool) => tool.name),
    callTool: (name, args, onprogress) => call(
      () => client.callTool({ name, arguments: args }, onprogress && { onprogress }),
    ),
    readResource: (uri) => call(() => client.readResource({ uri })),
    getPrompt: (name, args) => call(() => client.getPrompt({ name, arguments: args })),
    close: async () => {
      try {
        if (transport.sessionId) await transport.terminateSession();
      } finally {
        await client.close();
      }
    },
  };
}

await run({
  name: 'typescript-modern',
  modes: ['modern', 'auto', 'legacy'],
  refreshTokens: 'kept',
  connect,
});
