// An OAuth client for the scenarios: it registers itself, listens at a loopback redirect URI, and redeems codes.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";

// Milliseconds until an answer must have come.
const DEADLINE = 30_000;

const random = () => randomBytes(32).toString("base64url");

export class Client {
  // Registers a client with a redirect URI of its own, or with `redirect` in place of it.
  static async register(base, { name = "Example client", redirect } = {}) {
    const client = await Client.listening(base);
    client.redirect = redirect ?? client.redirect;
    const answer = await fetch(`${base}/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_name: name,
        redirect_uris: [client.redirect],
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
      }),
    });
    const registered = await answer.json();
    if (answer.status !== 201) throw new Error(`registration: ${answer.status} ${JSON.stringify(registered)}`);
    client.id = registered.client_id;
    return client;
  }

  // A client that the server has to know by itself.
  static async known(base, id, redirect) {
    const client = await Client.listening(base);
    Object.assign(client, { id, redirect });
    return client;
  }

  static async listening(base) {
    const client = new Client();
    client.base = base;
    client.answers = [];
    client.reply = (response) => response.end("Connected");
    client.server = createServer((request, response) => {
      if (request.url.startsWith("/callback")) client.answers.push(new URL(request.url, client.origin));
      response.setHeader("content-type", "text/plain");
      client.reply(response, request);
    });
    await new Promise((listens) => client.server.listen(0, "127.0.0.1", listens));
    client.origin = `http://127.0.0.1:${client.server.address().port}`;
    client.redirect = `${client.origin}/callback`;
    return client;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  // An authorization request: its URL, and what is needed to redeem the answer.
  ask({ scope = "tasks:read tasks:write offline_access", ...others } = {}) {
    const verifier = random();
    const state = random();
    const query = new URLSearchParams({
      response_type: "code",
      client_id: this.id,
      redirect_uri: this.redirect,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
      state,
      resource: `${this.base}/mcp`,
      scope,
      ...others,
    });
    return { url: `${this.base}/authorize?${query}`, verifier, state };
  }

  // The parameters of the answer number `count`, once it came.
  async answer(count = 1) {
    const end = Date.now() + DEADLINE;
    while (this.answers.length < count) {
      if (Date.now() > end) throw new Error(`answer ${count} did not come to ${this.redirect}`);
      await new Promise((soon) => setTimeout(soon, 10));
    }
    return Object.fromEntries(this.answers[count - 1].searchParams);
  }

  // Redeems a code: status and body.
  async redeem(code, asked) {
    const answer = await fetch(`${this.base}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code,
        redirect_uri: this.redirect,
        client_id: this.id,
        code_verifier: asked.verifier,
        resource: `${this.base}/mcp`,
      }),
    });
    return { status: answer.status, body: await answer.json() };
  }
}
