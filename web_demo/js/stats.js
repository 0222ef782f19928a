/**
 * What the browser knows of the way of the audio: `RTCStatsReport` (W3C webrtc-stats) in a few figures. Pure.
 *
 * @typedef {object} NetworkFigures
 * @property {string|null} codec           such as "opus"
 * @property {number|null} bitRateKbps     what is sent, without the headers of RTP
 * @property {number|null} lossShare       0 to 1: of the packets since the report before, by the server's RTCP
 * @property {number|null} jitterMs
 * @property {number|null} roundTripMs     of RTCP, else of ICE
 * @property {string|null} path            "host", "srflx", "prflx" or "relay": what kind of address carries it
 * @property {string|null} protocol        "udp" or "tcp", to the TURN server where there is one in between
 * @property {{atMs: number, bytes: number}|null} sent  to compare the next report with
 */

/** @type {NetworkFigures} */
export const NO_FIGURES = Object.freeze({
  codec: null,
  bitRateKbps: null,
  lossShare: null,
  jitterMs: null,
  roundTripMs: null,
  path: null,
  protocol: null,
  sent: null,
});

/**
 * @param {Iterable<any>} report  the values of an RTCStatsReport
 * @param {NetworkFigures} before  of the last report, to tell a rate
 * @returns {NetworkFigures}
 */
export function networkFigures(report, before) {
  const all = [...report];
  const byId = (id) => all.find((stats) => stats.id === id);
  const outbound = all.find(({ type, kind }) => type === "outbound-rtp" && kind === "audio");
  const remote = all.find(({ type, kind }) => type === "remote-inbound-rtp" && kind === "audio");
  const pair = selectedPair(all);
  const local = byId(pair?.localCandidateId);
  const seconds = remote?.roundTripTime ?? pair?.currentRoundTripTime;
  const sent = outbound ? { atMs: outbound.timestamp, bytes: outbound.bytesSent } : null;
  return {
    codec: byId(outbound?.codecId)?.mimeType?.replace(/^audio\//, "") ?? null,
    bitRateKbps: rateKbps(sent, before.sent),
    lossShare: remote?.fractionLost ?? null,
    jitterMs: inMs(remote?.jitter),
    roundTripMs: inMs(seconds),
    path: local?.candidateType ?? null,
    protocol: local?.relayProtocol ?? local?.protocol ?? null,
    sent,
  };
}

/** Firefox knows no transport, but marks the pair itself. */
function selectedPair(all) {
  const id = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
  return all.find((stats) => stats.type === "candidate-pair" && (id ? stats.id === id : stats.selected));
}

const inMs = (seconds) => (seconds === undefined ? null : seconds * 1000);

/** Bits a millisecond are kilobits a second. A new connection counts from 0 again. */
function rateKbps(sent, before) {
  if (!sent || !before || sent.bytes < before.bytes || sent.atMs <= before.atMs) return null;
  return ((sent.bytes - before.bytes) * 8) / (sent.atMs - before.atMs);
}
