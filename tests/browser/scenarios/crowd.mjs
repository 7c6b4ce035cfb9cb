// More people than the gateway serves at once. Needs one that serves a single request, and somebody whose password takes long to
// verify: --slow USER.

import { Client } from "../support/client.mjs";
import { inspect } from "./looks.mjs";

// Milliseconds until the gateway must have been busy.
const DEADLINE = 30_000;

const busy = {
  kind: "message",
  status: 503,
  open: async (visit, { base, client, slow, person }) => {
    if (!slow) return undefined;
    const other = await Client.register(base);
    other.close();
    let isOver = false;
    // Alone: while the gateway is busy there is no form.
    const form = await signInForm(other, { user: slow, password: person.password });
    const keeping = keepBusy(other, form, () => isOver);
    const end = Date.now() + DEADLINE;
    try {
      for (;;) {
        const answer = await visit.open(client.ask().url);
        if (answer.status() === 503) return answer;
        if (Date.now() > end) throw new Error("the gateway is never busy");
      }
    } finally {
      isOver = true;
      await keeping;
    }
  },
};

export const scenarios = { busy: inspect("busy", busy) };

// What signs a user in: the cookie of a sign-in page and its fields.
async function signInForm(client, { user, password }) {
  const page = await fetch(client.ask().url);
  const [cookie] = page.headers.get("set-cookie").split(";");
  const [, interaction] = /name="interaction" value="([^"]+)"/.exec(await page.text());
  return { headers: { cookie }, body: new URLSearchParams({ interaction, username: user, password }) };
}

// Signs in again and again, with one form.
async function keepBusy(client, form, isOver) {
  while (!isOver()) await fetch(`${client.base}/sign-in`, { method: "POST", redirect: "manual", ...form });
}
