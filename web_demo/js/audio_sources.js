/**
 * Where the audio comes from: the microphone, or a sample clip played into the call as if someone said it.
 *
 * The microphone's own track is sent as it is, without a detour through Web Audio; only clips are mixed here.
 */

import { PROBLEMS, Problem, fromMicrophone } from "./problems.js";

/** A pause after the clip, so that the endpointer sees the end of speech before anything else is sent. */
const SILENCE_AFTER_CLIP_MS = 2_000;
/** Below this peak (-100 dBFS) not even a quiet room can be heard: the microphone is off. */
const NOTHING = 1e-5;
/** What the level meter shows as its lower end. */
const METER_FLOOR_DB = -60;

export class AudioSources {
  /** @type {AudioContext} */
  #context;
  /** What is sent of clips, and silence between them. @type {MediaStreamAudioDestinationNode} */
  #clipOutput;
  #analyser;
  /** @type {Float32Array<ArrayBuffer>} */
  #samples;
  /** @type {MediaStreamAudioSourceNode|null} */
  #microphoneNode = null;
  /** @type {{stop: () => void, startedAt: number, seconds: number}|null} */
  #clip = null;
  #heardAt = 0;

  /** The microphone's track while it is open. @type {MediaStreamTrack|null} */
  microphone = null;

  /** Must be called within a click or a key press: browsers let sound begin only then. */
  wake() {
    if (!this.#context) this.#build();
    this.#context.resume();
  }

  #build() {
    this.#context = new AudioContext({ latencyHint: "interactive" });
    this.#clipOutput = new MediaStreamAudioDestinationNode(this.#context, { channelCount: 1 });
    // Some browsers send nothing at all while no node is connected; the server should go on hearing silence.
    const silence = new ConstantSourceNode(this.#context, { offset: 0 });
    silence.connect(this.#clipOutput);
    silence.start();
    this.#analyser = new AnalyserNode(this.#context, { fftSize: 4096 });
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  /** @returns {MediaStreamTrack} */
  get clipTrack() {
    return this.#clipOutput.stream.getAudioTracks()[0];
  }

  /**
   * @param {() => void} onLost  called when the microphone goes away on its own
   * @param {() => boolean} [stillWanted]  asked after the visitor has answered, which may take a while
   * @returns {Promise<MediaStreamTrack>}
   */
  async openMicrophone(onLost, stillWanted = () => true) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem(PROBLEMS.insecureOrigin);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      throw fromMicrophone(error);
    }
    const [track] = stream.getAudioTracks();
    if (!stillWanted()) {
      track.stop();
      throw new DOMException("The microphone is not wanted any more", "AbortError");
    }
    track.onended = onLost; // not fired by our own track.stop()
    this.microphone = track;
    this.#microphoneNode = new MediaStreamAudioSourceNode(this.#context, { mediaStream: stream });
    this.#microphoneNode.connect(this.#analyser);
    this.#heardAt = performance.now();
    return track;
  }

  closeMicrophone() {
    this.#microphoneNode?.disconnect();
    this.#microphoneNode = null;
    this.microphone?.stop();
    this.microphone = null;
  }

  /** @param {string} url */
  async load(url) {
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${response.status}`);
      return await this.#context.decodeAudioData(await response.arrayBuffer());
    } catch {
      throw new Problem(PROBLEMS.sampleMissing);
    }
  }

  /**
   * Plays a clip into the call and to the loudspeaker. Resolves when it is over and the silence after it too, or at
   * once when it is stopped.
   *
   * @param {AudioBuffer} buffer
   */
  play(buffer) {
    this.stopClip();
    // The meter shows what is sent, and during a clip that is the clip alone.
    this.#microphoneNode?.disconnect();
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    for (const node of [this.#clipOutput, this.#analyser, this.#context.destination]) source.connect(node);
    source.start();
    return new Promise((resolve) => {
      const finish = () => {
        source.disconnect();
        this.#microphoneNode?.connect(this.#analyser);
        this.#heardAt = performance.now();
        if (this.#clip === clip) this.#clip = null;
        resolve(undefined);
      };
      source.onended = () => setTimeout(finish, SILENCE_AFTER_CLIP_MS);
      const stop = () => {
        source.onended = null;
        source.stop();
        finish();
      };
      const clip = { stop, startedAt: this.#context.currentTime, seconds: buffer.duration };
      this.#clip = clip;
    });
  }

  stopClip() {
    this.#clip?.stop();
  }

  /** How far the clip has come, 0 to 1. */
  get clipProgress() {
    if (!this.#clip) return 0;
    return Math.min(1, (this.#context.currentTime - this.#clip.startedAt) / this.#clip.seconds);
  }

  /**
   * Measures the last 85 ms of what is sent.
   *
   * @returns {{level: number, silentMs: number}}  the meter's level, 0 to 1 on a scale of decibels, and for how long
   *     there has been nothing at all
   */
  measure() {
    if (this.#context?.state !== "running") return { level: 0, silentMs: 0 };
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const peak = this.#samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const now = performance.now();
    if (peak > NOTHING || this.#clip || this.microphone?.enabled === false) this.#heardAt = now;
    const db = 20 * Math.log10(Math.max(peak, NOTHING));
    return { level: Math.min(1, Math.max(0, 1 - db / METER_FLOOR_DB)), silentMs: now - this.#heardAt };
  }
}
