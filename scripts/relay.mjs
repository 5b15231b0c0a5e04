// The relay as a child process: started, listened to until it says where it can be reached, stopped politely.
import { createServer } from 'node:net';
import { Failure, start } from './console.mjs';

/** How long a relay may take to say its address; it has only a key to read and a port to open. */
const START_PATIENCE_MS = 20_000;
/** How long a relay may take to end after it was asked to; then it is killed. */
const STOP_PATIENCE_MS = 5_000;
/** How much of what a relay said is kept: it may run for weeks, and what is asked for is its last words. */
const LOG_CHARS_MAX = 64 * 1024;
/** The relay's exit code when it cannot start: a taken port, an unreadable key. */
const EXIT_CANNOT_START = 2;

/** A WebSocket address that names its peer, as the relay prints it and a tab dials it. What follows shows that it is whole. */
const ADDRESS = /\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/[1-9A-HJ-NP-Za-km-z]+(?=\s)/;

/** Whether a port of this machine is free just now. */
export function portIsFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** A port that was free a moment ago, chosen by the system. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/**
 * Starts a relay on this machine and waits for its address.
 * @param {{ binary: string, port: number, identity: string }} options `identity`: the key file, made when it is not there; with
 * the same file a relay has the same address after a restart
 * @returns {Promise<{ address: string, exited: Promise<number | null>, stop(): Promise<void>, log(): string }>} `log`: the end of
 * what it has said
 */
export function startRelay({ binary, port, identity }) {
  const child = start(binary, ['--listen-ws', `127.0.0.1:${port}`, '--identity', identity]);
  let output = '';
  let reached = false;
  let ended = false;
  const exited = new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => {
      ended = true;
      resolve(code);
    });
  });
  const stop = async () => {
    if (ended) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
    await exited;
    clearTimeout(timer);
  };
  return new Promise((resolve, reject) => {
    const fail = (message, remedy) => {
      clearTimeout(timer);
      reject(new Failure(`${message}${output ? `; it said:\n${output.trim()}` : ''}`, remedy));
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`the relay did not say its address within ${START_PATIENCE_MS / 1000} s`);
    }, START_PATIENCE_MS);
    const listen = (chunk) => {
      output = (output + chunk).slice(-LOG_CHARS_MAX);
      if (reached) return;
      const address = ADDRESS.exec(output)?.[0];
      if (address === undefined) return;
      reached = true;
      clearTimeout(timer);
      resolve({ address, exited, stop, log: () => output });
    };
    child.stdout.setEncoding('utf8').on('data', listen);
    child.stderr.setEncoding('utf8').on('data', listen);
    child.once('error', (error) => fail(`the relay could not be started: ${error.message}`, 'run `npm run build`'));
    exited.then((code) =>
      fail(
        `the relay ended with code ${code}`,
        code === EXIT_CANNOT_START ? 'free its port or choose another with RELAY_PORT' : undefined,
      ),
    );
  });
}
