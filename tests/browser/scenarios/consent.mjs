// A person allows, refuses, changes their mind, and presses twice.

import assert from "node:assert/strict";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectHeading, heading, press, toConsent } from "../support/pages.mjs";

export async function refusing_tells_the_client(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  await press(visit.page, "Deny");
  const { error, state, iss, code } = await client.answer();
  assert.deepEqual({ error, state, iss, code }, { error: "access_denied", state: asked.state, iss: setting.base, code: undefined });
  client.close();
  await visit.end();
}

export async function a_double_click_gives_one_code_that_works_once(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  await visit.page.getByRole("button", { name: "Allow" }).dblclick();
  const { code } = await client.answer();
  await visit.page.waitForURL(`${client.origin}/**`);
  const sent = visit.requests.filter((request) => request.method() === "POST" && request.url().endsWith("/consent"));
  const codes = new Set(client.answers.map((answer) => answer.searchParams.get("code")));
  assert.deepEqual([...codes], [code], `${sent.length} forms gave several codes`);
  assert.equal((await client.redeem(code, asked)).status, 200);
  const again = await client.redeem(code, asked);
  assert.deepEqual([again.status, again.body.error], [400, "invalid_grant"]);
  client.close();
  await visit.end();
}

// A client that answers 204 leaves the consent page where it is.
export async function answering_again_gives_the_same_code_and_later_a_page(setting) {
  const client = await Client.register(setting.base);
  client.reply = (response) => response.writeHead(204).end();
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  const allow = visit.page.getByRole("button", { name: "Allow" });
  await allow.click();
  const { code } = await client.answer();
  await allow.click();
  assert.equal((await client.answer(2)).code, code);
  assert.equal((await client.redeem(code, asked)).status, 200);
  await press(visit.page, "Allow");
  await expectHeading(visit.page, "Already answered");
  assert.equal(client.answers.length, 2);
  client.close();
  await visit.end();
}

export async function going_back_after_consent_asks_again(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  await press(visit.page, "Allow");
  const { code } = await client.answer();
  assert.equal((await client.redeem(code, asked)).status, 200);
  await visit.page.goBack();
  // The page is not stored, so the browser asks for it again. A new decision gives a new code, and the old one stays used.
  assert.equal(await heading(visit.page), "Allow access?");
  await press(visit.page, "Allow");
  const second = (await client.answer(2)).code;
  assert.notEqual(second, code);
  assert.equal((await client.redeem(second, asked)).status, 200);
  client.close();
  await visit.end();
}

export async function the_page_names_who_asks_for_what_and_where_the_answer_goes(setting) {
  const client = await Client.register(setting.base, { name: "Notes <b>for</b> you" });
  const visit = await Visit.begin(setting);
  await toConsent(visit.page, client.ask(), setting.person);
  const text = await visit.page.locator("main").innerText();
  for (const part of ["Notes <b>for</b> you", client.id, new URL(client.redirect).host, `${setting.base}/mcp`, setting.person.user])
    assert.ok(text.includes(part), `${part} is not on the page:\n${text}`);
  assert.match(text, /Not verified/);
  assert.match(text, /Be careful/);
  // Refusing is as easy: both buttons are of one size, side by side.
  const [deny, allow] = await Promise.all(
    ["Deny", "Allow"].map((name) => visit.page.getByRole("button", { name }).boundingBox()),
  );
  assert.deepEqual([deny.width, deny.height, deny.y], [allow.width, allow.height, allow.y]);
  client.close();
  await visit.end();
}

// An ordinary client with three scopes. The whole page is on a laptop's screen, and what is allowed is above the buttons.
export async function both_buttons_are_on_the_first_screen(setting) {
  const client = await Client.register(setting.base);
  for (const viewport of [{ width: 1280, height: 900 }, { width: 1440, height: 900 }]) {
    const visit = await Visit.begin(setting, { viewport });
    await toConsent(visit.page, client.ask({ scope: "tasks:read tasks:write tasks:delete offline_access" }), setting.person);
    const last = await visit.page.locator(".scopes li").last().boundingBox();
    for (const name of ["Deny", "Allow"]) {
      const button = await visit.page.getByRole("button", { name }).boundingBox();
      assert.ok(button.y > last.y + last.height, `${name} is above a scope`);
      assert.ok(button.y + button.height <= viewport.height, `${name} ends at ${button.y + button.height} of ${viewport.height}`);
    }
    await visit.end();
  }
  client.close();
}

export async function a_private_scheme_gets_its_answer(setting) {
  const redirect = "cursor://anysphere.cursor-retrieval/oauth/callback";
  const client = await Client.register(setting.base, { name: "Cursor", redirect });
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  assert.ok(!(await visit.page.locator(".destination").innerText()).includes("anysphere"), "a private scheme has no host");
  const opened = opens(visit, "cursor:");
  await visit.page.getByRole("button", { name: "Allow" }).click();
  const answer = new URL(await opened);
  const { code, state, iss } = Object.fromEntries(answer.searchParams);
  assert.deepEqual([state, iss], [asked.state, setting.base]);
  assert.equal((await client.redeem(code, asked)).status, 200);
  client.close();
  await visit.end();
}

// Chromium applies form-action to every redirect after a form: claude.ai leads on to claude://.
export async function a_chain_of_redirects_reaches_a_private_scheme(setting) {
  const client = await chain(setting);
  const visit = await Visit.begin(setting);
  await toConsent(visit.page, client.ask(), setting.person);
  const opened = opens(visit, "claude:");
  await visit.page.getByRole("button", { name: "Allow" }).click();
  assert.equal(await opened, "claude://connected");
  client.close();
  await visit.end();
}

// The scenario above can fail: with form-action in the policy, the same chain ends in a violation that the visit notices.
export async function form_action_would_cut_the_chain(setting) {
  const client = await chain(setting);
  const visit = await Visit.begin(setting);
  await visit.context.route("**/authorize?*", async (route) => {
    const answer = await route.fetch({ maxRedirects: 0 });
    const headers = answer.headers();
    headers["content-security-policy"] += "; form-action 'self'";
    await route.fulfill({ response: answer, headers });
  });
  await toConsent(visit.page, client.ask(), setting.person);
  // Requests that follow a redirect cannot be changed.
  await visit.page.reload();
  const violation = visit.page.waitForEvent("console", (message) => message.text().includes("form-action"));
  await visit.page.getByRole("button", { name: "Allow" }).click();
  await violation;
  client.close();
  await visit.end((problem) => problem.includes("form-action"));
}

async function chain(setting) {
  const client = await Client.register(setting.base);
  client.reply = (response) => response.writeHead(302, { location: "claude://connected" }).end();
  return client;
}

// The next URL of this scheme that the browser navigates to. No program opens it here.
function opens(visit, scheme) {
  return visit.page.waitForEvent("request", (request) => request.url().startsWith(scheme)).then((request) => request.url());
}
