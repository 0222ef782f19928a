/**
 * The page `/diagnose`: runs the probes one after the other, and shows each verdict as soon as there is one.
 */

import { AudioSources } from "./audio_sources.js";
import {
  fetchIceServers,
  probeKey,
  probeMicrophone,
  probePath,
  probeReady,
  probeServer,
  probeStun,
} from "./probes.js";
import { STEPS, report, summary, verdictOf } from "./verdicts.js";

/** What a state is called, and drawn with. */
const STATES = {
  waiting: { word: "Not yet", icon: "" },
  running: { word: "Checking…", icon: "" },
  ok: { word: "Works", icon: "#icon-check" },
  failed: { word: "Failed", icon: "#icon-alert" },
  skipped: { word: "Skipped", icon: "#icon-skip" },
};

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

const audio = new AudioSources();
/** @type {AbortController|null} */
let running = null;
let about = { requires_key: false, version: "" };
/** @type {Record<string, import("./verdicts.js").Verdict>} */
let verdicts = {};

async function run() {
  running = new AbortController();
  const { signal } = running;
  audio.wake();
  begin();
  try {
    await check({ key: $("key").value.trim(), signal });
    conclude();
  } catch (error) {
    if (!signal.aborted) console.error(error);
    draw("summary", signal.aborted ? "Stopped." : "The check itself failed. The browser's console says more.");
    for (const { id } of STEPS) if (!(id in verdicts)) showStep(id, "waiting");
  } finally {
    audio.closeMicrophone();
    running = null;
    $("run-text").textContent = "Check again";
  }
}

/** @param {{key: string, signal: AbortSignal}} options */
async function check({ key, signal }) {
  /** @type {import("./verdicts.js").Facts} */
  const facts = {};
  const judge = (...steps) => steps.forEach((step) => showVerdict(step, verdictOf(step, facts)));

  showStep("server", "running");
  facts.server = await probeServer(signal);
  judge("server");
  const answers = verdicts.server.state === "ok";

  showStep("ready", "running");
  facts.ready = answers ? await probeReady(signal) : { status: null };
  judge("ready");
  showStep("key", "running");
  facts.key = await probeKey(key, about.requires_key, signal);
  judge("key");

  showStep("microphone", "running", "Say something: “one, two, three”.");
  facts.microphone = await probeMicrophone(audio, signal, showLevel);
  showLevel(0);
  judge("microphone");

  const usable = ["ready", "key"].every((step) => verdicts[step].state === "ok");
  if (!usable) return judge("stun", "udp", "channel", "turn");
  showStep("stun", "running");
  const servers = await fetchIceServers(key, signal);
  facts.stun = await probeStun(servers.stun, signal);
  judge("stun");

  const track = audio.microphone ?? audio.clipTrack;
  showStep("udp", "running");
  showStep("channel", "running");
  facts.direct = await probePath({ key, track, iceServers: servers.stun, iceTransportPolicy: "all" }, signal);
  judge("udp", "channel");
  showStep("turn", "running");
  const relayed = { key, track, iceServers: servers.turn, iceTransportPolicy: /** @type {const} */ ("relay") };
  facts.turn = await probePath(relayed, signal);
  judge("udp", "channel", "turn"); // what the relay can do casts another light on the direct path
}

// ---- what is shown ---------------------------------------------------------------------------------------------

function begin() {
  verdicts = {};
  for (const { id } of STEPS) showStep(id, "waiting");
  $("progress").hidden = false;
  $("copy").disabled = true;
  $("summary").dataset.state = "running";
  $("run-text").textContent = "Stop";
  draw("summary", "Checking…");
  progress();
}

function conclude() {
  const { ok, text } = summary(verdicts);
  $("summary").dataset.state = ok ? "ok" : "failed";
  $("copy").disabled = false;
  $("progress").hidden = true;
  draw("summary", text);
  if (verdicts.key.state === "failed" && about.requires_key) $("key").focus();
}

function showVerdict(id, verdict) {
  const before = verdicts[id];
  verdicts[id] = verdict;
  showStep(id, verdict.state, verdict.what, verdict.mend);
  progress();
  const title = STEPS.find((step) => step.id === id).title;
  if (before?.what !== verdict.what) announce(`${title}: ${STATES[verdict.state].word}. ${verdict.what}`);
}

/** @param {string} id @param {keyof typeof STATES} state */
function showStep(id, state, what = "", mend = []) {
  const step = $(`step-${id}`);
  step.dataset.state = state;
  const find = (name) => step.querySelector(`.step-${name}`);
  find("state").textContent = STATES[state].word;
  find("icon").querySelector("use").setAttribute("href", STATES[state].icon);
  find("what").textContent = what;
  find("mend").replaceChildren(
    ...mend.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
}

function progress() {
  $("progress").value = Object.keys(verdicts).length;
}

function showLevel(level) {
  $("meter").style.setProperty("--level", level.toFixed(3));
}

function announce(text) {
  const line = Object.assign(document.createElement("p"), { textContent: text });
  $("announcer").append(line);
}

function draw(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

// ---- the page --------------------------------------------------------------------------------------------------

async function copy() {
  const at = new Date().toISOString();
  const text = report(verdicts, { version: about.version, browser: navigator.userAgent, at });
  $("report").value = text;
  $("report-field").hidden = false;
  try {
    await navigator.clipboard.writeText(text);
    announce("The report has been copied.");
    draw("copy-text", "Copied");
    setTimeout(() => draw("copy-text", "Copy report"), 1_500);
  } catch {
    $("report").select(); // there is no clipboard on http:// addresses: it can be copied by hand
    $("report").focus();
  }
}

function build() {
  $("steps").replaceChildren(
    ...STEPS.map(({ id, title }) => {
      const item = $("step-template").content.cloneNode(true);
      item.querySelector("li").id = `step-${id}`;
      item.querySelector("li").dataset.testid = `step-${id}`;
      item.querySelector(".step-title").textContent = title;
      if (id === "microphone") item.querySelector(".step-body").append($("meter"));
      return item;
    }),
  );
  $("progress").max = STEPS.length;
  for (const { id } of STEPS) showStep(id, "waiting");
}

async function fetchAbout() {
  try {
    about = await (await fetch("/web/about.json")).json();
    $("key-field").hidden = !about.requires_key;
  } catch {
    // The first step will say it.
  }
}

build();
fetchAbout();
$("run").addEventListener("click", () => (running ? running.abort() : run()));
$("copy").addEventListener("click", copy);
$("key-field").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) run();
});
addEventListener("pagehide", () => running?.abort());
