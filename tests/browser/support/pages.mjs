// What people do on the pages, and what the pages say.

import assert from "node:assert/strict";

export const heading = (page) => page.locator("h1").innerText();

export async function expectHeading(page, text) {
  await page.locator("h1", { hasText: text }).waitFor();
  assert.equal(await heading(page), text);
}

// Presses a button or link that leads to another page; returns that page's answer.
export async function press(page, name) {
  const control = page.getByRole("button", { name, exact: true }).or(page.getByRole("link", { name, exact: true }));
  const [answer] = await Promise.all([page.waitForResponse(isPage), control.click()]);
  return answer;
}

// Not what a page loads, and not a redirect.
const isPage = (response) => response.request().isNavigationRequest() && (response.status() < 300 || response.status() >= 400);

export async function signIn(page, { user, password }) {
  await page.getByLabel("User name").fill(user);
  await page.getByLabel("Password").fill(password);
  await press(page, "Sign in");
}

// Opens an authorization request in a browser that nobody is signed in with, and signs in: the consent page.
export async function toConsent(page, asked, person) {
  await page.goto(asked.url);
  await expectHeading(page, "Sign in");
  await signIn(page, person);
  await expectHeading(page, "Allow access?");
}

// No page scrolls to the side.
export async function expectFits(page) {
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= screen, `the page is ${content} pixels wide, the screen ${screen}: ${page.url()}`);
}
