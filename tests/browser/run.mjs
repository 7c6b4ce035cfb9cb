#!/usr/bin/env node
// Runs scenarios against the pages of a running gateway, in headless Chromium. README.md describes the options.

import { parseArgs } from "node:util";
import { launch } from "./support/browser.mjs";

// Scenarios at a time.
const AT_ONCE = 2;

const GROUPS = ["sign_in", "consent", "sessions", "waiting", "reach", "safety", "branding", "crowd", "federation", "provider_pages", "looks", "markup"];

// The group that looks at the results of the others.
const LAST = "markup/";

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    base: { type: "string" },
    user: { type: "string", default: "demo_user" },
    other: { type: "string" },
    password: { type: "string", default: "demo_password" },
    // The interaction lifetime of the gateway in seconds, for the scenarios of people who wait too long.
    lifetime: { type: "string" },
    // A client of the gateway's configuration with an https redirect URI: ID=URI.
    configured: { type: "string" },
    // The name on the pages of a gateway with a logo and a colour.
    branding: { type: "string" },
    // Somebody with the same password whose hash takes long, where one request at a time is served.
    slow: { type: "string" },
    // The providers of the gateway as JSON: `[{ name, label, program, origin, person: { user, password } }]`.
    providers: { type: "string" },
    results: { type: "string", default: "target/browser" },
    list: { type: "boolean", default: false },
  },
});

const scenarios = new Map();
for (const group of GROUPS) {
  const found = await import(`./scenarios/${group}.mjs`);
  for (const [name, scenario] of Object.entries(found.scenarios ?? found)) scenarios.set(`${group}/${name}`, scenario);
}

if (options.list) {
  for (const name of scenarios.keys()) console.log(name);
  process.exit(0);
}
if (!options.base) {
  console.error("browser: --base URL is missing");
  process.exit(2);
}

const chosen = [...scenarios.keys()].filter(
  (name) => wanted.length === 0 || wanted.some((part) => name === part || name.startsWith(`${part}/`)),
);
if (chosen.length === 0) {
  console.error(`browser: no scenario is named ${wanted.join(" ")}`);
  process.exit(2);
}

const browser = await launch();
const setting = {
  browser,
  base: options.base,
  person: { user: options.user, password: options.password },
  other: options.other && { user: options.other, password: options.password },
  lifetime: options.lifetime && Number(options.lifetime) * 1000,
  configured: options.configured,
  branding: options.branding,
  slow: options.slow,
  providers: options.providers && JSON.parse(options.providers),
  results: options.results,
};
let failed = 0;
async function run(name) {
  const began = performance.now();
  try {
    const skipped = await scenarios.get(name)(setting);
    console.log(`${skipped ? `skipped (${skipped})` : "ok"} ${name} ${((performance.now() - began) / 1000).toFixed(1)} s`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}\n${error.stack ?? error}`);
  }
}

// Each scenario has a browser profile and clients of its own, so several run at a time.
const [last, waiting] = [chosen.filter((name) => name.startsWith(LAST)), chosen.filter((name) => !name.startsWith(LAST))];
async function work() {
  for (let name = waiting.shift(); name; name = waiting.shift()) await run(name);
}
await Promise.all(Array.from({ length: AT_ONCE }, work));
for (const name of last) await run(name);
await browser.close();
process.exit(failed === 0 ? 0 : 1);
