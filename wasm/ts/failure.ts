/** Failures on their way from the engine to the application: as the engine throws them, as plain values, as errors. */
import { reportDefect } from './engine.js';
import { type ErrorCode, GossipStoreError } from './errors.js';
import type { Failure } from './host.js';

/** What the engine threw, as a plain value. */
export function asFailure(error: unknown): Failure {
  // A trap, or the stack that ran out within wasm: what was under way stopped half done.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return reportDefect(error.message);
  if (isFailure(error)) {
    const { code, message, cause } = error;
    return cause === undefined ? { code, message } : { code, message, cause };
  }
  return { code: 'Internal', message: `a defect in GossipStore, please report it: ${error}`, cause: error };
}

/** What callers are told. */
export function toError({ code, message, cause }: Failure): GossipStoreError {
  return new GossipStoreError(
    code === 'StorageRefused' ? 'Internal' : code,
    message,
    cause === undefined ? undefined : { cause },
  );
}

function isFailure(error: unknown): error is Failure {
  return typeof error === 'object' && error !== null && typeof (error as { code?: ErrorCode }).code === 'string';
}
