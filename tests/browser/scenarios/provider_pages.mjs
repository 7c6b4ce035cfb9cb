// The pages of a sign-in with a provider, with the checks of `looks`: the choice of a provider, and each page of a sign-in that does not
// succeed. One after the other, since they change what the providers do. Needs the providers of `--providers`: one of the program
// `company` that lets only addresses of the company in, and one called `entra` whose groups say what people may do.

import assert from "node:assert/strict";
import { press } from "../support/pages.mjs";
import { signInThere } from "../support/providers.mjs";
import { inspect } from "./looks.mjs";

/** What a provider's own pages load and say is its own. */
const ofProviders = ({ providers }) => (problem) =>
  providers.some(({ origin }) => problem.includes(origin)) || problem.startsWith("console: ");

const control = async ({ origin }, path, body = {}) => {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(`${origin}/__control/${path}`, request);
  assert.equal(answer.status, 200, path);
};

const choose = (visit, provider) => visit.page.getByRole("button", { name: `Continue with ${provider.label}`, exact: true }).click();

/** The page of the gateway to which this leads. */
async function ends(visit, does) {
  const isEnd = (response) =>
    response.url().startsWith(visit.base) && response.request().isNavigationRequest() && (response.status() < 300 || response.status() >= 400);
  const [answer] = await Promise.all([visit.page.waitForResponse(isEnd), does()]);
  await visit.page.waitForLoadState();
  return answer;
}

/** The page after `user` signed in with a provider that does something wrong. */
const signedIn = (named, user, fault) => async (visit, { client, providers }) => {
  const provider = named(providers);
  if (fault) await control(provider, "fault", fault);
  await visit.open(client.ask().url);
  await choose(visit, provider);
  const answer = await ends(visit, () => signInThere(visit.page, provider, { ...provider.person, user }));
  if (fault) await control(provider, "clear");
  return answer;
};

const company = (providers) => providers.find(({ program, name }) => program === "company" && name !== "entra");
const entra = (providers) => providers.find(({ name }) => name === "entra");

const PAGES = {
  "provider-choice": {
    kind: "sign-in",
    status: 200,
    open: (visit, { client }) => visit.open(client.ask().url),
  },
  "provider-cancelled": {
    kind: "message",
    status: 403,
    open: async (visit, { client, providers }) => {
      await visit.open(client.ask().url);
      await choose(visit, company(providers));
      const cancel = visit.page.getByRole("button", { name: "Cancel" });
      return ends(visit, () => cancel.click());
    },
  },
  "provider-not-allowed": { kind: "message", status: 403, open: signedIn(company, "eve") },
  "provider-groups-left-out": { kind: "message", status: 403, open: signedIn(entra, "max") },
  "provider-unavailable": {
    kind: "message",
    status: 503,
    open: signedIn(company, "ana", { endpoints: { token: { kind: "error" } } }),
  },
  "provider-wrong": {
    kind: "message",
    status: 502,
    open: signedIn(company, "ana", { idToken: { claims: { nonce: "another" } } }),
  },
  "provider-request-too-long": {
    kind: "message",
    status: 400,
    open: async (visit, { client, providers }) => {
      await visit.open(client.ask({ state: "x".repeat(3500) }).url);
      return press(visit.page, `Continue with ${company(providers).label}`);
    },
  },
  "provider-other-browser": {
    kind: "message",
    status: 403,
    open: (visit, { base, providers }) => visit.open(`${base}/callback/${company(providers).name}?code=x&state=y`),
  },
};

export async function every_page_of_a_sign_in_with_a_provider_is_right(setting) {
  if (!setting.providers) return "this gateway has no providers";
  for (const [name, page] of Object.entries(PAGES)) {
    try {
      await inspect(name, { ...page, expected: ofProviders })(setting);
    } catch (error) {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
  }
}
