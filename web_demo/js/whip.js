/**
 * The HTTP side of a session: a token, the ICE servers, and the WHIP resource (RFC 9725).
 *
 * Every request has an end of its own: a server that takes a connection and then says nothing must not hold us up.
 */

import { PROBLEMS, Problem, fromResponse } from "./problems.js";

const REQUEST_MS = 10_000;
/** The whole of what may be configured is seconds away at most; without it we still try. */
const ICE_SERVERS_MS = 3_000;

/**
 * What of a session a new connection needs to go on with it.
 *
 * @typedef {{token: string, lastSeq: number}} Resume
 */

export class Whip {
  #bearer = "";
  #resume;
  #resource = "";
  #etag = "";

  /** @param {Resume|null} resume  whose token stands in for one that is asked for with a key */
  constructor(resume = null) {
    this.#resume = resume;
  }

  /**
   * A client with a token of its own for one session. The key itself is sent to nothing but `/v1/tokens`.
   *
   * @param {string} apiKey  "" where there is none
   * @param {AbortSignal} signal
   * @returns {Promise<Whip>}
   */
  static async authorized(apiKey, signal) {
    const whip = new Whip();
    const headers = apiKey ? { Authorization: `Bearer ${apiKey}` } : {};
    const response = await request("/v1/tokens", { method: "POST", headers }, signal);
    if (response.ok) whip.#bearer = (await response.json()).token;
    // A server of before there were tokens takes the key.
    else if (response.status === 404 || response.status === 405) whip.#bearer = apiKey;
    else if (response.status === 401 && !apiKey) throw new Problem(PROBLEMS.keyMissing, { status: 401 });
    else throw await fromResponse(response);
    return whip;
  }

  /**
   * STUN and TURN servers. Without any, a server that can be reached directly still works, so no failure here is one.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<RTCIceServer[]>}
   */
  async iceServers(signal) {
    try {
      const response = await request("/v1/ice-servers", { headers: this.#headers }, signal, ICE_SERVERS_MS);
      return (response.ok && (await response.json()).iceServers) || [];
    } catch {
      signal.throwIfAborted();
      return [];
    }
  }

  /**
   * @param {string} sdp
   * @param {AbortSignal} signal
   * @returns {Promise<string>} the answer
   */
  async offer(sdp, signal) {
    const from = this.#resume ? { "Resume-From": String(this.#resume.lastSeq) } : {};
    const headers = { ...this.#headers, ...from, "Content-Type": "application/sdp" };
    const response = await request("/whip", { method: "POST", headers, body: sdp }, signal);
    if (response.status !== 201) throw await fromResponse(response);
    // A server may be reached under a path of a proxy, or have sent us on to another one (307): the address is
    // relative to the request that was answered (RFC 9110, 10.2.2).
    this.#resource = new URL(response.headers.get("Location") ?? "", response.url).href;
    this.#etag = response.headers.get("ETag") ?? "";
    return response.text();
  }

  /**
   * Brings candidates that were found after the offer.
   *
   * @param {string} fragment
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>}  false where the server takes none (RFC 9725 §4.3.1: no ETag, or 405 or 501)
   */
  async trickle(fragment, signal) {
    if (!this.#etag) return false;
    const headers = {
      ...this.#headers,
      "Content-Type": "application/trickle-ice-sdpfrag",
      "If-Match": this.#etag,
    };
    try {
      const response = await request(this.#resource, { method: "PATCH", headers, body: fragment }, signal);
      return response.status !== 405 && response.status !== 501;
    } catch {
      return true; // whether there is a path without these candidates will show
    }
  }

  /** Ends the session at the server. keepalive: the request outlives the page; its answer does not matter. */
  end() {
    if (!this.#resource) return;
    fetch(this.#resource, { method: "DELETE", headers: this.#headers, keepalive: true }).catch(() => {});
    this.#resource = "";
  }

  /** @returns {Record<string, string>} */
  get #headers() {
    if (this.#resume) return { "Resume-Token": this.#resume.token };
    return this.#bearer ? { Authorization: `Bearer ${this.#bearer}` } : {};
  }
}

/** @param {string} url @param {RequestInit} init @param {AbortSignal} signal @returns {Promise<Response>} */
async function request(url, init, signal, withinMs = REQUEST_MS) {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]) });
  } catch {
    signal.throwIfAborted();
    throw new Problem(PROBLEMS.serverUnreachable);
  }
}
