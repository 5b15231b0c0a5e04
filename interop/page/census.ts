// What a page's WebRTC is doing, as the browser itself has it: the same for both kinds of peer.

export class Census {
  readonly #channels = new Set<RTCDataChannel>();
  readonly #states: RTCPeerConnectionState[] = [];

  /** Counts what is made from now on. */
  constructor() {
    const [channels, states] = [this.#channels, this.#states];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        this.addEventListener('datachannel', ({ channel }) => channels.add(channel));
        this.addEventListener('connectionstatechange', () => states.push(this.connectionState));
      }

      override createDataChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel {
        const channel = super.createDataChannel(label, options);
        channels.add(channel);
        return channel;
      }
    };
  }

  /** How many streams are open, and how many there have been: each is a data channel without a label. */
  streams(): { open: number; ever: number } {
    const streams = [...this.#channels].filter(({ label }) => label === '');
    return { open: streams.filter(({ readyState }) => readyState !== 'closed').length, ever: streams.length };
  }

  /** The states that connections have come to. */
  states(): RTCPeerConnectionState[] {
    return [...this.#states];
  }
}
