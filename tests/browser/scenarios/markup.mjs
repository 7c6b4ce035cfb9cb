// What the checker of the Nu project says of the pages that `looks` saved, and of the style sheet. Runs after everything else.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

export async function pages_and_style_sheet_are_valid(setting) {
  const folder = join(setting.results, "markup");
  const style = await fetch(`${setting.base}/oauth.css`);
  await writeFile(join(folder, "oauth.css"), await style.text());
  // The checker must find this, or it has checked nothing.
  await writeFile(join(folder, "wrong.html"), "<!DOCTYPE html><title>Wrong</title><p><img>");
  const files = await readdir(folder);
  assert.ok(files.length > 2, "no page is saved: run looks too");
  const messages = await check(folder);
  const found = messages.map(({ url, lastLine, message }) => `${url.split("/").pop()}:${lastLine}: ${message}`);
  const [wrong, others] = [found.filter((line) => line.startsWith("wrong.html")), found.filter((line) => !line.startsWith("wrong.html"))];
  assert.ok(wrong.length > 0, "the checker found nothing in a wrong page");
  assert.deepEqual(others, []);
}

async function check(folder) {
  const jar = createRequire(import.meta.url).resolve("vnu-jar/build/dist/vnu.jar");
  const checker = spawn("java", ["-Xss8m", "-jar", jar, "--format", "json", "--also-check-css", folder]);
  let output = "";
  checker.stderr.on("data", (part) => (output += part));
  await new Promise((ends, fails) => checker.on("close", ends).on("error", fails));
  return JSON.parse(output).messages;
}
