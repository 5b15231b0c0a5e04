// The peer in JavaScript: js-libp2p as its users have it.
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { webRTC } from '@libp2p/webrtc';
import { webSockets } from '@libp2p/websockets';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { flaw, pattern } from './pattern.ts';
import { BY_HAND, ECHO, type Options, type Path, type Peer } from './peer.ts';

/** How much is written at once. */
const CHUNK_BYTES = 64 * 1024;

/** More streams at once than any test has; js-libp2p allows 32 of a protocol otherwise. */
const STREAMS_MAX = 1_024;

/** For what js-libp2p ends after some seconds by itself: a machine that is busy with the tests may take its time. */
const PATIENCE_MS = 60_000;

type Services = { identify: Identify; gossip?: GossipSub };

/** Values that are waited for in the order they come. */
class Queue<T> {
  readonly #values: T[] = [];
  readonly #waiting: ((value: T) => void)[] = [];

  push(value: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#values.push(value);
  }

  next(): Promise<T> {
    const value = this.#values.shift();
    return value === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(value);
  }
}

/** A stream that is read from the first moment on: js-libp2p resets one on which 4 MiB wait. */
class Reading {
  readonly ended: Promise<void>;

  constructor(stream: Stream, take: (bytes: Uint8Array) => void) {
    this.ended = new Promise((resolve, reject) => {
      stream.addEventListener('message', ({ data }) => {
        for (const bytes of data instanceof Uint8Array ? [data] : data) take(bytes);
      });
      // A reset is an end as well, of which the status says more.
      const end = () => {
        if (stream.status === 'reset') reject(new Error('the other side reset the stream'));
        else if (stream.status === 'aborted') reject(new Error('the stream was given up'));
        else resolve();
      };
      stream.addEventListener('end', end);
      stream.addEventListener('close', end);
    });
    // Not every stream is read to its end by somebody.
    this.ended.catch(() => {});
  }
}

/** A stream that a test has in hand. */
class InHand {
  #received = 0;
  #flaw: number | undefined;
  readonly #reading: Reading;

  constructor(readonly stream: Stream) {
    this.#reading = new Reading(stream, (bytes) => {
      this.#flaw ??= flaw(this.#received, bytes);
      this.#received += bytes.length;
    });
  }

  async readToEnd(): Promise<number> {
    await this.#reading.ended;
    if (this.#flaw !== undefined) throw new Error(`byte ${this.#flaw} is not the one that was sent`);
    return this.#received;
  }
}

/** All that comes on a stream until its end. */
async function all(stream: Stream): Promise<Uint8Array> {
  const received: Uint8Array[] = [];
  await new Reading(stream, (bytes) => received.push(bytes)).ended;
  return new Uint8Array(await new Blob(received as BlobPart[]).arrayBuffer());
}

async function echo(stream: Stream): Promise<void> {
  stream.send(await all(stream));
  await stream.close();
}

function isDirect(connection: Connection): boolean {
  return connection.limits === undefined && connection.remoteAddr.toString().includes('/webrtc');
}

class JsPeer implements Peer {
  readonly #node: Libp2p<Services>;
  readonly #streams: InHand[] = [];
  readonly #accepted = new Queue<number>();
  readonly #messages = new Queue<Uint8Array>();

  private constructor(node: Libp2p<Services>) {
    this.#node = node;
  }

  static async start({ relay, gossips = false }: Options): Promise<JsPeer> {
    const node = await createLibp2p<Services>({
      addresses: { listen: relay === undefined ? [] : [`${relay}/p2p-circuit`, '/webrtc'] },
      transports: [webSockets(), circuitRelayTransport(), webRTC({ rtcConfiguration: { iceServers: [] } })],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      // In browsers js-libp2p dials no address of this machine otherwise.
      connectionGater: { denyDialMultiaddr: () => false },
      connectionManager: { dialTimeout: PATIENCE_MS, inboundUpgradeTimeout: PATIENCE_MS },
      connectionMonitor: { pingTimeout: { minTimeout: PATIENCE_MS, maxTimeout: PATIENCE_MS } },
      services: { identify: identify(), ...(gossips ? { gossip: gossipsub() } : {}) },
    });
    const peer = new JsPeer(node);
    const limits = { maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX };
    await node.handle(BY_HAND, (stream) => peer.#accepted.push(peer.#insert(stream)), limits);
    // Whoever asked may be gone.
    await node.handle(ECHO, (stream) => echo(stream).catch(() => {}), limits);
    node.services.gossip?.addEventListener('message', ({ detail }) => peer.#messages.push(detail.data));
    return peer;
  }

  async id(): Promise<string> {
    return this.#node.peerId.toString();
  }

  address(): Promise<string> {
    const found = () =>
      this.#node
        .getMultiaddrs()
        .map(String)
        .find((address) => address.includes('/p2p-circuit/webrtc/'));
    return this.#until('self:peer:update', found);
  }

  async dial(address: string): Promise<void> {
    await this.#node.dial(multiaddr(address));
  }

  async paths(peer: string): Promise<Path[]> {
    return this.#connections(peer).map((connection) => (isDirect(connection) ? 'direct' : 'circuit'));
  }

  async connected(peer: string): Promise<void> {
    await this.#until('connection:open', () => this.#connections(peer).some(isDirect) || undefined);
  }

  async disconnected(peer: string): Promise<void> {
    await this.#until('connection:close', () => !this.#connections(peer).some(isDirect) || undefined);
  }

  async disconnect(peer: string): Promise<void> {
    await this.#direct(peer).close();
  }

  async open(peer: string): Promise<number> {
    return this.#insert(await this.#open(peer, BY_HAND));
  }

  accept(): Promise<number> {
    return this.#accepted.next();
  }

  async write(stream: number, bytes: number): Promise<void> {
    const writing = this.#inHand(stream).stream;
    for (let start = 0; start < bytes; start += CHUNK_BYTES) {
      if (!writing.send(pattern(start, Math.min(CHUNK_BYTES, bytes - start)))) await writing.onDrain();
    }
  }

  finish(stream: number): Promise<void> {
    return this.#inHand(stream).stream.close();
  }

  readToEnd(stream: number): Promise<number> {
    return this.#inHand(stream).readToEnd();
  }

  stopReading(stream: number): Promise<void> {
    return this.#inHand(stream).stream.closeRead();
  }

  async reset(stream: number): Promise<void> {
    this.#inHand(stream).stream.abort(new Error('the test gives it up'));
  }

  async echoes(peer: string, count: number, atOnce: number): Promise<number> {
    let [begun, good] = [0, 0];
    const ask = async () => {
      while (begun < count) {
        const number = begun++;
        const question = pattern(number, 16 + (number % 100));
        const stream = await this.#open(peer, ECHO);
        const answer = all(stream);
        stream.send(question);
        await stream.close();
        if (String(await answer) === String(question)) good += 1;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, ask));
    return good;
  }

  async subscribe(topic: string): Promise<void> {
    this.#gossip.subscribe(topic);
  }

  async subscribed(peer: string, topic: string): Promise<void> {
    const gossip = this.#gossip;
    const is = () => gossip.getSubscribers(topic).some((subscriber) => subscriber.toString() === peer);
    while (!is()) await next(gossip, 'subscription-change');
  }

  async publish(topic: string, bytes: number): Promise<void> {
    await this.#gossip.publish(topic, pattern(0, bytes));
  }

  async message(): Promise<number> {
    const message = await this.#messages.next();
    const place = flaw(0, message);
    if (place !== undefined) throw new Error(`byte ${place} is not the one that was published`);
    return message.length;
  }

  get #gossip(): GossipSub {
    if (this.#node.services.gossip === undefined) throw new Error('this node does not gossip');
    return this.#node.services.gossip;
  }

  #connections(peer: string): Connection[] {
    return this.#node.getConnections().filter(({ remotePeer }) => remotePeer.toString() === peer);
  }

  #direct(peer: string): Connection {
    const direct = this.#connections(peer).find(isDirect);
    if (direct === undefined) throw new Error('there is no direct connection');
    return direct;
  }

  #open(peer: string, protocol: string): Promise<Stream> {
    return this.#direct(peer).newStream(protocol, { maxOutboundStreams: STREAMS_MAX });
  }

  #insert(stream: Stream): number {
    return this.#streams.push(new InHand(stream)) - 1;
  }

  #inHand(stream: number): InHand {
    const found = this.#streams[stream];
    if (found === undefined) throw new Error('the stream is not in hand');
    return found;
  }

  /** What `wanted` finds, looked for again after each such event. */
  async #until<T>(
    event: 'self:peer:update' | 'connection:open' | 'connection:close',
    wanted: () => T | undefined,
  ): Promise<T> {
    for (;;) {
      const found = wanted();
      if (found !== undefined) return found;
      await next(this.#node, event);
    }
  }
}

export const start = (options: Options): Promise<Peer> => JsPeer.start(options);

interface Events {
  addEventListener(event: string, listener: () => void, options: { once: true }): void;
}

function next(target: unknown, event: string): Promise<void> {
  return new Promise((resolve) => (target as Events).addEventListener(event, () => resolve(), { once: true }));
}
