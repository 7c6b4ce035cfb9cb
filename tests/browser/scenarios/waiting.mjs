// A person waits longer than a request lives (`lifetimes.interaction`). Needs a gateway where that is short: --lifetime SECONDS.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectHeading, press, signIn, toConsent } from "../support/pages.mjs";

// Milliseconds that the clocks may differ.
const MARGIN = 300;

export async function too_long_on_the_sign_in_page(setting) {
  if (!setting.lifetime) return "no --lifetime";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  await visit.open(client.ask().url);
  await sleep(setting.lifetime + MARGIN);
  await signIn(visit.page, setting.person);
  await expectHeading(visit.page, "That took too long");
  // The password was not looked at: nobody is signed in.
  await visit.open(`${setting.base}/sign-out`);
  await expectHeading(visit.page, "You are not signed in");
  client.close();
  await visit.end();
}

export async function too_long_on_the_consent_page(setting) {
  if (!setting.lifetime) return "no --lifetime";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  await sleep(setting.lifetime + MARGIN);
  const answer = await press(visit.page, "Allow");
  assert.equal(answer.status(), 400);
  await expectHeading(visit.page, "That took too long");
  assert.equal(client.answers.length, 0);
  // Starting again works, without signing in again.
  await visit.open(asked.url);
  await press(visit.page, "Allow");
  assert.ok((await client.answer()).code);
  client.close();
  await visit.end();
}
