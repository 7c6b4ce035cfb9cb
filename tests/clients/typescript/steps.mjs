// The steps of a client to get a token, read from its own requests: a `fetch` that names each step of the discovery.

/**
 * A recorder for the server at `target`: `steps` grows as requests pass through `fetch`. `alter(response)` can replace a
 * refusal before the client receives it.
 */
export function recorder(target, alter = (response) => response) {
  const steps = [];
  const recordingFetch = async (input, init) => {
    const response = await fetch(input, init);
    const step = stepOf(target, new URL(input), init, response.status);
    if (step) steps.push(step);
    return step === 'step_up' ? alter(response) : response;
  };
  return { steps, fetch: recordingFetch, record: (step) => steps.push(step) };
}

function stepOf(target, url, init, status) {
  const suffix = status < 400 ? '' : `:${status}`;
  if (url.href === target.href) return { 401: 'challenge', 403: 'step_up' }[status];
  if (url.pathname.includes('/.well-known/oauth-protected-resource')) return `resource_metadata${suffix}`;
  if (url.pathname.includes('/.well-known/')) return `server_metadata${suffix}`;
  if (init?.method !== 'POST') return undefined;
  const type = new Headers(init.headers).get('content-type') ?? '';
  if (type.startsWith('application/json')) return `registration${suffix}`;
  return `${new URLSearchParams(init.body).get('grant_type') === 'refresh_token' ? 'refresh' : 'token'}${suffix}`;
}
