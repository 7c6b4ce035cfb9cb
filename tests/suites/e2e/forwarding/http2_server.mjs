// An MCP server on Node's http2 module, without TLS. The name of a called tool says what happens to the call.
import http2 from 'node:http2';

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;
let sessions = 0;
let calls = 0;
let refusals = 0;

const server = http2.createServer({ settings: { maxConcurrentStreams: 200 } });
server.on('session', () => { sessions += 1; });
server.on('stream', (stream, headers) => {
  const parts = [];
  stream.on('error', () => {});
  stream.on('data', (part) => parts.push(part));
  stream.on('end', () => answer(stream, headers, Buffer.concat(parts)));
});

function answer(stream, headers, body) {
  calls += 1;
  const { id = null, params = {} } = JSON.parse(body.toString() || '{}');
  const result = { sessions, calls, bytes: body.length, headers, padding: 'x'.repeat(params.arguments?.padding ?? 0) };
  const text = JSON.stringify({ jsonrpc: '2.0', id, result });
  const head = { ':status': 200, 'content-type': 'application/json' };
  const whole = (more = {}) => { stream.respond({ ...head, ...more }); stream.end(text); };
  switch (params.name) {
    case 'slow': return void setTimeout(whole, 500);
    case 'announced': return whole({ 'content-length': Buffer.byteLength(text) });
    case 'cut short':
      stream.respond({ ...head, 'content-length': Buffer.byteLength(text) + 1 });
      stream.write(text);
      return void setTimeout(() => stream.close(NGHTTP2_CANCEL), 50);
    case 'refused once':
      refusals += 1;
      return refusals === 1 ? stream.close(NGHTTP2_REFUSED_STREAM) : whole();
    case 'goes away':
      stream.session.goaway();
      return whole();
    case 'destroyed': return stream.session.destroy();
    case 'with trailers':
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'yes' }));
      return void stream.end(text);
    default: return whole();
  }
}

server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
