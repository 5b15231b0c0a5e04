// What a test can do with a peer, whichever language it is written in. Streams are numbers: those that a test has in hand.

/** The two who are to get on with each other. */
export type Kind = 'rust' | 'js';

export interface Options {
  /** The relay to be reached through; none if the peer only dials. */
  relay?: string;
  gossips?: boolean;
}

/** How a connection's bytes travel. */
export type Path = 'direct' | 'circuit';

export interface Peer {
  id(): Promise<string>;
  /** Where it is reached directly, as soon as it is. */
  address(): Promise<string>;
  /** Dials, and resolves when the connection stands. */
  dial(address: string): Promise<void>;
  /** The connections to a peer, in the order they were made. */
  paths(peer: string): Promise<Path[]>;
  /** Until a direct connection to a peer stands. */
  connected(peer: string): Promise<void>;
  /** Until none does. */
  disconnected(peer: string): Promise<void>;
  /** Closes the direct connection to a peer. */
  disconnect(peer: string): Promise<void>;

  /** Opens a stream on the direct connection. */
  open(peer: string): Promise<number>;
  /** The next stream that another peer has opened. */
  accept(): Promise<number>;
  /** Writes so many bytes of the pattern, from its beginning. */
  write(stream: number, bytes: number): Promise<void>;
  /** Writes no more; resolves when the other side has everything. */
  finish(stream: number): Promise<void>;
  /** Reads to the end. Resolves with how many bytes of the pattern came; rejects at any other, and when the stream is reset. */
  readToEnd(stream: number): Promise<number>;
  /** Reads no more of a stream on which it writes no more either. */
  stopReading(stream: number): Promise<void>;
  /** Gives the stream up. */
  reset(stream: number): Promise<void>;
  /** Opens streams on which the other side sends back what it is sent. Resolves with how many did. */
  echoes(peer: string, count: number, atOnce: number): Promise<number>;

  subscribe(topic: string): Promise<void>;
  /** Until a peer has said that it is subscribed. */
  subscribed(peer: string, topic: string): Promise<void>;
  /** Publishes so many bytes of the pattern. */
  publish(topic: string, bytes: number): Promise<void>;
  /** How many bytes the next message has; rejects if they are not the pattern's. */
  message(): Promise<number>;
}

/** The protocol of streams on which whoever is asked reads to the end, sends the same back and closes. */
export const ECHO = '/interop/echo/1';

/** The protocol of the streams that a test has in hand. */
export const BY_HAND = '/interop/by-hand/1';
