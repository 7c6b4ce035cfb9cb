// What people do on the pages of a provider (tests/providers): sign in, and allow the gateway what it asks for, until the provider sends
// them away. The pages are the provider's own; nothing is judged here.

/** Waits until one of these is on the page, or the page has left `origin`; which one it was. */
async function first(page, origin, choices) {
  const gone = page.waitForURL((url) => url.origin !== origin, { waitUntil: "commit" }).then(() => "gone");
  const seen = Object.entries(choices).map(([name, locator]) => locator.first().waitFor().then(() => name));
  return Promise.race([gone, ...seen].map((promise) => promise.catch(() => new Promise(() => {}))));
}

const left = (page, origin) => page.waitForURL((url) => url.origin !== origin, { waitUntil: "commit" });

async function company(page, origin, { user, password }) {
  const account = page.getByLabel("Account");
  const allow = page.getByRole("button", { name: "Continue" });
  if ((await first(page, origin, { account, allow })) === "account") {
    await account.fill(user);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  if ((await first(page, origin, { allow })) === "allow") await allow.click();
  await left(page, origin);
}

async function github(page, origin, { user, password }) {
  await page.getByLabel("Account").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Authorize" }).click();
  await left(page, origin);
}

async function canaille(page, origin, { user, password }) {
  const [login, secret, allow] = ["input[name=login]", "input[name=password]", "#accept"].map((css) => page.locator(css));
  if ((await first(page, origin, { login, allow })) === "login") {
    await login.fill(user);
    await login.press("Enter");
    await secret.fill(password);
    await secret.press("Enter");
  }
  if ((await first(page, origin, { allow })) === "allow") await allow.click();
  await left(page, origin);
}

async function glewlwyd(page, origin, { user, password }) {
  const account = page.locator("#username");
  const grant = page.getByRole("button", { name: "Grant access" });
  const go = page.getByRole("button", { name: "Continue" });
  if ((await first(page, origin, { account, grant, go })) === "account") {
    await account.fill(user);
    await page.locator("#password").fill(password);
    await page.locator("#loginbut").click();
  }
  if ((await first(page, origin, { grant, go })) === "grant") {
    for (const box of await page.locator("input[id^=grant-]").all()) await box.check();
    await grant.click();
  }
  if ((await first(page, origin, { go })) === "go") await go.click();
  await left(page, origin);
}

/** By the program that stands for the provider. */
const PAGES = { company, github, canaille, glewlwyd };

/** Signs in at a provider `{ program, origin }` whose page is open, or comes. */
export async function signInThere(page, { program, origin }, person) {
  await page.waitForURL((url) => url.origin === origin, { waitUntil: "commit" });
  await PAGES[program](page, origin, person);
}
