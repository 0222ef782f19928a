/**
 * Candidates on their way to the server: the body of `PATCH /whip/{id}`. Pure.
 *
 * RFC 8840 §9 names the format, RFC 9725 §4.3 shows it for WHIP. All media is bundled, so only the candidates of
 * the first m-line matter.
 */

/** @param {string} sdp  of our offer @returns {string} the mid of its first m-line */
export const firstMid = (sdp) => sdp.match(/^a=mid:(.*?)\r?$/m)?.[1] ?? "0";

/**
 * @param {string} sdp                   our offer
 * @param {ReadonlyArray<string>} candidates  as `RTCIceCandidate.candidate` has them: "candidate:…"
 * @param {boolean} end                  no more will come
 * @returns {string}
 */
export function sdpFragment(sdp, candidates, end) {
  const media = sdp.slice(sdp.indexOf("m="));
  const line = (start, where = sdp) => where.match(new RegExp(`^${start}.*?(?=\\r?$)`, "m"))?.[0];
  return [
    line("a=group:BUNDLE"),
    line("m=", media),
    line("a=mid:", media),
    line("a=ice-ufrag:", media),
    line("a=ice-pwd:", media),
    ...candidates.map((candidate) => `a=${candidate}`),
    end ? "a=end-of-candidates" : undefined,
    "", // a last line end
  ]
    .filter((text) => text !== undefined)
    .join("\r\n");
}
