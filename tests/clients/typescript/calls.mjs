// Calls on demand, for tests that change something between two calls of one client.

import { createInterface } from 'node:readline';

/** Calls once for each line of standard input, and prints a line of JSON for each outcome; first one to say that it is ready. */
export async function calls(connection) {
  console.log(JSON.stringify({ ready: true }));
  for await (const _line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(connection)));
  }
  return {};
}

async function outcome(connection) {
  try {
    const result = await connection.callTool('list_tasks', {});
    return { passed: !result.isError };
  } catch (error) {
    return { passed: false, error: `${error.constructor.name}: ${error.message}` };
  }
}
