/**
 * Codes and numbers of the protocol, said in words. Pure.
 *
 * @typedef {import("./transcript.js").FinalEvent} FinalEvent
 */

const LANGUAGE_NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

/** @param {string|null} code  such as "de" */
export function languageName(code) {
  if (!code) return "unknown language";
  try {
    return LANGUAGE_NAMES.of(code) ?? code;
  } catch {
    return code; // not a well-formed language tag
  }
}

/** What is going on. @param {import("./view.js").Page} page */
export function stateInWords(page) {
  switch (page.connection) {
    case "idle":
      return "Ready";
    case "connecting":
      return page.asking ? "Asking for the microphone…" : "Connecting…";
    case "live":
      if (page.stopping) return "Finishing…";
      if (page.shaky) return "Network trouble, holding on…";
      if (page.playing !== null) return "Live, playing a sample";
      if (page.muted) return "Live, muted";
      return page.microphone ? "Live, listening" : "Live, no microphone";
    case "reconnecting":
      return AWAY[page.away ?? "network"].state;
    case "ended":
      return "Ended";
    default:
      return "Not connected";
  }
}

const AWAY = {
  network: {
    state: "Reconnecting…",
    what: "The connection was lost.",
  },
  offline: {
    state: "Offline, waiting…",
    what: "This device has no network just now.",
  },
  server: {
    state: "Reconnecting, no answer yet…",
    what: "The server does not answer. It may be restarting.",
  },
  full: {
    state: "Reconnecting, no room yet…",
    what: "The server has no room just now.",
  },
};

/** While the connection is away: why, and what it means for who is speaking. @param {import("./view.js").Page} page */
export function awayInWords({ away, microphone, muted }) {
  const goesOn = "The session goes on by itself as soon as it can; what was written stays.";
  const listening =
    microphone && !muted ? " Your microphone stays open, but what you say in between may not be heard." : "";
  return `${AWAY[away ?? "network"].what} ${goesOn}${listening}`;
}

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** A hole between two connections. @param {number} gapMs */
export const gapInWords = (gapMs) => `${seconds(gapMs)} of audio are missing here.`;

/**
 * What of an utterance was not heard as it was said; "" where all was.
 *
 * @param {{lost_ms?: number, concealed_ms?: number}} final
 */
export function unheardInWords({ lost_ms: lost = 0, concealed_ms: concealed = 0 }) {
  const parts = [];
  if (lost > 0) parts.push(`${seconds(Math.max(lost, 100))} missing`);
  if (concealed > 0) parts.push(`${seconds(Math.max(concealed, 100))} filled in`);
  return parts.length ? `Parts of this were not heard: ${listInWords(parts)}` : "";
}

const PATHS = {
  host: "direct",
  prflx: "direct",
  srflx: "direct, through NAT",
  relay: "through a TURN relay",
};

/**
 * The way of the audio, in words and numbers.
 *
 * @param {import("./stats.js").NetworkFigures} figures
 * @param {{concealedMs: number, lostMs: number}} unheard
 * @returns {[string, string][]}  name and value
 */
export function networkInWords(figures, unheard) {
  const { codec, bitRateKbps, lossShare, jitterMs, roundTripMs, path, protocol } = figures;
  const said = (value, words) => (value === null ? "–" : words(value));
  return [
    ["Packets lost", said(lossShare, (share) => `${(share * 100).toFixed(1)} %`)],
    ["Jitter", said(jitterMs, milliseconds)],
    ["Round trip of the audio", said(roundTripMs, milliseconds)],
    ["Codec", said(codec, String)],
    ["Bit rate", said(bitRateKbps, (rate) => `${rate.toFixed(0)} kbit/s`)],
    ["Path", said(path, (kind) => [PATHS[kind] ?? kind, protocol?.toUpperCase()].filter(Boolean).join(", "))],
    ["Filled in by the server", seconds(unheard.concealedMs)],
    ["Missing", seconds(unheard.lostMs)],
  ];
}

/** @param {number} share  0 to 1 */
export const percent = (share) => `${Math.round(share * 100)} %`;

/** @param {number|null} ms */
export function milliseconds(ms) {
  if (ms === null) return "–";
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A coarse word for a confidence; the lower bound is also the default below which the server looks again. */
export function confidenceWord(confidence) {
  if (confidence >= 0.85) return "high";
  return confidence >= 0.55 ? "fair" : "low";
}

const DROP_REASONS = {
  no_speech: "a sound, but no speech",
  repetition: "the model repeated itself",
  known_phrase: "a phrase that models make up out of silence",
  too_short: "too short to be a word",
  cancelled: "cancelled",
  decode_failed: "no model could decode it",
  disconnected: "the connection ended before it was finished",
};

/** @param {string|null} reason */
export function dropReason(reason) {
  return DROP_REASONS[reason ?? ""] ?? String(reason);
}

const DOUBTS = {
  low_logprob: "was unsure of the words",
  low_language_probability: "guessed at the language",
  few_words: "heard only a word or two",
  decode_error: "could not decode it",
};

/**
 * How a final came about, to be read on from the name of the model that said it:
 * "demo-medium" "checked it: demo-tiny was unsure of the words".
 *
 * @param {FinalEvent} final
 * @param {{fast: string|null, accurate: string|null}} models
 * @returns {{text: string, trouble: boolean}}  trouble: a check was wanted and did not happen
 */
export function routeInWords({ route }, models) {
  const fast = models.fast ?? "the fast model";
  const accurate = models.accurate ?? "the accurate model";
  const doubts = listInWords((route?.reasons ?? []).map((reason) => DOUBTS[reason] ?? reason)) || "was unsure";
  switch (route?.decision) {
    case "accepted":
      return { text: "was sure at once", trouble: false };
    case "redecoded":
      return { text: `checked it: ${fast} ${doubts}`, trouble: false };
    case "verified":
      return { text: `checked it and agreed: ${fast} ${doubts}`, trouble: false };
    case "redecode_failed":
      return { text: `${doubts}; ${accurate} failed to check it`, trouble: true };
    case "redecode_timeout":
      return { text: `${doubts}; ${accurate} took too long to check it`, trouble: true };
    case "redecode_shed":
      return { text: `${doubts}; ${accurate} was too busy to check it`, trouble: true };
    case "no_accurate_tier":
      return { text: `${doubts}; there is no second model to check it`, trouble: true };
    default:
      return { text: route?.decision ?? "", trouble: false };
  }
}

/** @param {string[]} parts */
function listInWords(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

const END_REASONS = {
  stopped: "Session ended.",
  client_stop: "Session ended.",
  drained: "The server is shutting down or restarting and has ended the session.",
  draining: "The server is shutting down or restarting and has ended the session.",
  connection_lost: "The server had given up this session while the connection was lost.",
  data_channel_closed: "The server had given up this session while the connection was lost.",
  deleted: "Session ended.",
  idle: "The server ended the session because nothing came in for a while.",
  timeout: "The server ended the session because nothing came in for a while.",
};

/** @param {string} reason  of `session.ended` */
export function endReason(reason) {
  return END_REASONS[reason] ?? `The server ended the session: ${reason.replaceAll("_", " ")}.`;
}
