/**
 * What the diagnosis makes of what it has measured: for each step a state, what it means, and what to do. Pure.
 *
 * `probes.js` measures; a fact that could not be measured is left out or null. Nothing here tells an address, a key
 * or a name, so the report can be shown to anyone.
 *
 * @typedef {"ok"|"failed"|"skipped"} VerdictState
 * @typedef {{state: VerdictState, what: string, mend: string[]}} Verdict
 *
 * @typedef {object} Facts
 * @property {{status: number|null, ms: number}} [server]   null: no answer
 * @property {{status: number|null, load?: string, degraded?: string[]}} [ready]
 * @property {{required: boolean, given: boolean, status: number|null}} [key]  status of `POST /v1/tokens`
 * @property {{problem: import("./problems.js").ProblemText|null, level: number, silent: boolean}} [microphone]
 *     level: the loudest moment, 0 to 1
 * @property {{servers: number, found: boolean, errors: number[]}} [stun]
 * @property {PathFacts} [direct]
 * @property {PathFacts & {servers: number, relayFound: boolean, errors: number[]}} [turn]
 *
 * @typedef {object} PathFacts
 * @property {import("./problems.js").ProblemText|null} problem  null: it opened
 * @property {string|null} path           see `NetworkFigures`
 * @property {string|null} protocol
 * @property {number|null} openedMs       from the offer to the open data channel
 * @property {number[]} roundTripsMs      of pings over the channel
 */

/** In the order in which they are run; each builds on those before it. */
export const STEPS = /** @type {const} */ ([
  { id: "server", title: "Server" },
  { id: "ready", title: "Models" },
  { id: "key", title: "Key" },
  { id: "microphone", title: "Microphone" },
  { id: "stun", title: "STUN" },
  { id: "udp", title: "Audio path over UDP" },
  { id: "channel", title: "Data channel" },
  { id: "turn", title: "TURN relay" },
]);

/** On the meter's scale: the noise of a quiet room does not come so far. */
const SPOKEN_LEVEL = 0.25;
/** RFC 8445 calls nothing an error; these are the browser's. 701: no answer from the STUN or TURN server. */
const WRONG_CREDENTIALS = 401;

const ok = (what, mend = []) => ({ state: /** @type {const} */ ("ok"), what, mend });
const failed = (what, mend) => ({ state: /** @type {const} */ ("failed"), what, mend });
const skipped = (what) => ({ state: /** @type {const} */ ("skipped"), what, mend: [] });
/** @param {Facts["turn"]} turn  where there is no relay none was tried */
const relayed = (turn) => Boolean(turn?.servers) && turn.problem === null;
const rounded = (ms) => `${Math.round(ms)}\u00a0ms`;

/** @type {Record<(typeof STEPS)[number]["id"], (facts: Facts) => Verdict>} */
const JUDGES = {
  server({ server }) {
    if (server.status === null) {
      return failed("It does not answer over HTTP. Nothing else can work.", [
        "Look whether rtc-stt is still running, and at its log.",
        "Check the network of this device.",
      ]);
    }
    if (server.status !== 200) {
      return failed(`Something answers, but with ${server.status}: most likely a proxy before the server.`, [
        "Look at the proxy's log, and whether rtc-stt is running behind it.",
      ]);
    }
    return ok(`It answers over HTTP, in ${rounded(server.ms)}.`);
  },

  ready({ ready }) {
    const degraded = ready.degraded?.length ? ` It reports trouble with: ${ready.degraded.join(", ")}.` : "";
    if (ready.status !== 200) {
      return failed(`The server is not ready for a session.${degraded}`, [
        "It may be starting, or shutting down: wait a little, then check again.",
        "If it stays so, look at the server's log.",
      ]);
    }
    if (ready.load && ready.load !== "normal") {
      return ok(`Ready, but busy (${ready.load.replaceAll("_", " ")}): words may come later than usual.${degraded}`);
    }
    return ok(`Ready, and not busy.${degraded}`);
  },

  key({ key }) {
    if (key.status === 403) {
      return failed("The server does not serve a page at this address.", [
        "Open the page at an address of the server's own, or name this one as ALLOWED_ORIGINS there.",
      ]);
    }
    if (key.status === 401) {
      return failed(key.given ? "The server does not take this key." : "The server asks for a key.", [
        "Enter one of the keys that are set as API_KEYS on the server, then check again.",
      ]);
    }
    if (key.status === 429) return failed("Too many tries in a short time.", ["Wait a minute, then check again."]);
    if (key.status === null || key.status >= 500) {
      return failed("The server could not say.", ["Look at the server's log, then check again."]);
    }
    return ok(key.required ? "The key is right." : "This server asks for none.");
  },

  microphone({ microphone }) {
    const { problem, level, silent } = microphone;
    if (problem) return failed(problem.what, problem.mend);
    if (silent) {
      return failed("It is allowed, but perfectly silent, as when it is switched off.", [
        "Look for a mute key on the microphone, the headset or the keyboard.",
        "Choose another microphone in the site settings of the browser.",
      ]);
    }
    if (level < SPOKEN_LEVEL) {
      return ok("It is allowed, and gives sound, but only a quiet room was heard.", [
        "If you did speak: turn up its level in the settings of your system, or come closer.",
      ]);
    }
    return ok("It is allowed, and your voice was heard.");
  },

  stun({ stun }) {
    if (!stun) return skipped("This needs the server and a key.");
    if (stun.servers === 0) {
      return skipped("The server names no STUN server (ICE_SERVERS). Where it can be reached directly none is needed.");
    }
    if (stun.found) return ok("A STUN server answered: this device knows its address as others see it.");
    if (stun.errors.length === 0) {
      return ok("A STUN server is set. It told no other address, so there seems to be no NAT in between.");
    }
    return failed("No STUN server answered. Behind NAT the server may then not find this device.", [
      "A firewall may forbid UDP to the STUN server (most often port 3478).",
      "If it is your server: check ICE_SERVERS.",
    ]);
  },

  udp({ direct, turn }) {
    if (!direct) return skipped("This needs the server and a key.");
    const { problem, path, protocol, openedMs } = direct;
    if (problem === null || problem.id === "channel-timeout") {
      const through = path === "srflx" ? ", through NAT" : "";
      const time = openedMs === null ? "" : ` It stood after ${rounded(openedMs)}.`;
      return ok(`Audio can travel directly to the server over ${(protocol ?? "udp").toUpperCase()}${through}.${time}`);
    }
    if (problem.id !== "ice-failed") return failed(`The server could not be asked. ${problem.what}`, problem.mend);
    const aroundIt = relayed(turn) ? " The TURN relay works, so sessions go through it." : "";
    return failed(`There is no direct path to the server over UDP.${aroundIt}`, [
      "Let UDP through to the server, on the ports set as UDP_PORT_RANGE. A VPN or a firewall may be in the way.",
      "If the server is in a container or behind NAT: publish those ports, and set PUBLIC_IP.",
      ...(aroundIt ? [] : ["Where UDP is forbidden, the server needs a TURN relay (TURN_URL)."]),
    ]);
  },

  channel({ direct, turn }) {
    const open = direct?.problem === null ? direct : relayed(turn) ? turn : undefined;
    if (open?.roundTripsMs.length) {
      const middle = open.roundTripsMs.toSorted((a, b) => a - b)[Math.floor(open.roundTripsMs.length / 2)];
      const over = open === direct ? "" : " through the TURN relay";
      return ok(`Messages go there and back${over} in ${rounded(middle)}.`);
    }
    if (open || direct?.problem?.id === "channel-timeout") {
      return failed("There is a path, but no message came back over it.", [
        "Check that UDP passes both ways, also in packets of 1200 bytes: a VPN may cut them.",
        "Look at the server's log for this session.",
      ]);
    }
    return skipped("Without a path there is nothing to send messages over.");
  },

  turn({ turn }) {
    if (!turn) return skipped("This needs the server and a key.");
    if (turn.servers === 0) {
      return skipped("The server names no TURN relay (TURN_URL). It is needed only where UDP cannot pass directly.");
    }
    if (turn.problem === null) {
      return ok(`A session can go through the relay, over ${(turn.protocol ?? "udp").toUpperCase()}.`);
    }
    if (turn.relayFound) {
      return failed("The relay answers, but the server cannot be reached from it.", [
        "If it is your server: let the relay reach the server's UDP ports, and look at the relay's log.",
      ]);
    }
    if (turn.errors.includes(WRONG_CREDENTIALS)) {
      return failed("The relay does not take the credentials that the server gave.", [
        "If it is your server: TURN_SECRET must be coturn's static-auth-secret, and the clocks of both must agree.",
      ]);
    }
    return failed("The relay does not answer.", [
      "A firewall may forbid its port. A relay over TLS on port 443 (turns:) passes most of them.",
      "If it is your server: check TURN_URL, and whether the relay is running.",
    ]);
  },
};

/** @param {(typeof STEPS)[number]["id"]} step @param {Facts} facts @returns {Verdict} */
export const verdictOf = (step, facts) => JUDGES[step](facts);

/**
 * All of it in one sentence. A path through TURN is as good as a direct one, and STUN only serves to find a path.
 *
 * @param {Record<string, Verdict>} verdicts  by step, of all steps
 * @returns {{ok: boolean, text: string}}
 */
export function summary(verdicts) {
  const is = (step, state) => verdicts[step].state === state;
  const blocking = ["server", "ready", "key", "microphone", "channel"].filter((step) => !is(step, "ok"));
  if (is("udp", "failed") && !is("channel", "ok")) blocking.push("udp");
  const titles = STEPS.filter(({ id }) => blocking.includes(id)).map(({ title }) => title);
  if (titles.length > 0) return { ok: false, text: `Live transcription will not work yet. Look at: ${titles.join(", ")}.` };
  const rest = STEPS.filter(({ id }) => is(id, "failed")).map(({ title }) => title);
  if (rest.length === 0) return { ok: true, text: "Everything that live transcription needs works here." };
  return {
    ok: true,
    text: `Live transcription works here. In other networks this may matter: ${rest.join(", ")}.`,
  };
}

/**
 * For an e-mail or a bug report.
 *
 * @param {Record<string, Verdict>} verdicts
 * @param {{version: string, browser: string, at: string}} about
 * @returns {string}
 */
export function report(verdicts, { version, browser, at }) {
  const lines = STEPS.map(({ id, title }) => `[${verdicts[id].state}] ${title}: ${verdicts[id].what}`);
  return [`rtc-stt ${version}, checked ${at}`, browser, "", summary(verdicts).text, "", ...lines, ""].join("\n");
}
