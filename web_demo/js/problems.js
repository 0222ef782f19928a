/**
 * Everything that can go wrong, in words: what it is, and how to mend it.
 *
 * Whoever meets a failure throws `new Problem(PROBLEMS.something)`; the page shows it and offers its action.
 */

/**
 * @typedef {object} ProblemText
 * @property {string} id
 * @property {string} title
 * @property {string} what              what is wrong
 * @property {string[]} mend            what to do about it, best first
 * @property {"retry"|"reconnect"|"resume"|"unmute"} [action]  what the button in the box offers
 * @property {"error"|"hint"} [tone]    a hint does not stop anything; error where it is left out
 * @property {boolean} [diagnose]       /diagnose may find out more
 */

export class Problem extends Error {
  /**
   * @param {ProblemText} text
   * @param {{status?: number|null, retryAfterMs?: number}} [answer]  of the server, where it was one that told
   */
  constructor(text, { status = null, retryAfterMs = 0 } = {}) {
    super(text.what);
    this.text = text;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** @satisfies {Record<string, ProblemText>} */
export const PROBLEMS = {
  insecureOrigin: {
    id: "insecure-origin",
    title: "The browser does not lend its microphone to this address",
    what: "Browsers allow the microphone only on https:// pages and on localhost, and this page is neither.",
    mend: [
      "On the machine that runs the server, open http://localhost with the same port.",
      "From another machine, put the server behind HTTPS, or forward the port with ssh -L.",
      "The samples work without a microphone.",
    ],
  },
  microphoneRefused: {
    id: "microphone-refused",
    title: "The microphone was not allowed",
    what: "The browser, or the system behind it, refused this page the microphone.",
    mend: [
      "Open the site settings beside the address, allow the microphone, and start again.",
      "If it is allowed there, look into the privacy settings of your system.",
      "The samples work without a microphone.",
    ],
    action: "retry",
    diagnose: true,
  },
  microphoneMissing: {
    id: "microphone-missing",
    title: "No microphone was found",
    what: "The browser sees no microphone on this device.",
    mend: ["Plug one in or switch it on, then start again.", "The samples work without a microphone."],
    action: "retry",
    diagnose: true,
  },
  microphoneBusy: {
    id: "microphone-busy",
    title: "The microphone is in use",
    what: "There is a microphone, but it could not be opened. Most often another program holds it.",
    mend: ["Close calls and recorders that use it, then start again.", "If that does not help, plug it in anew."],
    action: "retry",
    diagnose: true,
  },
  microphoneLost: {
    id: "microphone-lost",
    title: "The microphone went away",
    what: "It was unplugged, switched off, or its permission was taken back.",
    mend: ["Plug it in or allow it again, then start again."],
    action: "retry",
  },
  microphoneSilent: {
    id: "microphone-silent",
    title: "Nothing comes from the microphone",
    what: "It has been perfectly silent for five seconds, as when it is switched off.",
    mend: [
      "Look for a mute key on the microphone, the headset or the keyboard.",
      "Choose another microphone in the site settings of the browser.",
    ],
    tone: "hint",
    diagnose: true,
  },
  mutedLong: {
    id: "muted-long",
    title: "You are muted",
    what: "The microphone has been muted for a while, so nothing you say is written.",
    mend: [],
    action: "unmute",
    tone: "hint",
  },
  webrtcBlocked: {
    id: "webrtc-blocked",
    title: "WebRTC is switched off in this browser",
    what: "Live audio travels over WebRTC, and a setting or an extension has removed it.",
    mend: ["Allow WebRTC in the browser's settings and in privacy extensions.", "Or try another browser."],
    diagnose: true,
  },
  serverUnreachable: {
    id: "server-unreachable",
    title: "The server does not answer",
    what: "This page was loaded from it, but now it cannot be reached.",
    mend: ["Look whether rtc-stt is still running, and at its log.", "Check your network, then try again."],
    action: "retry",
    diagnose: true,
  },
  iceFailed: {
    id: "ice-failed",
    title: "No path for the audio",
    what:
      "The server was reached over HTTP, but not over UDP, which carries live audio. " +
      "Most often a firewall is in between.",
    mend: [
      "Let UDP through to the server, on the ports set as UDP_PORT_RANGE.",
      "If the server is in a container or behind NAT, publish those ports and set PUBLIC_IP.",
      "Where UDP is forbidden, set TURN_URL to a TURN server that speaks TLS. A VPN may be in the way too.",
    ],
    action: "retry",
    diagnose: true,
  },
  channelTimeout: {
    id: "channel-timeout",
    title: "The connection did not open",
    what: "The server accepted the call, but no data came through within ten seconds.",
    mend: [
      "Check that UDP can pass both ways between this browser and the server.",
      "Look at the server's log for this session, then try again.",
    ],
    action: "retry",
    diagnose: true,
  },
  connectionLost: {
    id: "connection-lost",
    title: "The connection was lost",
    what: "The server went away or the network broke, and did not come back. What was written is kept below.",
    mend: ["Reconnect. If that fails, look whether the server is still running."],
    action: "reconnect",
    diagnose: true,
  },
  keyMissing: {
    id: "key-missing",
    title: "This server asks for a key",
    what: "Without an API key it opens no session.",
    mend: ["Enter the key above the start button. It is kept only until you leave this page."],
  },
  keyWrong: {
    id: "key-wrong",
    title: "The key is not right",
    what: "The server does not know this API key.",
    mend: ["Enter it again. The valid keys are those set as API_KEYS on the server."],
  },
  quotaUsedUp: {
    id: "quota-used-up",
    title: "The audio of today is used up",
    what: "The key of this page may have so much transcribed in a day, and has had it.",
    mend: ["Go on tomorrow, from 00:00 UTC, or with another key."],
  },
  sampleMissing: {
    id: "sample-missing",
    title: "The sample could not be played",
    what: "The clip could not be fetched or decoded.",
    mend: ["Try another one, or use the microphone."],
  },
};

/** Of a refusal and of an `error` event. */
const QUOTA_EXCEEDED = "quota_exceeded";

/** The page was loaded again in the middle of a session. */
export const SESSION_WAITS = {
  id: "session-waits",
  title: "Your session is still open",
  what: "This page was left or loaded again in the middle of it. The microphone is off now.",
  mend: ["Go on where you stopped, within a minute or so. After that, a new session begins."],
  action: "resume",
  tone: "hint",
};

/** @returns {Problem} */
export function fromMicrophone(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new Problem(PROBLEMS.microphoneRefused);
    case "NotFoundError":
    case "OverconstrainedError":
      return new Problem(PROBLEMS.microphoneMissing);
    default: // NotReadableError, AbortError, and what a browser may invent
      return new Problem(PROBLEMS.microphoneBusy);
  }
}

/**
 * A refusal of `POST /whip`.
 *
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
export async function fromResponse(response) {
  const { type, message, request_id: requestId } = await errorBody(response);
  const said = message || `It answered ${response.status} ${response.statusText}`.trim() + ".";
  const inLog = requestId ? [`In the server's log this request is ${requestId}.`] : [];
  const retryAfterMs = (Number(response.headers.get("Retry-After")) || 0) * 1000;
  const text =
    type === QUOTA_EXCEEDED
      ? { ...PROBLEMS.quotaUsedUp, what: said }
      : refusal(response.status, said, whenToRetry(retryAfterMs), inLog);
  return new Problem(text, { status: response.status, retryAfterMs });
}

/** @returns {ProblemText} */
function refusal(status, said, when, inLog) {
  const again = `Try again ${when}.`;
  switch (status) {
    case 401:
      return { ...PROBLEMS.keyWrong, what: said };
    case 403:
      return {
        id: "forbidden",
        title: "The server does not serve this page",
        what: said,
        mend: ["Open the page at an address of the server's own, or name this one as ALLOWED_ORIGINS there."],
      };
    case 429:
      return {
        id: "rate-limited",
        title: "Too many tries in a short time",
        what: said,
        mend: [again],
        action: "retry",
      };
    case 503:
      return {
        id: "server-full",
        title: "The server has no room just now",
        what: said,
        mend: [again, "If it is your server: MAX_SESSIONS sets how many it takes in at once."],
        action: "retry",
      };
    default:
      return {
        id: "refused",
        title: "The server refused the connection",
        what: said,
        mend: ["Look at the server's log, then try again.", ...inLog],
        action: "retry",
      };
  }
}

/** A fatal `error` event. */
export function fromErrorEvent({ message, code }) {
  if (code === QUOTA_EXCEEDED) return new Problem({ ...PROBLEMS.quotaUsedUp, what: message });
  return new Problem({
    id: "server-error",
    title: "The server had to end the session",
    what: message || `It gave the code ${code}.`,
    mend: ["Reconnect. If it comes back, look at the server's log."],
    action: "reconnect",
  });
}

/** What to show for anything that was thrown, also for a defect of ours. @returns {ProblemText} */
export function textOf(error) {
  if (error instanceof Problem) return error.text;
  return {
    id: "unexpected",
    title: "Something unexpected went wrong",
    what: String(error?.message ?? error),
    mend: ["Try again. The browser's console may say more."],
    action: "retry",
  };
}

async function errorBody(response) {
  try {
    return (await response.json()).error ?? {};
  } catch {
    return {}; // a proxy in between answers in HTML
  }
}

/** @param {number} retryAfterMs  0 where the server did not say; the HTTP-date form is not used by this server */
function whenToRetry(retryAfterMs) {
  if (retryAfterMs <= 0) return "in a moment";
  return retryAfterMs === 1000 ? "in a second" : `in ${Math.ceil(retryAfterMs / 1000)} seconds`;
}
