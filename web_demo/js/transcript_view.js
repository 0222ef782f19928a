/**
 * Draws a transcript. Because the reducer never changes an item in place, an item that is the same object as last
 * time needs no work, however long the transcript has become.
 *
 * @typedef {import("./transcript.js").Transcript} Transcript
 * @typedef {import("./transcript.js").Utterance} Utterance
 * @typedef {import("./transcript.js").Notice} Notice
 * @typedef {import("./transcript.js").FinalEvent} FinalEvent
 */

import { latencyMs } from "./transcript.js";
import {
  confidenceWord,
  dropReason,
  languageName,
  milliseconds,
  percent,
  routeInWords,
  unheardInWords,
} from "./words.js";

/** As near to the end as this counts as reading along, in px. */
const AT_THE_END = 48;
/** How many announcements stay in the live region; a screen reader may come late to one. */
const ANNOUNCEMENTS_KEPT = 4;

export class TranscriptView {
  #list;
  #jump;
  #announcer;
  /** @type {Map<string, {item: Utterance|Notice, element: HTMLElement}>} */
  #drawn = new Map();
  #following = true;

  /**
   * @param {HTMLElement} list       where the lines go; scrolls
   * @param {HTMLElement} jump       the button that goes to the newest line
   * @param {HTMLElement} announcer  the live region
   */
  constructor(list, jump, announcer) {
    this.#list = list;
    this.#jump = jump;
    this.#announcer = announcer;
    list.addEventListener("scroll", () => this.#follow(this.#atTheEnd()), { passive: true });
    jump.addEventListener("click", () => {
      this.#follow(true);
      list.focus({ preventScroll: true });
    });
    // The box changes its height with the window and with the problem box above it.
    new ResizeObserver(() => this.#follow(this.#following)).observe(list);
  }

  /** @param {Transcript} transcript */
  render(transcript) {
    const gone = new Set(this.#drawn.keys());
    // A live transcript begins with one line; one that is there at once was read before the page was loaded again.
    const quiet = this.#drawn.size === 0 && transcript.items.length > 1;
    for (const item of transcript.items) {
      gone.delete(item.key);
      this.#draw(item, transcript.models, quiet);
    }
    for (const key of gone) {
      this.#drawn.get(key).element.remove();
      this.#drawn.delete(key);
    }
    this.#follow(this.#following);
  }

  /** Has a screen reader say it when it is done with what it is saying. */
  announce(text, language = "en") {
    const line = document.createElement("p");
    line.lang = language;
    line.textContent = text;
    this.#announcer.append(line);
    while (this.#announcer.childElementCount > ANNOUNCEMENTS_KEPT) this.#announcer.firstElementChild.remove();
  }

  /** @param {FinalEvent} final */
  #announceFinal(final) {
    this.announce(final.text, final.language);
    const unheard = unheardInWords(final);
    if (unheard) this.announce(`${unheard}.`);
  }

  #draw(item, models, quiet) {
    const before = this.#drawn.get(item.key);
    if (before?.item === item) return;
    const element = before?.element ?? this.#newElement(item);
    this.#drawn.set(item.key, { item, element });
    if (item.kind === "notice") return this.#drawNotice(element, item, quiet);
    drawUtterance(element, item, models);
    if (item.final && !quiet) this.#announceFinal(item.final);
  }

  #newElement(item) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById(`${item.kind}-template`));
    const element = /** @type {HTMLElement} */ (template.content.firstElementChild.cloneNode(true));
    this.#list.append(element);
    return element;
  }

  #drawNotice(element, { tone, text }, quiet) {
    element.dataset.tone = tone;
    element.querySelector(".notice-text").textContent = text;
    if (!quiet) this.announce(text);
  }

  #atTheEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < AT_THE_END;
  }

  /** Stays at the newest line, unless the reader has scrolled back to something. */
  #follow(following) {
    this.#following = following;
    this.#jump.hidden = following;
    if (following) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/**
 * @param {HTMLElement} element
 * @param {Utterance} utterance
 */
function drawUtterance(element, utterance, models) {
  const find = finder(element);
  element.dataset.state = utterance.state;
  element.dataset.reason = utterance.dropReason ?? "";
  element.dataset.utteranceId = String(utterance.id);
  find("text").lang = utterance.language ?? "";
  find("stable").textContent = utterance.stable;
  // The space before the moving words is nobody's: it should not be dotted.
  const moving = utterance.moving.trimStart();
  find("gap").textContent = utterance.moving.slice(0, utterance.moving.length - moving.length);
  find("moving").textContent = moving;
  find("status").textContent = statusInWords(utterance);
  if (utterance.final) drawFinal(find, utterance.final, models);
}

/** @param {Utterance} utterance */
function statusInWords({ state, stopped, dropReason: reason, stable, moving }) {
  if (state === "dropped") {
    if (reason === "disconnected") return `Cut off: ${dropReason(reason)}.`;
    return `${stable || moving ? "Taken back" : "Nothing written"}: ${dropReason(reason)}.`;
  }
  if (state === "final") return "";
  if (stopped) return "End of speech, finishing…";
  return state === "eager" ? "A pause: this is it, unless more follows" : "Speaking…";
}

/** @param {FinalEvent} final */
function drawFinal(find, final, models) {
  find("final").hidden = false;
  drawConfidence(find, final);

  find("language").textContent = languageName(final.language);
  const sure = final.language_probability;
  if (sure != null && sure < 1) find("language").title = `${percent(sure)} sure of the language`;
  find("model").textContent = final.model;

  const route = routeInWords(final, models);
  find("route").textContent = route.text;
  find("route").dataset.trouble = String(route.trouble);

  const unheard = unheardInWords(final);
  find("unheard").hidden = unheard === "";
  find("unheard").textContent = unheard;

  const fast = final.route?.fast;
  if (fast && final.route.decision === "redecoded" && fast.text !== final.text) {
    find("fast").hidden = false;
    find("fast-summary").textContent = `What ${models.fast ?? "the fast model"} had heard`;
    find("fast-text").textContent = fast.text || "(nothing)";
    find("fast-text").lang = final.language ?? "";
    find("fast-confidence").textContent = `${percent(fast.confidence)} confident`;
  }
  drawLatency(find, final, models);
}

function drawConfidence(find, { confidence }) {
  const word = confidenceWord(confidence);
  find("confidence").dataset.level = word;
  find("confidence-bar").style.setProperty("--share", String(confidence));
  find("confidence-text").textContent = `${percent(confidence)} ${word}`;
}

function drawLatency(find, final, models) {
  const total = latencyMs(final);
  find("timing").hidden = total === null;
  if (total === null) return;
  find("latency").textContent = `final ${milliseconds(total)} after the end of speech`;
  const { timing } = final;
  const rows = [
    ["Silence until the end was sure (hangover)", timing.hangover_ms, "sum"],
    ["From there to the final", timing.endpoint_to_final_ms, "sum"],
    ["Waiting for a model (queue)", timing.queue_ms, "part"],
    [`Decoding by ${models.fast ?? "the fast model"}`, timing.fast_infer_ms, "part"],
    [`Decoding by ${models.accurate ?? "the accurate model"}`, timing.accurate_infer_ms, "part"],
  ];
  const longest = Math.max(1, ...rows.map(([, ms]) => Number(ms)));
  find("split").replaceChildren(...rows.map(([name, ms, kind]) => splitRow(name, ms, kind, ms / longest)));
}

function splitRow(name, ms, kind, share) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("split-template"));
  const row = /** @type {HTMLElement} */ (template.content.firstElementChild.cloneNode(true));
  row.dataset.kind = kind;
  row.querySelector("dt").textContent = name;
  row.querySelector(".split-ms").textContent = milliseconds(ms);
  /** @type {HTMLElement} */ (row.querySelector(".bar")).style.setProperty("--share", String(share));
  return row;
}

/** @returns {(name: string) => any} */
function finder(element) {
  return (name) => element.querySelector(`[data-testid="${name}"]`);
}
