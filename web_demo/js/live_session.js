/**
 * One session, over as many connections as it takes.
 *
 * Events come out once each and in order, whatever was sent again; the server is told how far we are, so that it can
 * forget. When the connection is lost, new ones are tried (`reconnect.js` says when) with what is needed to go on:
 * the token of the session and the last event seen. The old connection stays until a new one stands, since a short
 * blackout heals by itself.
 */

import { Connection } from "./connection.js";
import { textOf } from "./problems.js";
import { afterFailure, attemptAfterLife, backoffMs, comesBackAfter, whyAway } from "./reconnect.js";
import { Whip } from "./whip.js";

const STATS_EVERY_MS = 2_000;
/** Finals are acknowledged at once; what comes between them need not be. */
const ACK_WITHIN_MS = 1_000;

/**
 * What a page that is loaded again needs to go on; `seconds` is how long the server waits.
 *
 * @typedef {import("./whip.js").Resume & {seconds: number, iceServers: RTCIceServer[]}} Resumable
 *
 * @typedef {object} SessionOptions
 * @property {MediaStreamTrack} track       what to send first
 * @property {string} apiKey                "" where there is none
 * @property {boolean} trickle
 * @property {Resumable|null} resume        a session from before the page was loaded
 * @property {AbortSignal} signal           gives up the first attempt
 * @property {(event: any) => void} onEvent
 * @property {() => void} onNewSession      the old session is gone: what comes now is of another one
 * @property {(why: ReturnType<typeof whyAway>) => void} onAway  the connection is lost, or still is
 * @property {() => void} onBack
 * @property {(roundTripMs: number) => void} onRoundTrip
 * @property {(shaky: boolean) => void} onShaky
 * @property {(report: RTCStatsReport) => void} onStats
 * @property {(error: Error) => void} onLost  it was given up; called at most once, and last
 */

export class LiveSession {
  #options;
  /** The newest one that stood. @type {Connection|null} */
  #connection = null;
  /** Asked for with each new session: who goes on with one need have no key. @type {RTCIceServer[]} */
  #iceServers;
  #track;
  /** What the server needs to hear again where the session is new. @type {Map<string, any>} */
  #settings = new Map();
  #token = "";
  #lastSeq = 0;
  #ackedSeq = 0;
  #resumeSeconds = 0;
  /** Whether the session that the next connection asks for is known to be gone. */
  #gone = false;
  #over = false;
  #connectedAt = 0;
  /** Of the try that made the connection. */
  #attempt = 0;
  /** While we are away: breaks off the try under way. @type {AbortController|null} */
  #away = null;
  /** While we wait for the next try: begins it now. */
  #wake = () => {};
  #ending = new AbortController();

  /**
   * @param {SessionOptions} options
   * @returns {Promise<LiveSession>}
   */
  static async open(options) {
    const session = new LiveSession(options);
    try {
      await session.#begin();
    } catch (error) {
      session.#finish();
      throw error;
    }
    return session;
  }

  /** Use `LiveSession.open`. */
  constructor(options) {
    this.#options = options;
    this.#track = options.track;
    this.#token = options.resume?.token ?? "";
    this.#lastSeq = options.resume?.lastSeq ?? 0;
    this.#resumeSeconds = options.resume?.seconds ?? 0;
    this.#iceServers = options.resume?.iceServers ?? [];
  }

  async #begin() {
    const { signal } = this.#options;
    try {
      await this.#connect(signal);
    } catch (error) {
      if (!this.#token || error.status !== 404) throw error;
      this.#forget();
      await this.#connect(signal);
    }
    this.#listen();
  }

  /** One try to connect. @param {AbortSignal} signal */
  async #connect(signal) {
    const { apiKey, trickle, onRoundTrip, onShaky } = this.#options;
    const resume = this.#token ? { token: this.#token, lastSeq: this.#lastSeq } : null;
    // The token of the session speaks for us; a new session needs a token of its own.
    const whip = resume ? new Whip(resume) : await Whip.authorized(apiKey, signal);
    if (!resume) this.#iceServers = await whip.iceServers(signal);
    const connection = await Connection.open({
      whip,
      track: this.#track,
      iceServers: this.#iceServers,
      trickle,
      signal,
      onEvent: (event) => this.#receive(event),
      onRoundTrip,
      onShaky,
      onSilent: () => this.#leave(connection),
      onHeard: () => this.#comeBack(connection),
      onClosed: () => this.#leave(connection),
    });
    if (signal.aborted) {
      connection.close();
      throw signal.reason;
    }
    this.#connection?.close();
    this.#connection = connection;
    this.#connectedAt = performance.now();
    this.#ackedSeq = 0;
    // What was changed on the way, or was lost on it. To say it twice does no harm.
    await connection.replaceTrack(this.#track);
    for (const message of this.#settings.values()) connection.send(message);
  }

  #listen() {
    const { signal } = this.#ending;
    const doubt = () => (this.#away ? this.#wake() : this.#connection?.probe());
    addEventListener("online", doubt, { signal });
    addEventListener("offline", doubt, { signal });
    document.addEventListener("visibilitychange", doubt, { signal });
    // Where there is one: the device has moved to another network.
    navigator["connection"]?.addEventListener("change", doubt, { signal });
    const timers = [
      setInterval(() => this.#acknowledge(), ACK_WITHIN_MS),
      setInterval(() => this.#measure(), STATS_EVERY_MS),
    ];
    signal.addEventListener("abort", () => timers.forEach(clearInterval));
  }

  // ---- events --------------------------------------------------------------------------------------------------

  #receive(event) {
    const { type, seq } = event;
    if (type === "session.started") this.#start(event);
    if (seq !== undefined) {
      if (seq <= this.#lastSeq) return; // sent again after a resumption
      this.#lastSeq = seq;
    }
    this.#options.onEvent(event);
    if (type === "transcript.final") this.#acknowledge();
    if (type === "session.ended") this.#onEnded(event.reason);
  }

  #start({ resume_token: token, limits }) {
    if (token === this.#token) return; // told again
    if (this.#token) this.#forget(); // a server that does not know how to resume has begun a new one
    this.#resumeSeconds = limits?.resume_seconds ?? 0;
    this.#token = this.#resumeSeconds > 0 ? token : "";
    if (this.#gone) this.#options.onNewSession();
    this.#gone = false;
  }

  #onEnded(reason) {
    if (this.#over) return;
    this.#forget();
    this.#connection?.close();
    // A server that is restarted comes back; what else ends a session has ended it for good.
    if (comesBackAfter(reason)) this.#leave(this.#connection);
    else this.#finish();
  }

  /** The session is gone: what comes next is of another one. */
  #forget() {
    this.#gone = true;
    this.#token = "";
    this.#lastSeq = 0;
  }

  #acknowledge() {
    if (this.#resumeSeconds === 0 || this.#lastSeq <= this.#ackedSeq || !this.#connection) return;
    this.#ackedSeq = this.#lastSeq;
    this.#connection.send({ type: "ack", seq: this.#lastSeq });
  }

  async #measure() {
    if (this.#connection && !this.#away) this.#options.onStats(await this.#connection.stats());
  }

  // ---- away and back -------------------------------------------------------------------------------------------

  /** @param {Connection|null} connection  the one that was lost */
  #leave(connection) {
    if (this.#over || this.#away || connection !== this.#connection) return;
    const livedMs = performance.now() - this.#connectedAt;
    this.#away = new AbortController();
    this.#comeBackLater(this.#away.signal, attemptAfterLife(this.#attempt, livedMs));
  }

  /**
   * Tries until there is a connection, or no hope.
   *
   * @param {AbortSignal} signal
   * @param {number} attempt  where the count begins
   */
  async #comeBackLater(signal, attempt) {
    const since = performance.now();
    let failure = { status: null, problemId: null };
    let waitMs = backoffMs(attempt, Math.random());
    for (; ; attempt++) {
      this.#options.onAway(whyAway(failure, navigator.onLine));
      if (await this.#pause(waitMs)) attempt = 0;
      try {
        signal.throwIfAborted();
        await this.#connect(signal);
        break;
      } catch (error) {
        if (signal.aborted) return;
        const { status = null, retryAfterMs = 0 } = error;
        failure = { status, problemId: textOf(error).id };
        const awayMs = performance.now() - since;
        const resuming = this.#token !== "";
        const next = afterFailure(
          { status, retryAfterMs },
          { attempt, awayMs, resuming, random: Math.random() },
        );
        if (next.action === "over") return this.#giveUp(error);
        if (next.action === "anew") {
          this.#forget();
          this.#connection?.close();
        }
        waitMs = next.afterMs;
      }
    }
    this.#attempt = attempt;
    this.#away = null;
    this.#options.onBack();
  }

  /** @param {number} ms @returns {Promise<boolean>} whether something woke us before */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** The old connection has spoken again before a new one stood. */
  #comeBack(connection) {
    if (!this.#away || connection !== this.#connection) return;
    this.#breakOff();
    this.#options.onBack();
  }

  #breakOff() {
    this.#away?.abort();
    this.#away = null;
    this.#wake();
  }

  #giveUp(error) {
    this.#finish();
    this.#options.onLost(error);
  }

  #finish() {
    this.#over = true;
    this.#breakOff();
    this.#ending.abort();
    this.#connection?.close();
  }

  // ---- what the page asks for ----------------------------------------------------------------------------------

  /** @param {{type: string, [field: string]: any}} message  kept, and said again to a session that is new */
  send(message) {
    this.#settings.set(message.type, message);
    this.#connection?.send(message);
  }

  /** @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    this.#track = track;
    await this.#connection?.replaceTrack(track);
  }

  /** @returns {Resumable|null} null where there is nothing to go on with */
  get resumable() {
    if (!this.#token || this.#over) return null;
    return { token: this.#token, lastSeq: this.#lastSeq, seconds: this.#resumeSeconds, iceServers: this.#iceServers };
  }

  /** Ends the session, with the last words of the server where it can be reached. */
  async stop() {
    const reachable = !this.#away;
    this.#over = true;
    this.#breakOff();
    if (reachable) await this.#connection?.stop();
    this.end();
  }

  /** Ends the session at once. */
  end() {
    this.#connection?.end();
    this.#finish();
  }

  /** Closes the connection and leaves the session to wait for us. */
  leave() {
    this.#finish();
  }
}
