/** What can go wrong, as one error type with a stable code. `docs/errors.md` lists the codes and their remedies. */

export type ErrorCode =
  | 'AlreadyOpen'
  | 'Closed'
  | 'CounterOverflow'
  | 'ImportFailed'
  | 'Forked'
  | 'Internal'
  | 'InvalidContext'
  | 'InvalidFile'
  | 'InvalidInvitation'
  | 'InvalidOptions'
  | 'InvalidRelayAddress'
  | 'InvitationExpired'
  | 'KeyEmpty'
  | 'KeyNotStorable'
  | 'KeyTooLong'
  | 'NotACounter'
  | 'NotDurable'
  | 'QuotaExceeded'
  | 'SessionFailed'
  | 'StorageLost'
  | 'StorageUnreadable'
  | 'Superseded'
  | 'SystemRefused'
  | 'TransactionEnded'
  | 'TransactionTooLarge'
  | 'OtherStore'
  | 'OtherVersion'
  | 'ValueCorrupt'
  | 'ValueLost'
  | 'ValueNotStorable'
  | 'ValueTooLarge'
  | 'WasmBlocked'
  | 'WasmNotFound';

/** Every error of this package. Tell them apart by `code`; the message says what to do and may change. */
export class GossipStoreError extends Error {
  override readonly name = 'GossipStoreError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
