// Headless Chromium, and visits with it. A visit is a browser profile of its own that notices what must not happen on any page:
// a violation of the content security policy, an error in the console, a script, a request to another host.

import { chromium } from "playwright-core";

// Milliseconds for one step. Machines that run tests are busy.
const DEADLINE = 30_000;

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // No name leads anywhere, whatever a page asks for.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

// What pages of the gateway load.
const LOADED = /\/(oauth\.css|oauth\/logo|favicon\.ico)$/;

export const launch = () => chromium.launch({ executablePath: PROGRAM, args: FLAGS, timeout: DEADLINE });

export class Visit {
  static async begin(setting, options = {}) {
    const visit = new Visit();
    visit.base = setting.base;
    visit.context = await setting.browser.newContext({ locale: "en", colorScheme: "light", ignoreHTTPSErrors: true, ...options });
    visit.context.setDefaultTimeout(DEADLINE);
    // Every request in order; what must not be.
    visit.requests = [];
    visit.problems = [];
    visit.watch(new Set(["localhost", "127.0.0.1", ...(setting.expectedHosts ?? [])]));
    visit.page = await visit.context.newPage();
    return visit;
  }

  watch(hosts) {
    this.context.on("request", (request) => {
      const url = new URL(request.url());
      this.requests.push(request);
      if (url.protocol.startsWith("http") && !hosts.has(url.hostname)) this.problems.push(`request to ${url}`);
      if (request.resourceType() === "script") this.problems.push(`script ${url}`);
    });
    this.context.on("console", (message) => {
      // Chromium reports each page with an error status, which is the page under test, and what it asks of a client that has gone.
      const { url } = message.location();
      const isLoaded = url.startsWith(this.base) && LOADED.test(url);
      const isStatus = message.text().startsWith("Failed to load resource") && !isLoaded;
      if (message.type() === "error" && !isStatus) this.problems.push(`console: ${message.text()}`);
    });
    this.context.on("weberror", (error) => this.problems.push(`script error: ${error.error()}`));
  }

  // Opens a URL; returns the answer.
  open(url) {
    return this.page.goto(url);
  }

  // Ends the visit. Fails if something happened that must not; `expected` of such things may.
  async end(expected = () => false) {
    await this.context.close();
    const problems = this.problems.filter((problem) => !expected(problem));
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }
}
