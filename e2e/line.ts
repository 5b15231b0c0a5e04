// A person's line to the relay: a TCP forwarder that a test can cut and mend, for one person alone. What passes is real bytes
// on real sockets.
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Line {
  readonly #sockets = new Set<Socket>();
  #cut = false;
  #opened = 0;
  #bytes = 0;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** Forwards a port of the system's choice to `target` on this machine. */
  static open(target: number): Promise<Line> {
    return new Promise((resolve, reject) => {
      const server = createServer((near) => {
        if (line.#cut) {
          near.destroy();
          return;
        }
        line.#opened += 1;
        const far = connect(target, '127.0.0.1');
        for (const [socket, other] of [
          [near, far],
          [far, near],
        ] as const) {
          line.#sockets.add(socket);
          socket.setNoDelay(true);
          // The one end's error is the other end's close.
          socket.on('error', () => other.destroy());
          socket.on('close', () => {
            line.#sockets.delete(socket);
            other.destroy();
          });
          socket.on('data', (chunk) => {
            line.#bytes += chunk.length;
          });
          socket.pipe(other);
        }
      });
      let line: Line;
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        line = new Line(server, (server.address() as { port: number }).port);
        resolve(line);
      });
    });
  }

  /** How many connections there were. */
  get opened(): number {
    return this.#opened;
  }

  /** How many bytes have passed, in both directions together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Ends all connections and refuses new ones. */
  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
