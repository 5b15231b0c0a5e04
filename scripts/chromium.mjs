// How Chromium is started, by the tests and the benches alike.

/** What headless Chromium needs as root and must not do on its own: reach out for updates, or try QUIC. */
export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
