// Everybody can use the pages: with the keyboard alone, without scripts, on a phone.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { expectFits, expectHeading, press, toConsent } from "../support/pages.mjs";

export async function the_keyboard_alone(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const { page } = visit;
  const asked = client.ask();
  await visit.open(asked.url);
  const isFilled = (await page.getByLabel("User name").inputValue()) !== "";
  assert.equal(await focused(page), isFilled ? "password" : "username");
  if (isFilled) await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(setting.person.user);
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "password");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(setting.person.password);
  await page.keyboard.press("Enter");
  await expectHeading(page, "Allow access?");
  // A second Enter, meant for the page before, decides nothing.
  await page.keyboard.press("Enter");
  await expectHeading(page, "Allow access?");
  assert.equal(client.answers.length, 0);
  for (const name of ["Deny", "Allow", "Use another account", "Allow"]) {
    await page.keyboard.press(name === "Allow" && (await focused(page)) === "Use another account" ? "Shift+Tab" : "Tab");
    assert.equal(await focused(page), name);
    assert.ok(await hasVisibleFocus(page), `${name} does not show its focus`);
  }
  await page.keyboard.press("Enter");
  assert.ok((await client.answer()).code);
  client.close();
  await visit.end();
}

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.innerText);

const hasVisibleFocus = (page) =>
  page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  });

export async function without_scripts(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting, { javaScriptEnabled: false });
  const { page } = visit;
  const asked = client.ask();
  await visit.open(asked.url);
  await page.getByLabel("User name").fill(setting.person.user);
  await page.getByLabel("Password").fill("wrong");
  await press(page, "Sign in");
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Password").fill(setting.person.password);
  await press(page, "Sign in");
  await expectHeading(page, "Allow access?");
  await press(page, "Allow");
  const { code } = await client.answer();
  assert.equal((await client.redeem(code, asked)).status, 200);
  await visit.open(`${setting.base}/sign-out`);
  await press(page, "Sign out");
  await expectHeading(page, "Signed out");
  client.close();
  await visit.end();
}

// 320 pixels is what WCAG 1.4.10 asks for: also 1280 pixels at 400 %.
export async function the_longest_texts_fit_a_narrow_screen(setting) {
  const name = "W".repeat(60) + "\u202emalrofni " + "long ".repeat(8);
  const client = await Client.register(setting.base, { name: name.slice(0, 100) });
  const visit = await Visit.begin(setting, { viewport: { width: 320, height: 640 } });
  await visit.open(client.ask().url);
  await expectFits(visit.page);
  await toConsent(visit.page, client.ask(), setting.person);
  await expectFits(visit.page);
  client.close();
  await visit.end();
}

// Forced colours (Windows contrast themes) take every colour away: borders, outlines and words must be enough.
export async function forced_colours(setting) {
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting, { forcedColors: "active" });
  const { page } = visit;
  await mkdir(setting.results, { recursive: true });
  await visit.open(client.ask().url);
  await page.getByLabel("User name").fill(setting.person.user);
  await page.getByLabel("Password").fill("wrong");
  await press(page, "Sign in");
  for (const control of [page.getByLabel("User name"), page.getByLabel("Password"), page.getByRole("button"), page.getByRole("alert")])
    await expectBorder(control);
  assert.ok(await hasVisibleFocus(page), "the password does not show its focus");
  await page.screenshot({ path: join(setting.results, "sign-in-wrong-forced.png"), fullPage: true });
  await page.getByLabel("Password").fill(setting.person.password);
  await press(page, "Sign in");
  await expectHeading(page, "Allow access?");
  for (const control of [page.getByRole("button", { name: "Deny" }), page.getByRole("button", { name: "Allow" }), page.locator(".caution")])
    await expectBorder(control);
  for (const name of ["Deny", "Allow"]) {
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), name);
    assert.ok(await hasVisibleFocus(page), `${name} does not show its focus`);
  }
  await page.screenshot({ path: join(setting.results, "consent-registered-forced.png"), fullPage: true });
  client.close();
  await visit.end();
}

// A border of another colour than what is behind it.
async function expectBorder(control) {
  const [width, border, back] = await control.evaluate((element) => {
    const style = getComputedStyle(element);
    return [style.borderTopWidth, style.borderTopColor, getComputedStyle(document.body).backgroundColor];
  });
  assert.ok(parseFloat(width) >= 1 && border !== back, `${control}: a border of ${width}, ${border} on ${back}`);
}
