// What operators change about the pages: a name, a logo and a colour. Needs a gateway where they did: --branding NAME.

import assert from "node:assert/strict";
import { Visit } from "../support/browser.mjs";
import { Client } from "../support/client.mjs";
import { toConsent } from "../support/pages.mjs";

// Least contrast of text (WCAG 2.2, 1.4.3).
const LEAST_CONTRAST = 4.5;

export async function name_logo_and_colour_are_on_the_pages(setting) {
  if (!setting.branding) return "no --branding";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  const { page } = visit;
  await visit.open(client.ask().url);
  assert.equal(await page.locator(".brand").innerText(), setting.branding);
  assert.ok((await page.title()).endsWith(setting.branding));
  const width = await page.locator(".brand img").evaluate((image) => image.decode().then(() => image.naturalWidth));
  assert.ok(width > 0, "the logo is not shown");
  const icon = await page.locator("link[rel=icon]").getAttribute("href");
  assert.equal(icon, await page.locator(".brand img").getAttribute("src"));
  const colours = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const [text, back] = await page.getByRole("button").evaluate((button) => {
      const style = getComputedStyle(button);
      return [style.color, style.backgroundColor];
    });
    assert.ok(contrast(text, back) >= LEAST_CONTRAST, `${colorScheme}: ${text} on ${back}`);
    colours.push(back);
  }
  const standard = ["rgb(29, 95, 196)", "rgb(138, 182, 255)"];
  assert.ok(!colours.some((colour) => standard.includes(colour)), `the colour of the operator is not used: ${colours}`);
  client.close();
  await visit.end();
}

// A logo can be an SVG file with a script. On a page it is an image, and opened alone its policy forbids it.
export async function the_logo_runs_no_script(setting) {
  if (!setting.branding) return "no --branding";
  const client = await Client.register(setting.base);
  const visit = await Visit.begin(setting);
  await toConsent(visit.page, client.ask(), setting.person);
  const refusal = visit.page.waitForEvent("console", (message) => /sandbox|script/i.test(message.text()));
  await visit.open(`${setting.base}/oauth/logo`);
  await refusal;
  assert.equal(await visit.page.evaluate(() => document.documentElement.getAttribute("data-ran")), null);
  client.close();
  await visit.end((problem) => /sandbox|script/i.test(problem));
}

function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour) {
  const linear = colour.match(/\d+/g).slice(0, 3).map((channel) => {
    const share = Number(channel) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722;
}
