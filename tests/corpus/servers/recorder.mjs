// A Node HTTP server that records every request as its parser read it from the connection, and every byte sequence it
// could not parse. `GET /recorded` returns the record and clears it. All texts are Latin-1, one character for each byte.

import { createServer } from 'node:http';

let record = { requests: [], errors: [] };
let connections = 0;

function answer(response, type, body) {
  const bytes = Buffer.from(body, 'latin1');
  response.writeHead(200, { 'content-type': type, 'content-length': bytes.length });
  response.end(bytes);
}

function pairs(flat) {
  const fields = [];
  for (let at = 0; at < flat.length; at += 2) fields.push([flat[at].toLowerCase(), flat[at + 1]]);
  return fields;
}

async function whole(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const server = createServer(async (request, response) => {
  if (request.url === '/recorded') {
    const text = JSON.stringify(record);
    record = { requests: [], errors: [] };
    response.writeHead(200, { connection: 'close' });
    response.end(text);
    return;
  }
  const { method, url: target, socket } = request;
  const body = await whole(request);
  record.requests.push({ connection: socket.number, method, target, headers: pairs(request.rawHeaders), body });
  answer(response, 'application/json', body || '{}');
});

server.keepAliveTimeout = 0;
server.on('connection', (socket) => {
  connections += 1;
  socket.number = connections;
});
server.on('clientError', (error, socket) => {
  record.errors.push(String(error.code ?? error.message));
  socket.destroy();
});
for (const event of ['upgrade', 'connect', 'checkContinue', 'checkExpectation']) {
  server.on(event, (request) => {
    record.errors.push(`${event} ${request.method} ${request.url}`);
    request.socket.destroy();
  });
}

server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
