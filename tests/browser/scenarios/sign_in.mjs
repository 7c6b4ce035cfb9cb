// A person signs in, with and without mistakes.

import assert from "node:assert/strict";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectHeading, press, signIn, toConsent } from "../support/pages.mjs";

export async function signs_in_and_the_client_gets_its_tokens(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await toConsent(visit.page, asked, setting.person);
  await press(visit.page, "Allow");
  const { code, state, iss, ...others } = await client.answer();
  assert.deepEqual(others, {});
  assert.equal(state, asked.state);
  assert.equal(iss, setting.base);
  const { status, body } = await client.redeem(code, asked);
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(body.access_token && body.refresh_token);
  client.close();
  await visit.end();
}

export async function a_wrong_password_is_announced_and_the_name_kept(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const { page } = visit;
  const asked = client.ask();
  await visit.open(asked.url);
  const title = await page.title();
  await page.getByLabel("User name").fill(setting.person.user);
  await page.getByLabel("Password").fill("not the password");
  const answer = await press(page, "Sign in");
  assert.equal(answer.status(), 403);
  const message = page.getByRole("alert");
  assert.match(await message.innerText(), /^Error: /);
  assert.notEqual(await page.title(), title, "the title does not say that something is wrong");
  const [name, password] = [page.getByLabel("User name"), page.getByLabel("Password")];
  assert.equal(await name.inputValue(), setting.person.user);
  assert.equal(await password.inputValue(), "", "a password is sent back");
  // The message is read with the field that has the focus.
  const id = await message.getAttribute("id");
  assert.equal(await password.getAttribute("aria-describedby"), id);
  assert.equal(await password.getAttribute("aria-invalid"), "true");
  assert.ok(await password.evaluate((field) => field === document.activeElement), "the password has no focus");
  await password.fill(setting.person.password);
  await press(page, "Sign in");
  await expectHeading(page, "Allow access?");
  client.close();
  await visit.end();
}

export async function an_unknown_name_gets_the_same_page_as_a_wrong_password(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const pages = [];
  for (const user of ["nobody-here", setting.person.user]) {
    await visit.open(client.ask().url);
    await signIn(visit.page, { user, password: "wrong" });
    const text = await visit.page.locator("body").innerText();
    pages.push(text);
  }
  assert.equal(pages[0], pages[1]);
  client.close();
  await visit.end();
}

export async function the_cookie_changes_at_sign_in_and_scripts_cannot_read_it(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const asked = client.ask();
  await visit.open(asked.url);
  const [before] = await visit.context.cookies();
  await signIn(visit.page, setting.person);
  await expectHeading(visit.page, "Allow access?");
  const cookies = await visit.context.cookies();
  assert.equal(cookies.length, 1);
  const [after] = cookies;
  assert.notEqual(after.value, before.value);
  for (const cookie of [before, after]) {
    const isHttps = setting.base.startsWith("https:");
    const { name, httpOnly, secure, sameSite, path } = cookie;
    const expected = { name: isHttps ? "__Host-mcp-session" : "mcp-session", httpOnly: true, secure: isHttps, sameSite: "Lax", path: "/" };
    assert.deepEqual({ name, httpOnly, secure, sameSite, path }, expected);
  }
  client.close();
  await visit.end();
}
