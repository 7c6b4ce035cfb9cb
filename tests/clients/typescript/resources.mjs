// A legacy server on npm `@modelcontextprotocol/sdk` with the resources of its arguments, each of which answers with its own URI.
// The SDK looks a resource up by `new URL(uri).toString()`. Prints its port as one line of JSON.

import { createServer } from 'node:http';

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const uris = process.argv.slice(2);

function server() {
    const server = new McpServer({ name: 'resources', version: '1.0.0' });
    for (const uri of uris) {
        server.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: uri }] }));
    }
    return server;
}

const listener = createServer(async (request, response) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
    await server().connect(transport);
    await transport.handleRequest(request, response);
});

listener.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: listener.address().port })));
