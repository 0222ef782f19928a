// A page of somebody else: Pipecat's client and its SmallWebRTC transport, and what they tell.
import { PipecatClient } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

const told = [];
const note = (name) => (data) => told.push({ name, data });
const names = [
  "onConnected", "onDisconnected", "onBotReady", "onBotConnected", "onBotDisconnected", "onError", "onMessageError",
  "onServerMessage", "onMetrics", "onUserStartedSpeaking", "onUserStoppedSpeaking", "onUserTranscript",
  "onTransportStateChanged",
];

window.pipecat = {
  told,
  /** Gives what `bot-ready` says. `token` stands for a key; `requestData` goes along with the offer. */
  async connect({ endpoint, token, requestData }) {
    const headers = new Headers(token ? { Authorization: `Bearer ${token}` } : {});
    this.transport = new SmallWebRTCTransport({
      // The other one, which is the default, loads its code from a server of Daily's.
      mediaManager: new WavMediaManager(),
      webrtcRequestParams: { endpoint, headers, requestData },
    });
    this.client = new PipecatClient({
      transport: this.transport,
      callbacks: Object.fromEntries(names.map((name) => [name, note(name)])),
    });
    return await this.client.connect();
  },
  /** What the transport does by itself when ICE has failed. */
  async comeBack() {
    await this.transport.attemptReconnection(true);
    // It has stopped the track that the new connection sends too, and this media manager gets no other.
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    await this.transport.pc.getSenders()[0].replaceTrack(microphone.getAudioTracks()[0]);
  },
  /** Gives the answer to a custom message; one that is refused is `{refused}`. */
  async ask(kind, data) {
    return await this.client.sendClientRequest(kind, data).catch((refusal) => ({ refused: refusal }));
  },
};
