// Every page as it is: its headers, its weight, what axe finds in light and dark, and how it looks. One scenario for each page.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { PAGES } from "../support/every_page.mjs";
import { expectFits } from "../support/pages.mjs";

// Bytes of a page with everything that it loads, without the operator's logo.
const MOST_BYTES = 20_000;

const SCREENS = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};

// `expected` of the setting says which problems are of somebody else.
export const inspect = (name, { open, status, kind, expected }) => async (setting) => {
  const client = await Client.register(setting.base);
  // axe brings a script, which the policy of the pages forbids; the policy is judged by the header.
  const visit = await Visit.begin(setting, { ...SCREENS.light, bypassCSP: true });
  const answer = await open(visit, { ...setting, client });
  if (!answer) return "this gateway has no such page";
  assert.equal(answer.status(), status);
  expectHeaders(answer.headers(), kind);
  const markup = join(setting.results, "markup");
  await mkdir(markup, { recursive: true });
  await writeFile(join(markup, `${name}.html`), await answer.text());
  await expectLight(visit, answer);
  for (const [screen, { viewport, colorScheme }] of Object.entries(SCREENS)) {
    await visit.page.emulateMedia({ colorScheme });
    await visit.page.setViewportSize(viewport);
    await expectFits(visit.page);
    if (screen === "light") await expectAccessible(new AxeBuilder({ page: visit.page }), screen);
    // Only colours differ.
    if (screen === "dark") await expectAccessible(new AxeBuilder({ page: visit.page }).withRules(["color-contrast"]), screen);
    await visit.page.screenshot({ path: join(setting.results, `${name}-${screen}.png`), fullPage: true });
  }
  client.close();
  return visit.end(expected?.(setting));
};

export const scenarios = Object.fromEntries(Object.entries(PAGES).map(([name, page]) => [name, inspect(name, page)]));

const ALWAYS = ["default-src 'none'", "style-src 'self'", "img-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"];

function expectHeaders(headers, kind) {
  const policy = headers["content-security-policy"].split("; ").sort();
  const expected = kind === "message" ? [...ALWAYS, "form-action 'self'"] : ALWAYS;
  assert.deepEqual(policy, expected.toSorted());
  const names = ["cache-control", "referrer-policy", "x-frame-options", "x-content-type-options", "content-type"];
  const found = names.map((name) => headers[name]);
  assert.deepEqual(found, ["no-store", "same-origin", "DENY", "nosniff", "text/html; charset=utf-8"]);
}

async function expectLight(visit, answer) {
  const style = await visit.context.request.get(`${visit.base}/oauth.css`);
  const bytes = (await answer.body()).length + (await style.body()).length;
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
}

async function expectAccessible(axe, screen) {
  const { violations } = await axe.analyze();
  const found = violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(found, [], `axe, ${screen}`);
}
