// What another site can make a browser do: nothing.

import assert from "node:assert/strict";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectHeading, toConsent } from "../support/pages.mjs";

export async function no_page_can_be_framed(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  serve(client, `<iframe src="${escaped(asked.url)}"></iframe>`);
  const refusal = visit.page.waitForEvent("console", (message) => message.text().includes("frame-ancestors"));
  await visit.open(client.origin);
  await refusal;
  client.close();
  await visit.end((problem) => problem.includes("frame-ancestors") || problem.includes("X-Frame-Options"));
}

export async function a_form_of_another_browser_decides_nothing(setting) {
  const client = await Client.register(setting.base);
  const [visit, victim] = [await Visit.begin(setting), await Visit.begin(setting)];
  await toConsent(visit.page, client.ask(), setting.person);
  await toConsent(victim.page, client.ask(), setting.person);
  const stolen = await visit.page.locator("input[name=interaction]").inputValue();
  serve(
    client,
    `<form method="post" action="${setting.base}/consent"><input name="interaction" value="${stolen}">
     <button name="decision" value="allow">Win a prize</button></form>`,
  );
  await victim.open(client.origin);
  await victim.page.getByRole("button").click();
  await expectHeading(victim.page, "Please start again");
  assert.equal(client.answers.length, 0);
  client.close();
  await visit.end();
  await victim.end();
}

// A page with a query that names the person or the client does not tell other sites about it.
export async function the_client_learns_no_address_of_a_page(setting) {
  const client = await Client.register(setting.base);
  const referers = [];
  client.reply = (response, request) => {
    referers.push(request.headers.referer);
    response.end("Connected");
  };
  const visit = await Visit.begin(setting);
  await toConsent(visit.page, client.ask(), setting.person);
  await visit.page.getByRole("button", { name: "Allow" }).click();
  await client.answer();
  assert.equal(referers[0], undefined);
  client.close();
  await visit.end();
}

function serve(client, html) {
  client.reply = (response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<!DOCTYPE html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,">${html}`);
  };
}

const escaped = (text) => text.replaceAll("&", "&amp;");
