/**
 * When a connection counts as lost, and how a session is taken up again. Pure: time and chance are arguments.
 *
 * A session outlives its connection: the server keeps it for RESUME_SECONDS, and a new connection goes on with it.
 *
 *          ┌───────────────── connected, or the old connection spoke again ─────────────────┐
 *          ▼                                                                                │
 *        live ── silent or closed ──▶ waiting ── time, or something woke us ──▶ trying ─────┤
 *                                        ▲                                        │         │
 *                                        ├──── no answer, no path, no room ◀──────┤         │
 *                                        └──── gone: at once, as a new session ◀──┤         │
 *                                                                                 └▶ refused: over
 */

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
/** A microphone should not stay open for a server that will not come back. */
const GIVE_UP_AFTER_MS = 5 * 60_000;
/** What held for so long was no part of the trouble before it. */
const STEADY_MS = 10_000;
/** No server of ours asks for more; a proxy's maintenance page may, and then giving up is near anyway. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Often enough for a live read-out, and to keep a session without sound alive. */
const PING_EVERY_MS = 5_000;
/** ICE itself needs about half a minute to give up on a peer that is gone; two lost pings tell sooner. */
export const PATIENCE_MS = 11_000;
/** Where there is a reason for doubt. A lost message comes again after one second (the RTO of SCTP). */
export const DOUBTFUL_PATIENCE_MS = 3_000;
/** How often `heartbeat` is asked. */
export const BEAT_MS = 1_000;
/** A timer that comes so late has slept with the machine. */
const SLEPT_MS = 5_000;

/** The server says no, and will go on saying no. RFC 9110: 408, 425 and 429 are about time. */
const isRefusal = (status) => status >= 400 && status < 500 && ![408, 425, 429].includes(status);

/**
 * How long to wait before a try: doubling, and up to half of it left to chance, so that a thousand clients of a
 * server that was restarted do not come back in the same moment.
 *
 * @param {number} attempt  0 for the first
 * @param {number} random   0 to 1
 * @returns {number} ms
 */
export function backoffMs(attempt, random) {
  const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return most * (1 - random / 2);
}

/**
 * What to do after a try that failed.
 *
 * @param {{status: number|null, retryAfterMs: number}} failure
 *     status: of the answer to the offer; null where none came, or no path was found
 * @param {{attempt: number, awayMs: number, resuming: boolean, random: number}} state
 * @returns {{action: "again"|"anew"|"over", afterMs: number}}
 *     anew: the session is gone, so the next try asks for a new one
 */
export function afterFailure({ status, retryAfterMs }, { attempt, awayMs, resuming, random }) {
  if (resuming && status === 404) return { action: "anew", afterMs: 0 };
  if (isRefusal(status ?? 0) || awayMs > GIVE_UP_AFTER_MS) return { action: "over", afterMs: 0 };
  const asked = Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
  return { action: "again", afterMs: Math.max(asked, backoffMs(attempt, random)) };
}

/**
 * Where the count of tries begins when a connection is lost: one that dies at once, again and again, is backed off
 * from as if it had never stood.
 *
 * @param {number} attempt  of the try that made it
 * @param {number} livedMs  how long it held
 */
export const attemptAfterLife = (attempt, livedMs) => (livedMs >= STEADY_MS ? 0 : attempt + 1);

/**
 * What a connection does at each beat.
 *
 * @param {object} beat
 * @param {number} beat.sinceLastBeatMs    by the clock on the wall, which goes on while the machine sleeps
 * @param {number} beat.sinceLastPingMs
 * @param {number|null} beat.unansweredMs  age of the oldest ping without a pong; null: all were answered
 * @param {number} beat.patienceMs         how old that may become
 * @returns {{slept: boolean, silent: boolean, ping: boolean}}
 */
export function heartbeat({ sinceLastBeatMs, sinceLastPingMs, unansweredMs, patienceMs }) {
  // Pings that slept with us prove nothing: ask again, and with less patience.
  const slept = sinceLastBeatMs > BEAT_MS + SLEPT_MS;
  const silent = !slept && unansweredMs !== null && unansweredMs > patienceMs;
  return { slept, silent, ping: slept || sinceLastPingMs >= PING_EVERY_MS };
}

/** The server is restarted, or had given us up before we were back: neither is what the speaker wanted. */
const COME_BACK_AFTER = ["drained", "connection_lost", "data_channel_closed"];

/** @param {string} reason  of `session.ended` @returns {boolean} whether to begin anew */
export const comesBackAfter = (reason) => COME_BACK_AFTER.includes(reason);

/**
 * Why we are away, as one of few words that the page can say.
 *
 * @param {{status: number|null, problemId: string|null}} lastFailure  problemId: null before the first
 * @param {boolean} online  what the browser believes
 * @returns {"network"|"offline"|"server"|"full"}
 */
export function whyAway({ status, problemId }, online) {
  if (!online) return "offline";
  if (status === 429 || status === 503) return "full";
  return problemId === "server-unreachable" || (status ?? 0) >= 500 ? "server" : "network";
}
