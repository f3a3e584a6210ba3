import { after, before } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { passwordOf } from './raw-client.js';
import type { TestBroker } from './test-broker.js';

declare global {
  /** Of the page, in what is run there. */
  // biome-ignore lint/suspicious/noExplicitAny: the types of the browser are not known here
  var document: any;
}

/** Debian's, and what others call it. */
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
/**
 * The list under the address bar is a page of its own in each profile, which nobody sees here; it costs as much as the
 * pages that are tested. Of several such arguments only the last counts, so what Playwright leaves out stands here, too.
 */
const unused = [
  ...['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup'],
  ...['AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'HttpsUpgrades', 'MediaRouter'],
  ...['HttpsFirstBalancedModeAutoEnable', 'LensOverlay', 'PaintHolding', 'ThirdPartyStoragePartitioning'],
  ...['AvoidCorsURLLoaderRestartOnRedirect', 'OptimizationHints', 'NetworkTimeServiceQuerying', 'AimEnabled'],
  'PreconnectToSearch',
];
/** For everything that a page does, beside other tests. */
const TIMEOUT_MS = 20_000;

/** One browser for all tests of a file; each page has a profile of its own. */
export function useBrowser() {
  let browser: Browser | undefined;
  before(async () => {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-software-rasterizer', '--disable-dev-shm-usage'];
    args.push(`--disable-features=${unused.join()}`);
    browser = await chromium.launch({ executablePath, args });
  });
  after(() => browser?.close());
  return {
    /** A page of the broker, in a browser where nobody is logged in, or `login` is. */
    async open(broker: TestBroker, path: string, login?: string, host = 'localhost'): Promise<OpenPage> {
      const context = await browser!.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1200, height: 900 } });
      const page = await context.newPage();
      page.setDefaultTimeout(TIMEOUT_MS);
      const origin = `https://${host}:${broker.webPort}`;
      const open = new OpenPage(context, page, origin);
      await page.goto(`${origin}${path}`);
      if (login !== undefined) await open.logIn(login);
      return open;
    },
  };
}

export class OpenPage implements AsyncDisposable {
  readonly page: Page;
  /** What went wrong in it: errors of scripts, and what the policy has kept from running. */
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;
  readonly #origin: string;

  constructor(context: BrowserContext, page: Page, origin: string) {
    this.#context = context;
    this.#origin = origin;
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) this.complaints.push(message.text());
    });
    page.on('dialog', (dialog) => {
      if (dialog.type() === 'alert') this.complaints.push(`alert ${dialog.message()}`);
      void dialog.accept();
    });
  }

  /** With the keyboard alone. */
  async logIn(login: string, password = passwordOf(login)): Promise<void> {
    await this.waitFor(() => globalThis.document.activeElement.id === 'login');
    await this.page.keyboard.type(login);
    await this.page.keyboard.press('Tab');
    await this.page.keyboard.type(password);
    await this.page.keyboard.press('Enter');
    await this.page.waitForSelector('#content:not([hidden])');
  }

  /** A second window of the same browser: with the same log-in. */
  async another(path: string): Promise<OpenPage> {
    const page = await this.#context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const open = new OpenPage(this.#context, page, this.#origin);
    await page.goto(`${this.#origin}${path}`);
    await page.waitForSelector('#content:not([hidden])');
    return open;
  }

  /** Waits until it is so in the page. A text would not do: the policy lets none become a script. */
  async waitFor<T>(holds: (given: T) => boolean, given?: T): Promise<void> {
    // Not with each frame, as it would by itself: a browser among other tests may draw none for seconds.
    await this.page.waitForFunction(holds as never, given, { polling: 50 });
  }

  /** Waits until an element says so, and tells how long that took. */
  async says(selector: string, text: string): Promise<number> {
    const began = performance.now();
    await this.waitFor(
      ([place, wanted]) => globalThis.document.querySelector(place!)?.textContent.includes(wanted!) === true,
      [selector, text],
    );
    return performance.now() - began;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }
}
