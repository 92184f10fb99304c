// A real browser, driven over its debugging port: the Chromium of the system, with a profile of its own. It closes with the file.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { atEnd } from './database.ts';
import { chromium as installed } from './debian.ts';

const executable = installed.program;

/** Where CI is set and there is no browser, the tests that need it fail, and this is the line that says why. */
export async function startBrowser(): Promise<Browser> {
  if (!existsSync(executable)) {
    throw new Error(`there is no browser at ${executable}: apt-get install --no-install-recommends chromium`);
  }
  const browser = await chromium.launch({
    executablePath: executable,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  atEnd(() => browser.close());
  return browser;
}
