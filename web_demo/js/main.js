/**
 * Wires the page: clicks → audio and connection, events → transcript → view.
 *
 * `page` is all there is to know; `update` changes it and draws it. For the curious, `window.rtcStt` holds the state
 * and every event of the server as it came.
 */

import { AudioSources } from "./audio_sources.js";
import { LiveSession } from "./live_session.js";
import { PROBLEMS, Problem, SESSION_WAITS, fromErrorEvent, textOf } from "./problems.js";
import { comesBackAfter } from "./reconnect.js";
import * as saved from "./saved_session.js";
import { NO_FIGURES, networkFigures } from "./stats.js";
import { EMPTY, begunAnew, cleared, connected, disconnected, plainText, reduce } from "./transcript.js";
import { flash, render, renderAbout, renderLevel } from "./view.js";
import { endReason } from "./words.js";

const METER_EVERY_MS = 50;
/** In reduced motion the meter still tells whether there is sound, but does not flicker. */
const CALM_METER_EVERY_MS = 400;
const MICROPHONE_SILENT_MS = 5_000;
const MUTED_LONG_MS = 60_000;
/** Enough for hours; a forgotten tab must not fill the memory. */
const EVENTS_KEPT = 50_000;

/** @type {import("./view.js").Page} */
let page = {
  connection: "idle",
  asking: false,
  stopping: false,
  shaky: false,
  away: null,
  microphone: false,
  muted: false,
  playing: null,
  problem: null,
  roundTripMs: null,
  network: NO_FIGURES,
  transcript: EMPTY,
};

const audio = new AudioSources();
/** @type {LiveSession|null} */
let session = null;
/** What the page before this one, in this tab, has left. @type {saved.SavedSession|null} */
let left = null;
/** The attempt under way, to be able to cancel it. @type {AbortController|null} */
let attempt = null;
/** What "Connect again" does. */
let startAgain = startWithMicrophone;
/** @type {{requires_key: boolean, samples: {id: string, file: string}[]}} */
let about = { requires_key: false, samples: [] };
let mutedSince = 0;
/** The server thinks that we are muted. */
let toldMuted = false;
/** @type {any[]} */
const events = [];

Object.defineProperty(window, "rtcStt", {
  value: {
    get state() {
      return page;
    },
    events,
  },
});

/** `?trickle=off` waits for all candidates before the offer, as some WHIP clients do. */
const trickle = new URLSearchParams(location.search).get("trickle") !== "off";

/** There is a session, whether or not it can be reached just now. */
const isOpen = () => page.connection === "live" || page.connection === "reconnecting";

/** @param {Partial<typeof page>} changes */
function update(changes) {
  page = { ...page, ...changes };
  render(page);
}

// ---- starting and stopping -------------------------------------------------------------------------------------

async function startWithMicrophone() {
  startAgain = startWithMicrophone;
  audio.wake();
  await connect((signal) => audio.openMicrophone(microphoneLost, () => !signal.aborted), { asking: true });
}

/**
 * @param {(signal: AbortSignal) => Promise<MediaStreamTrack>|MediaStreamTrack} openTrack
 * @param {{asking: boolean}} options  asking: the browser will ask the visitor something first
 * @returns {Promise<boolean>}  whether we are live
 */
async function connect(openTrack, { asking }) {
  if (page.connection === "connecting" || isOpen()) return false;
  attempt = new AbortController();
  const { signal } = attempt;
  update({ connection: "connecting", asking, problem: null });
  try {
    const apiKey = apiKeyOrProblem();
    const track = await Promise.race([openTrack(signal), aborted(signal)]);
    const resume = left?.resume ?? null;
    const transcript = resume ? page.transcript : connected(page.transcript);
    update({ asking: false, microphone: audio.microphone !== null, transcript });
    const opened = await LiveSession.open({ track, apiKey, trickle, resume, signal, ...listeners });
    left = null;
    if (page.connection !== "connecting") {
      opened.end(); // the first event was already the end
      return false;
    }
    session = opened;
  } catch (error) {
    if (signal.aborted) leave("idle");
    else fail(error);
    return false;
  }
  toldMuted = false;
  update({ connection: "live" });
  bringTranscriptIntoView();
  if (languageChoice().value) sendLanguage();
  return true;
}

/** What the session tells us of itself. */
const listeners = {
  onEvent: receive,
  onRoundTrip: (roundTripMs) => update({ roundTripMs }),
  onShaky: (shaky) => update({ shaky }),
  onStats: (report) => update({ network: networkFigures(report.values(), page.network) }),
  onAway: (away) => update({ connection: "reconnecting", away, shaky: false, roundTripMs: null, network: NO_FIGURES }),
  onBack: () => update({ connection: "live", away: null }),
  onNewSession: () => update({ transcript: begunAnew(page.transcript) }),
  onLost: fail,
};

/** Who cancels should not have to answer the browser's question first. @returns {Promise<never>} */
function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

function apiKeyOrProblem() {
  const key = element("key").value.trim();
  // A session that waits for us has a token of its own.
  if (about.requires_key && !key && !left) throw new Problem(PROBLEMS.keyMissing);
  return key;
}

async function stop() {
  if (page.connection === "connecting") return attempt?.abort();
  if (!isOpen() || page.stopping) return;
  update({ stopping: true });
  audio.stopClip();
  audio.closeMicrophone(); // at once: who presses stop wants to be heard no more
  await session?.stop();
  // A fatal error in the meantime has been a way out of its own.
  if (isOpen()) leave("ended", "Session ended.");
}

/** @param {unknown} error */
function fail(error) {
  if (!(error instanceof Problem)) console.error(error);
  const problem = textOf(error);
  leave("failed", isOpen() ? `${problem.title}.` : undefined);
  update({ problem });
  if (problem.id === "key-wrong" || problem.id === "key-missing") element("key").focus();
}

/**
 * Every way out of a session comes through here.
 *
 * @param {"idle"|"ended"|"failed"} state
 * @param {string} [notice]  what the transcript says at its end
 */
function leave(state, notice) {
  audio.stopClip();
  audio.closeMicrophone();
  session?.end();
  session = null;
  saved.forget();
  update({
    connection: state,
    asking: false,
    stopping: false,
    shaky: false,
    away: null,
    microphone: false,
    muted: false,
    problem: null,
    roundTripMs: null,
    network: NO_FIGURES,
    transcript: notice ? disconnected(page.transcript, notice) : page.transcript,
  });
}

// ---- a page that goes and comes back ---------------------------------------------------------------------------

/** Keeps what another page in this tab would need to go on. */
function keepSession() {
  const resume = session?.resumable;
  if (resume) keep(resume, page.transcript);
}

function keep(resume, transcript) {
  saved.save({ resume, until: Date.now() + resume.seconds * 1000, transcript });
}

/**
 * The page is left: for good, or to be loaded again. It cannot tell, so the session is not ended: the server lets it
 * wait for RESUME_SECONDS, and finishes what was being said.
 */
function leavePage() {
  attempt?.abort();
  const resume = session?.resumable;
  if (!resume) return session ? leave("ended", "Session ended.") : undefined;
  const { transcript } = page;
  session.leave();
  session = null;
  leave("idle");
  keep(resume, transcript);
}

/** Offers to go on. The microphone is never opened without a click: who loads a page does not expect to be heard. */
function offerToGoOn() {
  left = saved.take();
  if (!left) return;
  startAgain = startWithMicrophone;
  update({ connection: "idle", transcript: left.transcript, problem: SESSION_WAITS });
  setTimeout(() => {
    left = null;
    if (page.problem === SESSION_WAITS) update({ problem: null });
  }, left.until - Date.now());
}

// ---- events of the server --------------------------------------------------------------------------------------

function receive(event) {
  events.push({ ...event, received_ms: performance.now() });
  if (events.length > EVENTS_KEPT) events.shift();
  update({ transcript: reduce(page.transcript, event) });
  if (event.type === "error" && event.fatal) fail(fromErrorEvent(event));
  if (event.type !== "session.ended" || page.stopping) return; // after our own stop, `stop` tidies up
  if (comesBackAfter(event.reason)) update({ transcript: disconnected(page.transcript, endReason(event.reason)) });
  else leave("ended", endReason(event.reason));
}

// ---- what is being sent ----------------------------------------------------------------------------------------

/** Counts the clips asked for: only the newest may play, and tidy up after itself. */
let clipTurn = 0;

/** @param {{id: string, file: string}} sample */
async function playSample(sample) {
  if (page.connection === "connecting" || page.connection === "reconnecting") return;
  if (page.playing === sample.id) return audio.stopClip();
  audio.wake();
  const turn = ++clipTurn;
  try {
    const clip = await audio.load(`/web/samples/${encodeURIComponent(sample.file)}`);
    if (turn !== clipTurn) return;
    if (page.connection !== "live") {
      startAgain = () => playSample(sample);
      if (!(await connect(() => audio.clipTrack, { asking: false }))) return;
    }
    audio.stopClip();
    update({ playing: sample.id });
    await chooseTrack();
    if (isOpen()) await audio.play(clip);
  } catch (error) {
    update({ problem: textOf(error) });
  }
  if (turn === clipTurn) {
    update({ playing: null });
    await chooseTrack();
  }
}

/** Sends the clip while one is played, else the microphone where there is one, else silence. */
async function chooseTrack() {
  const clip = page.playing !== null || !audio.microphone;
  if (!isOpen() || page.stopping) return;
  await session?.replaceTrack(clip ? audio.clipTrack : audio.microphone);
  // Mute is about the microphone: a clip that one starts oneself is meant to be heard.
  const silent = page.muted && !clip;
  if (silent !== toldMuted) session?.send({ type: "mute", on: silent });
  toldMuted = silent;
}

async function addMicrophone() {
  audio.wake();
  try {
    await audio.openMicrophone(microphoneLost, isOpen);
    startAgain = startWithMicrophone;
    update({ microphone: true, muted: false });
    element("mute").focus();
    await chooseTrack();
  } catch (error) {
    if (error.name !== "AbortError") update({ problem: textOf(error) });
  }
}

function microphoneLost() {
  fail(new Problem(PROBLEMS.microphoneLost));
}

async function setMuted(muted) {
  mutedSince = performance.now();
  if (audio.microphone) audio.microphone.enabled = !muted;
  update({ muted, problem: page.problem?.tone === "hint" ? null : page.problem });
  await chooseTrack();
}

const languageChoice = () => element("language");

function sendLanguage() {
  session?.send({ type: "configure", language: languageChoice().value || null });
}

/** @type {import("./problems.js").ProblemText|null} */
let lastHint = null;

/** The meter, and what it tells after a while. */
function watchLevel() {
  const { level, silentMs } = audio.measure();
  renderLevel(isOpen() ? level : 0, audio.clipProgress);
  const problem = isOpen() && page.microphone ? hint(silentMs) : null;
  // A hint goes when its cause goes; a hint that was dismissed comes back only for a new cause.
  if (problem !== lastHint) {
    lastHint = problem;
    if (problem || page.problem?.tone === "hint") update({ problem });
  }
}

function hint(silentMs) {
  if (page.muted) return performance.now() - mutedSince > MUTED_LONG_MS ? PROBLEMS.mutedLong : null;
  return silentMs > MICROPHONE_SILENT_MS ? PROBLEMS.microphoneSilent : null;
}

// ---- taking the transcript along -------------------------------------------------------------------------------

async function copy() {
  const text = plainText(page.transcript);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyTheOldWay(text); // there is no clipboard on http:// addresses
  }
  flash(element("copy"), "Copied");
}

function copyTheOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  element("copy").focus();
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function clear() {
  events.length = 0;
  update({ transcript: cleared(page.transcript) });
  flash(element("clear"), "Cleared");
  element("transcript").focus({ preventScroll: true });
}

// ---- the page --------------------------------------------------------------------------------------------------

/** @param {string} id @returns {any} */
function element(id) {
  return document.getElementById(id);
}

/** On a narrow screen the transcript is below the samples; on a wide one it is beside them. */
function bringTranscriptIntoView() {
  if (matchMedia("(min-width: 60rem)").matches) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element("transcript-panel").scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
}

function listen() {
  const onClick = {
    start: startWithMicrophone,
    stop,
    mute: () => setMuted(!page.muted),
    "use-microphone": addMicrophone,
    copy,
    "download-txt": () => download("transcript.txt", "text/plain", plainText(page.transcript)),
    "download-json": () => download("events.json", "application/json", JSON.stringify(events, null, 2)),
    clear,
    "problem-action": () => (page.problem?.action === "unmute" ? setMuted(false) : startAgain()),
    "problem-dismiss": () => update({ problem: null }),
  };
  for (const [id, handler] of Object.entries(onClick)) element(id).addEventListener("click", handler);

  element("samples").addEventListener("click", ({ target }) => {
    const id = target.closest("button")?.dataset.sampleId;
    const sample = about.samples.find((candidate) => candidate.id === id);
    if (sample) playSample(sample);
  });
  languageChoice().addEventListener("change", sendLanguage);
  element("key-field").addEventListener("submit", (event) => {
    event.preventDefault();
    startAgain();
  });
  addEventListener("pagehide", leavePage);
  // From the cache: as if loaded again.
  addEventListener("pageshow", ({ persisted }) => persisted && offerToGoOn());
  document.addEventListener("visibilitychange", () => {
    // A phone may end a hidden page without a word.
    if (document.visibilityState === "hidden") keepSession();
    else if (session) saved.forget();
  });

  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  setInterval(watchLevel, calm ? CALM_METER_EVERY_MS : METER_EVERY_MS);
}

async function fetchAbout() {
  try {
    const response = await fetch("/web/about.json");
    if (!response.ok) throw new Error(`about.json: ${response.status}`);
    about = await response.json();
    renderAbout(about);
    update({});
  } catch {
    update({ problem: { ...PROBLEMS.serverUnreachable, action: undefined } });
  }
}

listen();
update({});
offerToGoOn();
fetchAbout();
