/**
 * What wasm-bindgen makes of `wasm/src`: written by hand, because its own declarations say `any` wherever a plain object
 * crosses, and so that the facade type-checks before the wasm is built.
 */
import type { Calls, Context, Found, HostEvent, Limits, Page, Presented, ScanRequest, Status } from './host.js';
import type { Invited } from './invitation.js';

/** Starts the engine. `Promise<Response>` is compiled while it arrives. */
export default function init(options: {
  module_or_path: BufferSource | WebAssembly.Module | Response;
}): Promise<unknown>;

/** Calls `listener` with the panic's words, once, should the engine panic; nothing here may be called after that. */
export function onPanic(listener: (message: string) => void): void;

export function limits(): Limits;

/** What an invitation says, to who reads it at a time in seconds since 1970. */
export function readInvitation(invitation: string, now: number): Invited;

/** What the store of a secret is called among its members. */
export function storeOf(secret: Uint8Array): string;

/** What an engine tells: as its host does, but of the status and of who is present only that they may have changed. */
export type EngineEvent =
  | Exclude<HostEvent, { event: 'status' | 'presence' }>
  | { readonly event: 'statusChanged' }
  | { readonly event: 'presenceChanged' };

/** `keepsake`: an invitation to the store that was kept under the name, as far as is known beside what is stored. */
type EngineOptions = Calls['open']['request'] & { readonly keepsake?: string | undefined };

/** One open store. Every method may throw, and every promise reject with, an `Error` that has a `code`. */
export class Engine {
  private constructor();
  static open(options: EngineOptions, listener: (event: EngineEvent) => void): Engine;
  /** Fails with `Superseded`, and begins no further write, when `superseded` is aborted before it is done. */
  static openStored(
    options: EngineOptions,
    takesOver: boolean,
    superseded: AbortSignal,
    listener: (event: EngineEvent) => void,
  ): Promise<Engine>;
  /** Until it resolves, nothing may be called but `size`, `store`, `status`, `watch`, `glimpse`, `supersede` and `free`. `undefined`: everything may. */
  readonly loaded: Promise<undefined> | undefined;
  /** What a key reads, as long as nothing was written. */
  glimpse(key: string): Promise<Uint8Array | undefined>;
  readonly size: number;
  /** What became of what was stored before, if it is gone, and what follows from that. */
  readonly lost: string | undefined;
  /** What the store is called among its members. */
  readonly store: string;
  status(): Status;
  watch(prefixes: readonly string[]): void;
  transact(
    keys: readonly string[],
    values: readonly (Uint8Array | number | null)[],
    contexts: readonly (Context | undefined)[] | undefined,
    caller: number | undefined,
    n: number | undefined,
  ): Promise<undefined>;
  transactPacked(
    keys: readonly string[],
    bytes: Uint8Array,
    lengths: Int32Array,
    caller: number | undefined,
    n: number | undefined,
  ): Promise<undefined>;
  clear(caller: number | undefined, n: number | undefined): Promise<undefined>;
  /** A promise, here and below, where values have to be read from the storage first. */
  get(key: string): Found | undefined | Promise<Found | undefined>;
  has(key: string): boolean;
  getMany(keys: readonly string[]): Calls['get']['reply'] | Promise<Calls['get']['reply']>;
  siblings(key: string): Calls['siblings']['reply'] | Promise<Calls['siblings']['reply']>;
  scan(range: ScanRequest): Page | Promise<Page>;
  invite(expires: number | undefined): string;
  exportFile(): Promise<Uint8Array<ArrayBuffer>>;
  importFile(file: Uint8Array): Promise<undefined>;
  present(id: string, value: Uint8Array | undefined): void;
  recall(ids: readonly string[], values: readonly Uint8Array[], former: string | undefined): void;
  presences(since: number): { home: string; changes: number; present: string[]; changed: Presented[] };
  lastEvent(): string | undefined;
  networkChanged(): void;
  supersede(): void;
  close(): Promise<undefined>;
  free(): void;
}
