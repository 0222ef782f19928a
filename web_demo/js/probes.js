/**
 * The measuring of the diagnosis: each probe finds out one thing and gives it as facts for `verdicts.js`. None
 * throws, but for the signal.
 */

import { Connection } from "./connection.js";
import { textOf } from "./problems.js";
import { NO_FIGURES, networkFigures } from "./stats.js";
import { Whip } from "./whip.js";

const HTTP_MS = 8_000;
const LISTEN_MS = 3_000;
const LISTEN_EVERY_MS = 50;
/** A browser that gets no answer from a STUN server says so after nearly ten seconds. */
const STUN_MS = 10_000;
const PINGS = 5;
const PONG_MS = 3_000;

/**
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<{status: number|null, ms: number, body: any}>} status null: no answer
 */
async function get(url, signal, init = {}) {
  const begun = performance.now();
  try {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(HTTP_MS)]);
    const response = await fetch(url, { cache: "no-store", ...init, signal: limited });
    const body = await response.json().catch(() => ({}));
    return { status: response.status, ms: performance.now() - begun, body };
  } catch {
    signal.throwIfAborted();
    return { status: null, ms: performance.now() - begun, body: {} };
  }
}

export const probeServer = (signal) => get("/v1/health", signal);

export async function probeReady(signal) {
  const { status, body } = await get("/v1/ready", signal);
  const degraded = Array.isArray(body.degraded) ? body.degraded.map(String) : [];
  return { status, load: body.load, degraded };
}

/** @param {string} key @param {boolean} required @param {AbortSignal} signal */
export async function probeKey(key, required, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const { status } = await get("/v1/tokens", signal, { method: "POST", headers });
  return { required, given: key !== "", status };
}

/**
 * @param {import("./audio_sources.js").AudioSources} audio  awake
 * @param {AbortSignal} signal
 * @param {(level: number) => void} onLevel
 */
export async function probeMicrophone(audio, signal, onLevel) {
  let level = 0;
  let silentMs = 0;
  try {
    await audio.openMicrophone(() => {}, () => !signal.aborted);
    for (let passed = 0; passed < LISTEN_MS; passed += LISTEN_EVERY_MS) {
      await sleep(LISTEN_EVERY_MS, signal);
      const now = audio.measure();
      level = Math.max(level, now.level);
      silentMs = now.silentMs;
      onLevel(now.level);
    }
  } catch (error) {
    signal.throwIfAborted();
    return { problem: textOf(error), level: 0, silent: true };
  }
  return { problem: null, level, silent: silentMs > LISTEN_MS - 500 };
}

/** @param {string} key @param {AbortSignal} signal @returns {Promise<{stun: RTCIceServer[], turn: RTCIceServer[]}>} */
export async function fetchIceServers(key, signal) {
  const whip = await Whip.authorized(key, signal);
  const servers = await whip.iceServers(signal);
  const only = (pattern) =>
    servers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => pattern.test(url)) }))
      .filter(({ urls }) => urls.length > 0);
  return { stun: only(/^stuns?:/), turn: only(/^turns?:/) };
}

/** @param {RTCIceServer[]} iceServers @param {AbortSignal} signal */
export async function probeStun(iceServers, signal) {
  const facts = { servers: iceServers.length, found: false, errors: /** @type {number[]} */ ([]) };
  if (iceServers.length === 0 || typeof RTCPeerConnection === "undefined") return facts;
  const peer = new RTCPeerConnection({ iceServers });
  try {
    peer.createDataChannel("");
    const done = new Promise((resolve) => {
      peer.onicecandidateerror = ({ errorCode }) => facts.errors.push(errorCode);
      peer.onicecandidate = ({ candidate }) => {
        facts.found ||= candidate?.type === "srflx";
        if (facts.found || !candidate) resolve(undefined);
      };
    });
    await peer.setLocalDescription();
    const inTime = await Promise.race([done.then(() => true), sleep(STUN_MS, signal).then(() => false)]);
    if (!inTime) facts.errors.push(701); // what the browser would have said
  } finally {
    peer.close();
  }
  return facts;
}

/**
 * Opens a session, and measures what messages take there and back.
 *
 * @param {{key: string, track: MediaStreamTrack, iceServers: RTCIceServer[], iceTransportPolicy: RTCIceTransportPolicy}} way
 * @param {AbortSignal} signal
 */
export async function probePath({ key, track, iceServers, iceTransportPolicy }, signal) {
  const facts = {
    problem: /** @type {import("./problems.js").ProblemText|null} */ (null),
    path: /** @type {string|null} */ (null),
    protocol: /** @type {string|null} */ (null),
    openedMs: /** @type {number|null} */ (null),
    roundTripsMs: /** @type {number[]} */ ([]),
    servers: iceServers.length,
    relayFound: false,
    errors: /** @type {number[]} */ ([]),
  };
  // Nothing but the relay may be used, and there is none: nothing to try.
  if (iceTransportPolicy === "relay" && iceServers.length === 0) return facts;
  let connection = null;
  let onPong = (_id) => {};
  try {
    const whip = await Whip.authorized(key, signal);
    const begun = performance.now();
    connection = await Connection.open({
      whip,
      track,
      iceServers,
      iceTransportPolicy,
      signal,
      onEvent: ({ type, id }) => type === "pong" && onPong(id),
      onCandidate: (type) => (facts.relayFound ||= type === "relay"),
      onCandidateError: (code) => facts.errors.push(code),
    });
    facts.openedMs = performance.now() - begun;
    for (let number = 0; number < PINGS; number++) {
      const id = `diagnose-${number}`;
      const sent = performance.now();
      const pong = new Promise((resolve) => (onPong = (answered) => answered === id && resolve(true)));
      connection.send({ type: "ping", id });
      if (!(await Promise.race([pong, sleep(PONG_MS, signal)]))) break;
      facts.roundTripsMs.push(performance.now() - sent);
    }
    const { path, protocol } = networkFigures((await connection.stats()).values(), NO_FIGURES);
    Object.assign(facts, { path, protocol });
  } catch (error) {
    signal.throwIfAborted();
    facts.problem = textOf(error);
  } finally {
    connection?.end();
  }
  return facts;
}

/** @returns {Promise<undefined>} */
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
