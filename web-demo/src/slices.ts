// Long work in short slices, one a frame, so that the page answers a person in between. A list of 10,000 entries that is drawn
// in one go takes the page for seconds.

/** Half of a frame at 60 a second; the other half is the browser's, which lays out what was made. */
const SLICE_MS = 8;
/** Nobody looks at a hidden page, and its frames are far apart. Still no long task. */
const HIDDEN_SLICE_MS = 40;
/** A hidden page has no frames; timers take their place, at whatever pace the browser allows. */
const FRAME_WAIT_MS = 100;

export interface Clock {
  now(): number;
  /** When the next slice may begin, and how long it may be. */
  nextFrame(): Promise<{ sliceMs: number }>;
}

export class Slices {
  #ends = 0;
  /** One for all who wait, since they share the slice. */
  #next: Promise<void> | undefined;

  constructor(private readonly clock: Clock = pageClock) {}

  /** Whether it is time to wait for the next slice. */
  get over(): boolean {
    return this.clock.now() >= this.#ends;
  }

  next(): Promise<void> {
    this.#next ??= this.clock.nextFrame().then(({ sliceMs }) => {
      this.#next = undefined;
      this.#ends = this.clock.now() + sliceMs;
    });
    return this.#next;
  }
}

const pageClock: Clock = {
  now: () => performance.now(),
  nextFrame: () =>
    new Promise((resolve) => {
      const done = () => {
        cancelAnimationFrame(frame);
        clearTimeout(timer);
        resolve({ sliceMs: document.hidden ? HIDDEN_SLICE_MS : SLICE_MS });
      };
      const frame = requestAnimationFrame(done);
      const timer = setTimeout(done, FRAME_WAIT_MS);
    }),
};
