/**
 * One connection: audio up over WebRTC, events down over a data channel, set up by WHIP with trickle (RFC 9725).
 *
 * `Connection.open` does the whole handshake and resolves when events can flow. A connection that falls silent may
 * yet speak again (`onSilent`, `onHeard`); one that is closed is gone (`onClosed`, at most once, never by our own
 * asking). What becomes of the session then is for `live_session.js` to say.
 */

import { PROBLEMS, Problem } from "./problems.js";
import { BEAT_MS, DOUBTFUL_PATIENCE_MS, PATIENCE_MS, heartbeat } from "./reconnect.js";
import { firstMid, sdpFragment } from "./sdp_fragment.js";

/** Candidates of this machine come within milliseconds; a STUN server that does not answer must not hold us up. */
const GATHERING_MS = 2_000;
const OPENING_MS = 10_000;
/** The server may still be writing the last final. */
const GOODBYE_MS = 3_000;

/** Set when a server has refused PATCH: from then on an offer waits for its candidates. */
let trickleRefused = false;

/**
 * @typedef {object} ConnectionOptions
 * @property {import("./whip.js").Whip} whip    of this connection alone
 * @property {MediaStreamTrack} track           what to send first
 * @property {RTCIceServer[]} iceServers
 * @property {RTCIceTransportPolicy} [iceTransportPolicy]
 * @property {boolean} [trickle]                false: gather all candidates before the offer
 * @property {AbortSignal} signal               gives up the attempt
 * @property {(event: any) => void} onEvent
 * @property {(roundTripMs: number) => void} [onRoundTrip]
 * @property {(shaky: boolean) => void} [onShaky]   packets stopped flowing, or flow again
 * @property {() => void} [onSilent]                a ping has had no answer for too long
 * @property {() => void} [onHeard]                 it was silent, and is not any more
 * @property {() => void} [onClosed]
 * @property {(type: string) => void} [onCandidate]       one of ours was found; its kind
 * @property {(code: number) => void} [onCandidateError]  of a STUN or TURN server
 */

export class Connection {
  #peer;
  #channel;
  #sender;
  #options;
  #whip;
  #closed = false;
  #silent = false;
  #beat = 0;
  #lastBeatAt = 0;
  #lastPingAt = 0;
  #patienceMs = PATIENCE_MS;
  /** When the pings under way were sent, by id. @type {Map<string, number>} */
  #pings = new Map();
  /** Candidates found and not yet sent; null at its end: there are no more. @type {(string|null)[]} */
  #candidates = [];
  #trickling = false;
  /** Called when `session.ended` has come; `stop` waits for it. @type {(value?: unknown) => void} */
  #onEnded = () => {};

  /**
   * @param {ConnectionOptions} options
   * @returns {Promise<Connection>}
   */
  static async open(options) {
    if (typeof RTCPeerConnection === "undefined") throw new Problem(PROBLEMS.webrtcBlocked);
    const refusedBefore = trickleRefused;
    const connection = new Connection(options);
    try {
      await connection.#handshake();
      return connection;
    } catch (error) {
      connection.close();
      // The server may have needed the candidates that it did not take: once more, with all of them in the offer.
      if (trickleRefused && !refusedBefore && !options.signal.aborted) return Connection.open(options);
      throw error;
    }
  }

  /** Use `Connection.open`. */
  constructor(options) {
    this.#options = options;
    this.#whip = options.whip;
    const { iceServers, iceTransportPolicy = "all" } = options;
    try {
      this.#peer = new RTCPeerConnection({ iceServers, iceTransportPolicy });
    } catch {
      throw new Problem(PROBLEMS.webrtcBlocked);
    }
    this.#sender = this.#peer.addTransceiver(options.track, { direction: "sendonly" }).sender;
    // Before the offer, so that it is part of it. The defaults are what we need: ordered and reliable.
    this.#channel = this.#peer.createDataChannel("rtc-stt");
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#peer.onicecandidate = ({ candidate }) => this.#found(candidate);
    this.#peer.onicecandidateerror = ({ errorCode }) => options.onCandidateError?.(errorCode);
  }

  async #handshake() {
    const { signal, trickle = true } = this.#options;
    await this.#peer.setLocalDescription();
    const trickling = trickle && !trickleRefused;
    if (!trickling) await gathered(this.#peer, signal);
    // What has been found by now is in the offer, and need not be sent again.
    this.#candidates = [];
    const sdp = this.#peer.localDescription.sdp;
    const answer = await this.#whip.offer(sdp, signal);
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer });
    if (trickling) {
      this.#trickling = true;
      this.#trickle();
    }
    await opened(this.#peer, this.#channel, signal);
    this.#watch();
  }

  /** @param {RTCIceCandidate|null} candidate  null, or an empty one, where there are no more */
  #found(candidate) {
    const text = candidate?.candidate || null;
    if (text) this.#options.onCandidate?.(candidate.type);
    // The others are the same ones, for m-lines that are bundled with the first.
    if (text && candidate.sdpMid !== firstMid(this.#peer.localDescription.sdp)) return;
    this.#candidates.push(text);
    this.#trickle();
  }

  /** One request at a time, in order; what is found in the meantime goes with the next. */
  async #trickle() {
    if (!this.#trickling || this.#candidates.length === 0 || this.#closed) return;
    const found = this.#candidates;
    this.#candidates = [];
    this.#trickling = false;
    const some = found.filter((candidate) => candidate !== null);
    const fragment = sdpFragment(this.#peer.localDescription.sdp, some, found.includes(null));
    try {
      trickleRefused = !(await this.#whip.trickle(fragment, this.#options.signal));
    } catch {
      return; // given up
    }
    this.#trickling = !trickleRefused;
    this.#trickle();
  }

  /** Once open, notice the ways in which a connection ends: closed, cut off, or silent. */
  #watch() {
    // ICE stays "connected" when the server closes on its own; only the channel tells.
    this.#channel.onclose = () => this.#lose();
    this.#peer.onconnectionstatechange = () => {
      const { connectionState } = this.#peer;
      if (connectionState === "failed") return this.#lose();
      this.#options.onShaky?.(connectionState === "disconnected");
      if (connectionState === "disconnected") this.probe();
    };
    this.#lastBeatAt = Date.now();
    this.#beat = setInterval(() => this.#onBeat(), BEAT_MS);
    this.#ping();
  }

  #onBeat() {
    const now = performance.now();
    const [oldest] = this.#pings.values();
    const { slept, silent, ping } = heartbeat({
      sinceLastBeatMs: Date.now() - this.#lastBeatAt,
      sinceLastPingMs: now - this.#lastPingAt,
      unansweredMs: oldest === undefined ? null : now - oldest,
      patienceMs: this.#patienceMs,
    });
    this.#lastBeatAt = Date.now();
    if (slept) return this.probe();
    if (silent && !this.#silent) {
      this.#silent = true;
      this.#options.onSilent?.();
    }
    if (ping) this.#ping();
  }

  /** There is a reason to doubt that it still stands: ask, and wait for the answer less long than usual. */
  probe() {
    if (this.#closed || this.#silent) return;
    this.#pings.clear();
    this.#patienceMs = DOUBTFUL_PATIENCE_MS;
    this.#ping();
  }

  #ping() {
    const now = performance.now();
    const id = String(Math.round(now));
    this.#lastPingAt = now;
    this.#pings.set(id, now);
    this.send({ type: "ping", id });
  }

  #receive(data) {
    if (this.#closed) return;
    const event = JSON.parse(data);
    if (event.type === "tick") return; // it has done its work by coming: it made a lost event noticed
    if (event.type === "pong" && this.#pings.has(event.id)) {
      this.#options.onRoundTrip?.(performance.now() - this.#pings.get(event.id));
      // The channel is ordered: what was asked before has been answered or never will be.
      this.#pings.clear();
      this.#patienceMs = PATIENCE_MS;
    }
    if (this.#silent) {
      this.#silent = false;
      this.#pings.clear();
      this.#options.onHeard?.();
    }
    this.#options.onEvent(event);
    if (event.type === "session.ended") this.#onEnded();
  }

  #lose() {
    if (this.#closed) return;
    this.close();
    this.#options.onClosed?.();
  }

  /** @param {{type: string, [field: string]: any}} message */
  send(message) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** Sends another track from now on, or none, without a new negotiation. @param {MediaStreamTrack|null} track */
  async replaceTrack(track) {
    if (!this.#closed) await this.#sender.replaceTrack(track);
  }

  /** @returns {Promise<RTCStatsReport>} */
  stats() {
    return this.#peer.getStats();
  }

  /** Says goodbye, waits for the last words of the server, and closes; the session is over then. */
  async stop() {
    if (!this.#closed) {
      await new Promise((resolve) => {
        this.#onEnded = resolve;
        this.#channel.onclose = resolve; // no loss any more: it is what we asked for
        setTimeout(resolve, GOODBYE_MS);
        this.send({ type: "stop" });
      });
    }
    this.end();
  }

  /** Ends the session at once. */
  end() {
    this.#whip.end();
    this.close();
  }

  /** Closes the connection at once. The session may go on with another one. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#beat);
    this.#peer.close();
  }
}

/** Resolves when all candidates are in the local description, or there was time enough. */
function gathered(peer, signal) {
  return until(signal, (resolve) => {
    if (peer.iceGatheringState === "complete") resolve();
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
    setTimeout(resolve, GATHERING_MS);
  });
}

/** Resolves when the data channel is open. */
function opened(peer, channel, signal) {
  return until(signal, (resolve, reject) => {
    if (channel.readyState === "open") resolve();
    channel.onopen = resolve;
    channel.onclose = () => reject(new Problem(PROBLEMS.connectionLost));
    peer.onconnectionstatechange = () =>
      peer.connectionState === "failed" && reject(new Problem(PROBLEMS.iceFailed));
    // Without a path ICE may go on trying for longer than anyone waits.
    setTimeout(() => {
      const pathFound = peer.iceConnectionState === "connected" || peer.iceConnectionState === "completed";
      reject(new Problem(pathFound ? PROBLEMS.channelTimeout : PROBLEMS.iceFailed));
    }, OPENING_MS);
  });
}

/** A promise that the signal can break off. */
function until(signal, executor) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    executor(resolve, reject);
  });
}
