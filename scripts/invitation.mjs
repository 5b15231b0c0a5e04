// An invitation to a store, made outside of a page: `core/src/membership/invitation.rs` has the format.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Failure } from './console.mjs';

const VERSION = 1;
const SECRET_BYTES = 32;
const SUM_BYTES = 4;

/** A number, seven bits a byte, the low ones first. */
function varint(value) {
  const bytes = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(bytes.length), bytes]);
}

/**
 * @param {{ name: string, secret: Uint8Array, relays: readonly string[], expires?: number }} store `expires` in seconds since 1970
 * @returns {string}
 */
export function invitation({ name, secret, relays, expires = 0 }) {
  const content = Buffer.concat([secret, varint(expires), text(name), varint(relays.length), ...relays.map(text)]);
  const said = Buffer.concat([Buffer.from([VERSION]), varint(content.length), content]);
  const sum = createHash('sha256').update(said).digest().subarray(0, SUM_BYTES);
  return Buffer.concat([said, sum]).toString('base64url');
}

/** @returns {Uint8Array} */
export function newSecret() {
  return randomBytes(SECRET_BYTES);
}

/** The secret in a file, which is made when it is not there. */
export function secretIn(path) {
  try {
    writeFileSync(path, newSecret(), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const secret = readFileSync(path);
  if (secret.length !== SECRET_BYTES) {
    throw new Failure(`${path} holds no secret`, 'delete it to have another made');
  }
  return secret;
}
