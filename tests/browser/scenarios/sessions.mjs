// Several tabs, several people, and the end of a session.

import assert from "node:assert/strict";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectHeading, press, signIn, toConsent } from "../support/pages.mjs";

export async function two_tabs_with_two_clients(setting) {
  const [first, second] = [await Client.register(setting.base), await Client.register(setting.base)];
  const visit = await Visit.begin(setting);
  const [one, two] = [visit.page, await visit.context.newPage()];
  const [asked, other] = [first.ask(), second.ask()];
  // Both pages are open before anybody signs in.
  await one.goto(asked.url);
  await two.goto(other.url);
  await signIn(one, setting.person);
  await expectHeading(one, "Allow access?");
  await press(one, "Allow");
  await signIn(two, setting.person);
  await expectHeading(two, "Allow access?");
  await press(two, "Allow");
  for (const [client, own] of [[first, asked], [second, other]]) {
    const { code, state } = await client.answer();
    assert.equal(state, own.state);
    assert.equal((await client.redeem(code, own)).status, 200);
    client.close();
  }
  await visit.end();
}

export async function two_consent_pages_are_answered_in_any_order(setting) {
  const [first, second] = [await Client.register(setting.base), await Client.register(setting.base)];
  const visit = await Visit.begin(setting);
  const [one, two] = [visit.page, await visit.context.newPage()];
  const [asked, other] = [first.ask(), second.ask()];
  await toConsent(one, asked, setting.person);
  await two.goto(other.url);
  await expectHeading(two, "Allow access?");
  await press(two, "Allow");
  await press(one, "Deny");
  assert.ok((await second.answer()).code);
  assert.equal((await first.answer()).error, "access_denied");
  first.close();
  second.close();
  await visit.end();
}

// Each sign-in gives the browser a new cookie. The consent pages of the ones before stay good for the same user.
export async function consent_pages_outlive_later_sign_ins_of_the_same_user(setting) {
  const clients = await Promise.all([1, 2, 3].map(() => Client.register(setting.base)));
  const visit = await Visit.begin(setting);
  const tabs = [visit.page, await visit.context.newPage(), await visit.context.newPage()];
  const asked = clients.map((client) => client.ask());
  for (const [tab, { url }] of tabs.map((tab, place) => [tab, asked[place]])) await tab.goto(url);
  for (const tab of tabs) {
    await signIn(tab, setting.person);
    await expectHeading(tab, "Allow access?");
  }
  for (const tab of tabs) await press(tab, "Allow");
  for (const [place, client] of clients.entries()) {
    const { code, state } = await client.answer();
    assert.equal(state, asked[place].state);
    assert.equal((await client.redeem(code, asked[place])).status, 200);
    client.close();
  }
  await visit.end();
}

export async function the_consent_page_of_another_account_decides_nothing(setting) {
  if (!setting.other) return "no --other user";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const [one, two] = [visit.page, await visit.context.newPage()];
  const asked = client.ask();
  await toConsent(one, asked, setting.person);
  await two.goto(asked.url);
  await press(two, "Use another account");
  await signIn(two, setting.other);
  await expectHeading(two, "Allow access?");
  await press(one, "Allow");
  await expectHeading(one, "Please start again");
  assert.equal(client.answers.length, 0);
  await press(two, "Allow");
  assert.ok((await client.answer()).code);
  client.close();
  await visit.end();
}

export async function another_account(setting) {
  if (!setting.other) return "no --other user";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const { page } = visit;
  const asked = client.ask();
  await toConsent(page, asked, setting.person);
  await press(page, "Use another account");
  await expectHeading(page, "Sign in");
  await signIn(page, setting.other);
  await expectHeading(page, "Allow access?");
  const text = await page.locator(".account").innerText();
  assert.ok(text.includes(setting.other.user) && !text.includes(setting.person.user), text);
  await press(page, "Allow");
  const { code, state } = await client.answer();
  assert.equal(state, asked.state);
  const { body } = await client.redeem(code, asked);
  const claims = JSON.parse(Buffer.from(body.access_token.split(".")[1], "base64url"));
  assert.equal(claims.sub, `u:${setting.other.user}`);
  client.close();
  await visit.end();
}

export async function who_may_allow_nothing_uses_another_account(setting) {
  if (!setting.other) return "no --other user";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask({ scope: "tasks:write" });
  await visit.open(asked.url);
  await signIn(visit.page, setting.other);
  await expectHeading(visit.page, "You may not allow this");
  await press(visit.page, "Use another account");
  await expectHeading(visit.page, "Sign in");
  await signIn(visit.page, setting.person);
  await expectHeading(visit.page, "Allow access?");
  await press(visit.page, "Allow");
  const { code } = await client.answer();
  assert.equal((await client.redeem(code, asked)).status, 200);
  client.close();
  await visit.end();
}

export async function signing_out_ends_the_session_of_this_browser_only(setting) {
  const client = await Client.register(setting.base);
  const [visit, elsewhere] = [await Visit.begin(setting), await Visit.begin(setting)];
  for (const { page } of [visit, elsewhere]) await toConsent(page, client.ask(), setting.person);
  await visit.open(`${setting.base}/sign-out`);
  await expectHeading(visit.page, "Sign out?");
  await press(visit.page, "Sign out");
  await expectHeading(visit.page, "Signed out");
  await visit.open(`${setting.base}/sign-out`);
  await expectHeading(visit.page, "You are not signed in");
  await visit.open(client.ask().url);
  await expectHeading(visit.page, "Sign in");
  await elsewhere.open(client.ask().url);
  await expectHeading(elsewhere.page, "Allow access?");
  client.close();
  await visit.end();
  await elsewhere.end();
}

export async function a_session_that_ended_meanwhile_leads_to_sign_in(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const other = await visit.context.newPage();
  await toConsent(visit.page, client.ask(), setting.person);
  await other.goto(`${setting.base}/sign-out`);
  await press(other, "Sign out");
  const answer = await press(visit.page, "Allow");
  const text = await visit.page.locator("h1").innerText();
  assert.ok(["Sign in", "Please start again"].includes(text), `${answer.status()} ${text}`);
  assert.equal(client.answers.length, 0);
  client.close();
  await visit.end();
}
