/**
 * The transcript: what the events of a session add up to.
 *
 * Pure: no DOM, no clock, no network. `reduce(transcript, event)` gives the next transcript and leaves the old one
 * as it was, so a recorded list of events replays to the same page, and the view can tell what changed by `!==`.
 *
 * The life of an utterance (events of `rtc-stt.v1` on the arrows):
 *
 *                      ┌── transcript.partial ──┐
 *                      ▼                        │
 *   speech.started → speaking ── transcript.eager ──▶ eager
 *                      ▲ ◀────── speech.resumed ───────┘ │
 *                      │                                 │
 *                      └── transcript.final ─▶ final ◀───┤
 *                      └── utterance.dropped ▶ dropped ◀─┘
 *
 * `final` and `dropped` are ends: nothing changes an utterance after them.
 */

import { gapInWords } from "./words.js";

/**
 * One stretch of speech.
 *
 * @typedef {object} Utterance
 * @property {"utterance"} kind
 * @property {string} key         unique on the page; utterance ids repeat from session to session
 * @property {string|number} id   the server's `utterance_id`, opaque
 * @property {"speaking"|"eager"|"final"|"dropped"} state
 * @property {string} stable      the part of the text that will not change any more
 * @property {string} moving      the part that still may
 * @property {boolean} stopped    the endpoint was reached and the final is on its way
 * @property {string|null} language
 * @property {string|null} dropReason
 * @property {FinalEvent|null} final  the whole `transcript.final`, for the read-outs
 */

/**
 * A line between the utterances: a warning, a gap, the end of a session.
 *
 * @typedef {object} Notice
 * @property {"notice"} kind
 * @property {string} key
 * @property {"warning"|"session"} tone
 * @property {string} text
 */

/**
 * @typedef {object} Transcript
 * @property {number} session   counts the connections made since the page was opened
 * @property {number} lastSeq   `seq` of the newest event of this session; 0 before the first
 * @property {{fast: string|null, accurate: string|null}} models
 * @property {number} noticeCount
 * @property {ReadonlyArray<Utterance|Notice>} items  in the order in which they came about
 */

/**
 * An event as it comes over the data channel. `type` says which of the other fields there are.
 *
 * @typedef {{type: string, seq?: number, at_ms?: number, [field: string]: any}} ServerEvent
 *
 * @typedef {object} FinalEvent
 * @property {string|number} utterance_id
 * @property {string} text
 * @property {string} language
 * @property {number} language_probability
 * @property {number} confidence
 * @property {string} model
 * @property {"fast"|"accurate"} tier
 * @property {{decision: string, reasons: string[], fast: {text: string, confidence: number}|null}} route
 * @property {{hangover_ms: number, queue_ms: number, fast_infer_ms: number, accurate_infer_ms: number,
 *             endpoint_to_final_ms: number}} timing
 * @property {number} [concealed_ms]  of the audio: made up by the codec, since a packet was lost
 * @property {number} [lost_ms]       of the audio: not there at all
 */

/** A shorter one takes no word away. */
const NOTICEABLE_GAP_MS = 100;

/** @type {Transcript} */
export const EMPTY = Object.freeze({
  session: 0,
  lastSeq: 0,
  models: { fast: null, accurate: null },
  noticeCount: 0,
  items: [],
});

/**
 * @param {Transcript} transcript
 * @param {ServerEvent} event
 * @returns {Transcript}
 */
export function reduce(transcript, event) {
  if (event.seq !== undefined) {
    // What we have seen already may be sent again after a resumption.
    if (event.seq <= transcript.lastSeq) return transcript;
    transcript = noteGap(transcript, event.seq);
  }
  // Not `in`: a type such as "toString" must not find what every object has. An unknown type is a newer server's.
  return Object.hasOwn(HANDLERS, event.type) ? HANDLERS[event.type](transcript, event) : transcript;
}

/** A new connection: its `seq` starts again at 1, and its utterance ids may repeat those of the last one. */
export function connected(transcript) {
  return { ...transcript, session: transcript.session + 1, lastSeq: 0 };
}

/** The session went away while the connection was, and another one has taken its place. */
export function begunAnew(transcript) {
  return connected(disconnected(transcript, "The session before had ended: a new one begins here."));
}

/** The session is over: what was still being said will never get its final. */
export function disconnected(transcript, text) {
  const items = transcript.items.map((item) =>
    isOpen(item) ? { ...item, state: "dropped", dropReason: "disconnected" } : item,
  );
  return addNotice({ ...transcript, items }, "session", text);
}

/** An empty page, in the middle of the same session. What is being said just now stays. */
export function cleared(transcript) {
  return { ...transcript, items: transcript.items.filter(isOpen) };
}

/** @type {Record<string, (transcript: Transcript, event: ServerEvent) => Transcript>} */
const HANDLERS = {
  "session.started": (transcript, { models }) => ({ ...transcript, models: { ...transcript.models, ...models } }),

  "speech.started": (transcript, event) => change(transcript, event, () => ({})),

  "transcript.partial": (transcript, event) =>
    change(transcript, event, () => ({
      state: "speaking",
      language: event.language || null,
      ...splitAt(event.text, event.stable_chars),
    })),

  "transcript.eager": (transcript, event) =>
    change(transcript, event, (before) => ({
      state: "eager",
      ...splitAt(event.text, sharedLength(before, event.text)),
    })),

  "speech.resumed": (transcript, event) => change(transcript, event, () => ({ state: "speaking" })),

  "speech.stopped": (transcript, event) => change(transcript, event, () => ({ stopped: true })),

  "transcript.final": (transcript, event) =>
    change(transcript, event, () => ({
      state: "final",
      stable: event.text,
      moving: "",
      language: event.language || null,
      final: /** @type {any} */ (event),
    })),

  "utterance.dropped": (transcript, event) =>
    change(transcript, event, () => ({ state: "dropped", dropReason: event.reason })),

  // The final that comes next says it too, in its place.
  warning: (transcript, { code, message }) =>
    code === "audio_gap" ? transcript : addNotice(transcript, "warning", message),

  // Another server has heard nothing of what was being said: it is lost, for a browser does not say it again.
  "session.resumed": (transcript, { gap_ms: gapMs, moved }) => {
    if (moved) return disconnected(transcript, "Another server goes on: what was just being said is lost.");
    return gapMs >= NOTICEABLE_GAP_MS ? addNotice(transcript, "session", gapInWords(gapMs)) : transcript;
  },

  // A fatal one ends the session, and is shown as what it is: a problem.
  error: (transcript, { message, fatal }) => (fatal ? transcript : addNotice(transcript, "warning", message)),
};

/**
 * Changes the utterance that the event speaks of, or begins it where it is not there yet: after a gap or a clear
 * the first we hear of an utterance may be any event.
 *
 * @param {Transcript} transcript
 * @param {ServerEvent} event
 * @param {(before: Utterance) => Partial<Utterance>} changes
 * @returns {Transcript}
 */
function change(transcript, event, changes) {
  const key = `${transcript.session}/${event.utterance_id}`;
  // From the end: an event is nearly always about the newest utterance.
  const index = transcript.items.findLastIndex((item) => item.key === key);
  if (index < 0) {
    const fresh = newUtterance(key, event.utterance_id);
    return { ...transcript, items: [...transcript.items, { ...fresh, ...changes(fresh) }] };
  }
  const before = /** @type {Utterance} */ (transcript.items[index]);
  if (!isOpen(before)) return transcript;
  return { ...transcript, items: transcript.items.with(index, { ...before, ...changes(before) }) };
}

/** @returns {Utterance} */
function newUtterance(key, id) {
  return {
    kind: "utterance",
    key,
    id,
    state: "speaking",
    stable: "",
    moving: "",
    stopped: false,
    language: null,
    dropReason: null,
    final: null,
  };
}

/** @param {Utterance|Notice} item */
function isOpen(item) {
  return item.kind === "utterance" && (item.state === "speaking" || item.state === "eager");
}

/** @returns {Transcript} */
function noteGap(transcript, seq) {
  const missing = seq - transcript.lastSeq - 1;
  const next = { ...transcript, lastSeq: seq };
  if (missing === 0) return next;
  const events = missing === 1 ? "One event was" : `${missing} events were`;
  return addNotice(next, "warning", `${events} lost on the way here (before number ${seq}); a line may be missing.`);
}

/** @returns {Transcript} */
function addNotice(transcript, tone, text) {
  const noticeCount = transcript.noticeCount + 1;
  /** @type {Notice} */
  const notice = { kind: "notice", key: `notice/${noticeCount}`, tone, text };
  return { ...transcript, noticeCount, items: [...transcript.items, notice] };
}

/** The server counts characters as Unicode code points, a JavaScript string in UTF-16 units: "😀" is one and two. */
function splitAt(text, characters) {
  const points = [...text];
  return { stable: points.slice(0, characters).join(""), moving: points.slice(characters).join("") };
}

/** How much of the stable text the eager text confirms, in characters: an eager text has no `stable_chars`. */
function sharedLength({ stable }, text) {
  return text.startsWith(stable) ? [...stable].length : 0;
}

/**
 * The finals, a line each.
 *
 * @param {Transcript} transcript
 */
export function plainText(transcript) {
  return finals(transcript)
    .map(({ text }) => `${text}\n`)
    .join("");
}

/**
 * @param {Transcript} transcript
 * @returns {FinalEvent[]}
 */
export function finals(transcript) {
  return transcript.items.flatMap((item) => (item.kind === "utterance" && item.final ? [item.final] : []));
}

/**
 * What a speaker waits for: from the true end of speech to the final, in ms. The silence that proves that they
 * are done (the hangover) counts; leaving it out would flatter the server.
 *
 * @param {FinalEvent} final
 * @returns {number|null}
 */
export function latencyMs({ timing }) {
  return timing ? timing.hangover_ms + timing.endpoint_to_final_ms : null;
}

/**
 * @param {Transcript} transcript
 * @returns {{last: number|null, median: number|null}}
 */
export function latencies(transcript) {
  const all = finals(transcript)
    .map(latencyMs)
    .filter((ms) => ms !== null);
  const sorted = all.toSorted((a, b) => a - b);
  return { last: all.at(-1) ?? null, median: sorted[Math.floor(sorted.length / 2)] ?? null };
}

/**
 * How much of the audio of all finals was not heard as it was said, in ms.
 *
 * @param {Transcript} transcript
 * @returns {{concealedMs: number, lostMs: number}}
 */
export function unheard(transcript) {
  const sum = (field) => finals(transcript).reduce((total, final) => total + (final[field] ?? 0), 0);
  return { concealedMs: sum("concealed_ms"), lostMs: sum("lost_ms") };
}
