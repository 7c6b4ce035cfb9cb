// A client whose token has too few scopes for its second call: the outcome of each call, and the scopes of the token after
// it. The caller of the program checks the findings.

/** Lists, creates, lists again and disconnects; `scope()` is that of the token in use. An error ends a call, not the program. */
export async function stepUp(connection, scope) {
  const title = `Task ${crypto.randomUUID()}`;
  const calls = [];
  for (const [tool, args] of [['list_tasks', {}], ['create_task', { title }], ['list_tasks', {}]]) {
    calls.push({ tool, ...(await outcome(() => connection.callTool(tool, args))), scope: scope() });
  }
  await outcome(() => connection.close());
  return { title, calls };
}

async function outcome(call) {
  try {
    const result = await call();
    return { passed: !result?.isError };
  } catch (error) {
    return { passed: false, error: error.constructor.name, message: error.message };
  }
}

/** The refusal with a challenge that names only the scopes that the token lacks. */
export function namingOnlyMissing(response, scope) {
  const headers = new Headers(response.headers);
  const held = new Set((scope ?? '').split(' '));
  const lacking = (_match, named) => `scope="${named.split(' ').filter((one) => !held.has(one)).join(' ')}"`;
  headers.set('www-authenticate', headers.get('www-authenticate').replace(/scope="([^"]*)"/, lacking));
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
