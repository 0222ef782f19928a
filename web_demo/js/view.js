/**
 * The page around the transcript: controls, state, figures, problem box.
 *
 * `render(page)` makes the DOM say what `page` says; it may be called as often as one likes. Nothing here decides.
 *
 * @typedef {object} Page
 * @property {"idle"|"connecting"|"live"|"reconnecting"|"ended"|"failed"} connection
 * @property {boolean} asking        connecting: the browser asks the visitor for the microphone
 * @property {boolean} stopping      live: the last words of the server are awaited
 * @property {boolean} shaky         live: packets have stopped flowing
 * @property {"network"|"offline"|"server"|"full"|null} away  reconnecting: why
 * @property {boolean} microphone    it is open
 * @property {boolean} muted
 * @property {string|null} playing   id of the sample being played
 * @property {import("./problems.js").ProblemText|null} problem
 * @property {number|null} roundTripMs
 * @property {import("./stats.js").NetworkFigures} network
 * @property {import("./transcript.js").Transcript} transcript
 */

import { latencies, unheard } from "./transcript.js";
import { TranscriptView } from "./transcript_view.js";
import { awayInWords, languageName, milliseconds, networkInWords, stateInWords } from "./words.js";

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

const transcriptView = new TranscriptView($("transcript"), $("jump"), $("announcer"));
/** Only a change of the problem touches its box: a screen reader reads the box aloud each time it changes. */
let problemShown = null;

/** @param {Page} page */
export function render(page) {
  const { connection, transcript } = page;
  const away = connection === "reconnecting";
  const open = connection === "live" || away;
  const busy = connection === "connecting" || open;

  $("state").dataset.state = connection;
  setText($("state-text"), stateInWords(page));
  document.body.dataset.state = connection;

  swap($("start"), $("stop"), busy);
  setText($("stop-text"), { connecting: "Cancel", reconnecting: "Stop trying" }[connection] ?? "Stop");
  $("mute").hidden = open && !page.microphone;
  $("mute").disabled = !open;
  $("mute").setAttribute("aria-pressed", String(page.muted));
  setText($("mute-text"), page.muted ? "Muted" : "Mute");
  $("use-microphone").hidden = !(open && !page.microphone);
  $("use-microphone").disabled = away;
  $("meter").dataset.muted = String(page.muted && page.playing === null);

  for (const button of $("samples").querySelectorAll("button")) {
    const playing = button.dataset.sampleId === page.playing;
    button.setAttribute("aria-pressed", String(playing));
    // Not `disabled`: that would take the focus away from the button just pressed.
    button.setAttribute("aria-disabled", String(connection === "connecting" || away));
  }

  $("away").hidden = !away;
  if (away) setText($("away-text"), awayInWords(page));

  renderProblem(page.problem);
  transcriptView.render(transcript);
  renderFigures(page);

  const empty = transcript.items.length === 0;
  $("empty").hidden = !empty;
  setText($("empty-hint"), emptyHint(page));
  for (const id of ["copy", "download-txt", "download-json", "clear"]) $(id).disabled = empty;
}

/** @param {Page} page */
function emptyHint({ connection, microphone, playing }) {
  if (connection !== "live") {
    return $("samples-section").hidden ? "Start speaking." : "Start speaking, or play a sample.";
  }
  if (playing !== null) return "The sample is on its way.";
  return microphone ? "Go ahead, say something." : "Play a sample, or press Speak.";
}

/** Shows one of two buttons in the same place, and keeps the focus there. */
function swap(first, second, showSecond) {
  const hadFocus = document.activeElement === first || document.activeElement === second;
  first.hidden = showSecond;
  second.hidden = !showSecond;
  if (hadFocus) (showSecond ? second : first).focus();
}

function renderProblem(problem) {
  if (problem === problemShown) return;
  problemShown = problem;
  const box = $("problem");
  box.hidden = problem === null;
  if (problem === null) return;
  box.dataset.problemId = problem.id;
  box.dataset.tone = problem.tone ?? "error";
  setText($("problem-title"), problem.title);
  setText($("problem-what"), problem.what);
  $("problem-mend").replaceChildren(
    ...problem.mend.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
  const action = { retry: "Try again", reconnect: "Reconnect", resume: "Go on", unmute: "Unmute" }[problem.action];
  $("problem-action").hidden = !action;
  setText($("problem-action"), action ?? "");
  $("problem-diagnose").hidden = !problem.diagnose;
  // On a phone the box may be far above what one is looking at.
  box.scrollIntoView({ block: "nearest" });
}

/** @param {Page} page */
function renderFigures({ roundTripMs, network, transcript }) {
  const { last, median } = latencies(transcript);
  setText($("figure-last"), milliseconds(last));
  setText($("figure-median"), milliseconds(median));
  setText($("figure-round-trip"), milliseconds(roundTripMs));
  renderNetwork(networkInWords(network, unheard(transcript)));
}

/** @param {[string, string][]} rows */
function renderNetwork(rows) {
  const list = $("network");
  if (list.childElementCount === 0) {
    for (const [name] of rows) {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: name }), document.createElement("dd"));
      list.append(row);
    }
  }
  rows.forEach(([, value], index) => setText(list.children[index].lastElementChild, value));
}

/**
 * What changes many times a second, apart from the rest.
 *
 * @param {number} level         0 to 1
 * @param {number} clipProgress  0 to 1
 */
export function renderLevel(level, clipProgress) {
  $("meter").style.setProperty("--level", level.toFixed(3));
  $("meter").setAttribute("aria-valuenow", String(Math.round(level * 10) * 10));
  $("samples")
    .querySelector('[aria-pressed="true"]')
    ?.style.setProperty("--progress", clipProgress.toFixed(3));
}

/** Fills in what the server says about itself; once. */
export function renderAbout(about) {
  setText($("version"), about.version ? `v${about.version}` : "");
  $("key-field").hidden = !about.requires_key;
  const tiers = [about.fast, about.accurate].filter(Boolean);
  setText($("models"), tiers.join(" + "));

  const demo = about.mode === "demo";
  $("demo-badge").hidden = !demo;
  $("about").hidden = !demo && !about.understands;
  $("about-title").hidden = !demo;
  setText($("about-text"), about.understands ?? "");
  renderExamples(about.examples ?? []);
  renderLanguages(about.languages ?? []);
  renderSamples(about.samples ?? []);
}

function renderExamples(examples) {
  $("examples").hidden = examples.length === 0;
  $("example-list").replaceChildren(
    ...examples.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
}

function renderLanguages(codes) {
  const options = codes
    .map((code) => new Option(languageName(code), code))
    .sort((a, b) => a.text.localeCompare(b.text));
  $("language").append(...options);
}

function renderSamples(samples) {
  $("samples-section").hidden = samples.length === 0;
  $("samples").replaceChildren(
    ...samples.map((sample) => {
      const item = $("sample-template").content.cloneNode(true);
      const button = item.querySelector("button");
      button.dataset.sampleId = sample.id;
      item.querySelector(".sample-title").textContent = sample.title;
      item.querySelector(".sample-language").textContent = languageName(sample.language);
      const text = item.querySelector(".sample-text");
      text.textContent = sample.text;
      text.lang = sample.language ?? "";
      return item;
    }),
  );
}

/** Marks a button as done for a moment, and says so to a screen reader. */
export function flash(button, words) {
  const use = button.querySelector("use");
  button.dataset.icon ??= use.getAttribute("href");
  use.setAttribute("href", "#icon-check");
  transcriptView.announce(words);
  setTimeout(() => use.setAttribute("href", button.dataset.icon), 1500);
}

/** Setting the same text again would still make the browser, and a live region, work. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
