// People sign in with a provider (tests/providers): from the client over the pages of the gateway and of the provider to a proxied call.
// `--providers` names the providers of the gateway. Pictures of each page of the gateway on the way are among the results.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectFits, expectHeading, press } from "../support/pages.mjs";
import { signInThere } from "../support/providers.mjs";

const NONE = "this gateway has no providers";

const SCREENS = { light: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

/** Pictures of a page of the gateway. */
async function picture(setting, page, name) {
  await mkdir(setting.results, { recursive: true });
  for (const [screen, size] of Object.entries(SCREENS)) {
    await page.setViewportSize(size);
    await expectFits(page);
    await page.screenshot({ path: join(setting.results, `federation-${name}-${screen}.png`), fullPage: true });
  }
  await page.setViewportSize(SCREENS.light);
}

/** What a provider's own pages load and say is its own. */
const ofProvider = ({ origin }) => (problem) => problem.includes(origin) || problem.startsWith("console: ");

async function goThere(setting, visit, client, provider) {
  const asked = client.ask();
  await visit.open(asked.url);
  await expectHeading(visit.page, "Sign in");
  await picture(setting, visit.page, "choose");
  await visit.page.getByRole("button", { name: `Continue with ${provider.label}`, exact: true }).click();
  return asked;
}

async function callsTool(setting, token) {
  const answer = await fetch(`${setting.base}/mcp`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "list_tasks", arguments: {} } }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

async function signsIn(setting, provider) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = await goThere(setting, visit, client, provider);
  await signInThere(visit.page, provider, provider.person);
  await expectHeading(visit.page, "Allow access?");
  assert.equal(new URL(visit.page.url()).origin, setting.base, "the consent page is ours");
  await picture(setting, visit.page, `${provider.name}-consent`);
  await press(visit.page, "Allow");
  const { code, state, iss } = await client.answer();
  assert.equal(state, asked.state);
  assert.equal(iss, setting.base);
  const { status, body } = await client.redeem(code, asked);
  assert.equal(status, 200, JSON.stringify(body));
  await callsTool(setting, body.access_token);
  client.close();
  await visit.end(ofProvider(provider));
}

export async function people_sign_in_with_each_provider(setting) {
  if (!setting.providers) return NONE;
  for (const provider of setting.providers) await signsIn(setting, provider);
}

export async function somebody_who_cancels_at_the_provider_is_told_and_can_try_again(setting) {
  const provider = setting.providers?.find(({ program }) => program === "company");
  if (!provider) return NONE;
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  await goThere(setting, visit, client, provider);
  await visit.page.getByRole("button", { name: "Cancel" }).click();
  await expectHeading(visit.page, "Sign-in was cancelled");
  await picture(setting, visit.page, "cancelled");
  assert.equal(client.answers.length, 0, "the client was answered");
  await press(visit.page, "Try again");
  await visit.page.getByRole("button", { name: `Continue with ${provider.label}`, exact: true }).click();
  await signInThere(visit.page, provider, provider.person);
  await expectHeading(visit.page, "Allow access?");
  client.close();
  await visit.end(ofProvider(provider));
}

export async function a_sign_in_is_for_the_browser_that_began_it(setting) {
  const provider = setting.providers?.find(({ program }) => program === "company");
  if (!provider) return NONE;
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const other = await Visit.begin(setting);
  await goThere(setting, visit, client, provider);
  await signInThere(visit.page, provider, provider.person);
  await expectHeading(visit.page, "Allow access?");
  const callback = visit.requests.map((request) => request.url()).find((url) => url.startsWith(`${setting.base}/callback/`));
  const answer = await other.open(callback);
  assert.equal(answer.status(), 403);
  await picture(setting, other.page, "other-browser");
  client.close();
  await other.end();
  await visit.end(ofProvider(provider));
}

export async function several_tabs_sign_in_at_once(setting) {
  const provider = setting.providers?.find(({ program }) => program === "company");
  if (!provider) return NONE;
  const clients = [await Client.register(setting.base), await Client.register(setting.base)];
  const visit = await Visit.begin(setting);
  const first = visit.page;
  await goThere(setting, visit, clients[0], provider);
  visit.page = await visit.context.newPage();
  await goThere(setting, visit, clients[1], provider);
  await signInThere(visit.page, provider, provider.person);
  await expectHeading(visit.page, "Allow access?");
  await signInThere(first, provider, provider.person);
  await expectHeading(first, "Allow access?");
  for (const client of clients) client.close();
  await visit.end(ofProvider(provider));
}
