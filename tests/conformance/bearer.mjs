// Preloaded into the conformance suite, which cannot set headers of its own: puts the bearer token of MCP_TOKEN on every request
// to the origin MCP_ORIGIN, for both of Node's HTTP clients. Nothing else in a request changes.

import diagnostics from "node:diagnostics_channel";

const { MCP_ORIGIN: origin, MCP_TOKEN: token } = process.env;
const authorization = `Bearer ${token}`;

// fetch, and the package undici.
diagnostics.subscribe("undici:request:create", ({ request }) => {
  if (String(request.origin) === origin) request.addHeader("authorization", authorization);
});

// node:http.
diagnostics.subscribe("http.client.request.created", ({ request }) => {
  if (`${request.protocol}//${request.getHeader("host")}` === origin) request.setHeader("authorization", authorization);
});
