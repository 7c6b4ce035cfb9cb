// How to get to each page that people can see. `open` returns the answer with the page, or nothing where the gateway under test
// has no such page.

import { Client } from "./client.mjs";
import { expectHeading, press, signIn, toConsent } from "./pages.mjs";

const consent = async (visit, { person }, client, asked = {}) => {
  await toConsent(visit.page, client.ask(asked), person);
  return visit.page.reload();
};

// Wrong passwords that need not wait.
const FREE_ATTEMPTS = 5;

export const PAGES = {
  "sign-in": {
    kind: "sign-in",
    status: 200,
    open: (visit, { client }) => visit.open(client.ask().url),
  },
  "sign-in-wrong": {
    kind: "sign-in",
    status: 403,
    open: async (visit, { client, person }) => {
      await visit.open(client.ask().url);
      await visit.page.getByLabel("User name").fill(person.user);
      await visit.page.getByLabel("Password").fill("wrong");
      return press(visit.page, "Sign in");
    },
  },
  // A name that nobody has is throttled as an account is.
  "sign-in-throttled": {
    kind: "sign-in",
    status: 429,
    open: async (visit, { client }) => {
      await visit.open(client.ask().url);
      let answer;
      for (let attempt = 0; attempt <= FREE_ATTEMPTS; attempt += 1) {
        await visit.page.getByLabel("User name").fill("nobody-who-guesses");
        await visit.page.getByLabel("Password").fill("wrong");
        answer = await press(visit.page, "Sign in");
      }
      return answer;
    },
  },
  "consent-registered": {
    kind: "consent",
    status: 200,
    open: (visit, setting) => consent(visit, setting, setting.client),
  },
  "consent-private-scheme": {
    kind: "consent",
    status: 200,
    open: async (visit, setting) => {
      const redirect = "cursor://anysphere.cursor-mcp/oauth/callback";
      const client = await Client.register(setting.base, { name: "Cursor", redirect });
      client.close();
      return consent(visit, setting, client);
    },
  },
  "consent-configured": {
    kind: "consent",
    status: 200,
    open: async (visit, setting) => {
      if (!setting.configured) return undefined;
      const [id, redirect] = setting.configured.split("=");
      const client = await Client.known(setting.base, id, redirect);
      client.close();
      return consent(visit, setting, client, { scope: "tasks:read" });
    },
  },
  // The copy of a well-known client's metadata document: documents are not fetched here.
  "consent-document": {
    kind: "consent",
    status: 200,
    open: async (visit, setting) => {
      const id = "https://vscode.dev/oauth/client-metadata.json";
      const client = await Client.known(setting.base, id, "http://127.0.0.1:33418/");
      client.close();
      return consent(visit, setting, client);
    },
  },
  "consent-long-name": {
    kind: "consent",
    status: 200,
    open: async (visit, setting) => {
      const name = `${"Unbelievably".repeat(4)} \u202eevil name`;
      const client = await Client.register(setting.base, { name });
      client.close();
      return consent(visit, setting, client);
    },
  },
  "already-answered": {
    kind: "message",
    status: 200,
    open: async (visit, { client, person }) => {
      client.reply = (response) => response.writeHead(204).end();
      const asked = client.ask();
      await toConsent(visit.page, asked, person);
      await visit.page.getByRole("button", { name: "Allow" }).click();
      await client.redeem((await client.answer()).code, asked);
      return press(visit.page, "Allow");
    },
  },
  "wrong-redirect": {
    kind: "message",
    status: 400,
    open: (visit, { client }) => visit.open(client.ask({ redirect_uri: "https://elsewhere.example/callback" }).url),
  },
  "no-parameters": {
    kind: "message",
    status: 400,
    open: (visit, { base }) => visit.open(`${base}/authorize`),
  },
  "client-unknown": {
    kind: "message",
    status: 400,
    open: async (visit, { base }) => {
      const client = await Client.known(base, "0197c0de-1111-7222-8333-444455556666", "http://127.0.0.1:33418/");
      client.close();
      return visit.open(client.ask().url);
    },
  },
  // No copy of its document is shipped.
  "client-not-checked": {
    kind: "message",
    status: 503,
    open: async (visit, { base }) => {
      const client = await Client.known(base, "https://client.mcp-client.com/metadata.json", "http://127.0.0.1:33418/");
      client.close();
      return visit.open(client.ask().url);
    },
  },
  "other-browser": {
    kind: "message",
    status: 403,
    open: async (visit, { client, person }) => {
      await toConsent(visit.page, client.ask(), person);
      await visit.context.clearCookies();
      return press(visit.page, "Allow");
    },
  },
  "nothing-to-allow": {
    kind: "message",
    status: 403,
    open: async (visit, { client, other }) => {
      if (!other) return undefined;
      await visit.open(client.ask({ scope: "tasks:write" }).url);
      await signIn(visit.page, other);
      await expectHeading(visit.page, "You may not allow this");
      return visit.page.reload();
    },
  },
  "sign-out": {
    kind: "message",
    status: 200,
    open: async (visit, { base, client, person }) => {
      await toConsent(visit.page, client.ask(), person);
      return visit.open(`${base}/sign-out`);
    },
  },
  "signed-out": {
    kind: "message",
    status: 200,
    open: async (visit, { base, client, person }) => {
      await toConsent(visit.page, client.ask(), person);
      await visit.open(`${base}/sign-out`);
      return press(visit.page, "Sign out");
    },
  },
  "not-signed-in": {
    kind: "message",
    status: 200,
    open: (visit, { base }) => visit.open(`${base}/sign-out`),
  },
};
