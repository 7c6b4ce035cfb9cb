// What a provider's program has for tests under `/__control/`, and the reading of small bodies.

/** Bytes of a body that are read. */
const MAX_BODY = 256 * 1024;

export async function read(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > MAX_BODY) throw new Error('body too large');
  }
  return text;
}

/** A handler of control requests: `actions` by method and name, such as `POST fault`, each with the JSON body as its argument. */
export const controls = (actions) => async (req, res, url) => {
  const answer = (status, body) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const action = actions[`${req.method} ${url.pathname.slice('/__control/'.length)}`];
  if (!action) return answer(404, { error: `no such control: ${Object.keys(actions).join(', ')}` });
  try {
    return answer(200, (await action(JSON.parse((await read(req)) || '{}'))) ?? { ok: true });
  } catch (error) {
    return answer(400, { error: error.message });
  }
};

/** Requests that arrived, by endpoint, and the parameters of the last ones. */
export class Stats {
  constructor() {
    this.reset();
  }

  reset() {
    this.counts = {};
    this.last = {};
  }

  count(endpoint) {
    this.counts[endpoint] = (this.counts[endpoint] ?? 0) + 1;
  }
}
