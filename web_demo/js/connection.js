/**
 * One live session: audio up over WebRTC, events down over a data channel, set up by WHIP (RFC 9725).
 *
 * `Connection.open` does the whole handshake and resolves when events can flow. From then on `onEvent` is called
 * for each event, and `onLost` at most once, when the connection ends without our asking.
 */

import { PROBLEMS, Problem, fromResponse } from "./problems.js";

/** Candidates of this machine come within milliseconds; a STUN server that does not answer must not hold us up. */
const GATHERING_MS = 2_000;
const OPENING_MS = 10_000;
/** Often enough for a live read-out, and to keep a session without sound alive. */
const PING_EVERY_MS = 5_000;
/** ICE itself needs about half a minute to give up on a peer that is gone; two lost pings tell sooner. */
const PONG_WITHIN_MS = 11_000;
/** The server may still be writing the last final. */
const GOODBYE_MS = 3_000;

/**
 * @typedef {object} ConnectionOptions
 * @property {MediaStreamTrack} track       what to send first
 * @property {string} apiKey                "" where the server asks for none
 * @property {string|undefined} iceServersUrl  where to ask for STUN and TURN servers; the answer has W3C's `iceServers`
 * @property {AbortSignal} signal           gives up the attempt
 * @property {(event: any) => void} onEvent
 * @property {(roundTripMs: number) => void} onRoundTrip
 * @property {(shaky: boolean) => void} onShaky   packets stopped flowing, or flow again
 * @property {(problem: Problem) => void} onLost
 */

export class Connection {
  #peer;
  #channel;
  #sender;
  #options;
  #headers;
  #resource = "";
  #closed = false;
  #pinger = 0;
  /** When the pings under way were sent, by id. @type {Map<string, number>} */
  #pings = new Map();
  /** Called when `session.ended` has come; `stop` waits for it. @type {(value?: unknown) => void} */
  #onEnded = () => {};

  /**
   * @param {ConnectionOptions} options
   * @returns {Promise<Connection>}
   */
  static async open(options) {
    if (typeof RTCPeerConnection === "undefined") throw new Problem(PROBLEMS.webrtcBlocked);
    const headers = options.apiKey ? { Authorization: `Bearer ${options.apiKey}` } : {};
    const iceServers = await fetchIceServers(options.iceServersUrl, headers, options.signal);
    const connection = new Connection(options, headers, iceServers);
    try {
      await connection.#handshake();
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  /** Use `Connection.open`. */
  constructor(options, headers, iceServers) {
    this.#options = options;
    this.#headers = headers;
    try {
      this.#peer = new RTCPeerConnection({ iceServers });
    } catch {
      throw new Problem(PROBLEMS.webrtcBlocked);
    }
    this.#sender = this.#peer.addTransceiver(options.track, { direction: "sendonly" }).sender;
    // Before the offer, so that it is part of it. The defaults are what we need: ordered and reliable.
    this.#channel = this.#peer.createDataChannel("rtc-stt");
    this.#channel.onmessage = ({ data }) => this.#receive(data);
  }

  async #handshake() {
    const { signal } = this.#options;
    await this.#peer.setLocalDescription();
    await gathered(this.#peer, signal);
    const response = await this.#post(this.#peer.localDescription.sdp);
    // A server may be reached under a path of a proxy: the address is relative to the request (RFC 9110, 10.2.2).
    this.#resource = new URL(response.headers.get("Location") ?? "", response.url).href;
    await this.#peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await opened(this.#peer, this.#channel, signal);
    this.#watch();
  }

  async #post(sdp) {
    let response;
    try {
      response = await fetch("/whip", {
        method: "POST",
        headers: { ...this.#headers, "Content-Type": "application/sdp" },
        body: sdp,
        signal: this.#options.signal,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(PROBLEMS.serverUnreachable);
    }
    if (response.status !== 201) throw await fromResponse(response);
    return response;
  }

  /** Once open, notice the three ways in which a connection ends: closed, cut off, or silent. */
  #watch() {
    // ICE stays "connected" when the server closes on its own; only the channel tells.
    this.#channel.onclose = () => this.#lose();
    this.#peer.onconnectionstatechange = () => {
      const { connectionState } = this.#peer;
      if (connectionState === "failed") this.#lose();
      else this.#options.onShaky(connectionState === "disconnected");
    };
    this.#pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#ping();
  }

  #ping() {
    const now = performance.now();
    const [oldest] = this.#pings.values();
    if (oldest !== undefined && now - oldest > PONG_WITHIN_MS) return this.#lose();
    const id = String(Math.round(now));
    this.#pings.set(id, now);
    this.send({ type: "ping", id });
  }

  #receive(data) {
    const event = JSON.parse(data);
    if (event.type === "pong" && this.#pings.has(event.id)) {
      this.#options.onRoundTrip(performance.now() - this.#pings.get(event.id));
      // The channel is ordered: what was asked before has been answered or never will be.
      this.#pings.clear();
    }
    this.#options.onEvent(event);
    if (event.type === "session.ended") this.#onEnded();
  }

  #lose() {
    if (this.#closed) return;
    this.close();
    this.#options.onLost(new Problem(PROBLEMS.connectionLost));
  }

  /** @param {{type: string, [field: string]: any}} message */
  send(message) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** Sends another track from now on, without a new negotiation. @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    await this.#sender.replaceTrack(track);
  }

  /** Says goodbye, waits for the last words of the server, and closes. */
  async stop() {
    if (this.#closed) return;
    await new Promise((resolve) => {
      this.#onEnded = resolve;
      this.#channel.onclose = resolve; // no loss any more: it is what we asked for
      setTimeout(resolve, GOODBYE_MS);
      this.send({ type: "stop" });
    });
    this.close();
  }

  /** Closes at once; also while the page is being left. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#pinger);
    if (this.#resource) {
      // keepalive: the request outlives the page. Its answer does not matter any more.
      fetch(this.#resource, { method: "DELETE", headers: this.#headers, keepalive: true }).catch(() => {});
    }
    this.#peer.close();
  }
}

/**
 * STUN and TURN servers. Without any, a server that can be reached directly still works, so no failure here is one.
 *
 * @returns {Promise<RTCIceServer[]>}
 */
async function fetchIceServers(url, headers, signal) {
  if (!url) return [];
  try {
    const response = await fetch(url, { headers, signal });
    const { iceServers = [] } = response.ok ? await response.json() : {};
    return iceServers;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return [];
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
