/* The camera: open it, take frames from it, let it go, and say why it does not start.
   Leaves out: what is done with a frame (webcam.js). */

import { Trouble } from "./api.js";
import { el } from "./dom.js";

const LONGEST = 640; // pixels of a frame's longer side as it is sent: what the detector works at
const QUALITY = 0.88; // of its JPEG

/** The stream of a camera that looks at the person, without sound; fails with an error that `reason` explains. */
export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "Insecure"); // plain http from elsewhere
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
  return navigator.mediaDevices.getUserMedia({ video, audio: false });
}

export const release = (stream) => stream?.getTracks().forEach((track) => track.stop());

/** Resolves when the camera has a new frame, or after a quarter of a second in a browser that does not tell. */
export function nextFrame(video) {
  return new Promise((done) => {
    setTimeout(done, 250);
    video.requestVideoFrameCallback?.(done);
  });
}

/** A frame, made smaller, as a JPEG blob. */
export function jpeg(still) {
  const scale = Math.min(1, LONGEST / Math.max(still.width, still.height));
  const small = el("canvas");
  copy(still, small, Math.round(still.width * scale), Math.round(still.height * scale));
  return new Promise((done, fail) => {
    small.toBlob((blob) => (blob ? done(blob) : fail(new Trouble("The browser made no picture of the frame."))), "image/jpeg", QUALITY);
  });
}

/** Draw a video or a canvas into a canvas of that size. */
export function copy(from, to, width = from.width, height = from.height) {
  if (to.width !== width || to.height !== height) Object.assign(to, { width, height });
  to.getContext("2d").drawImage(from, 0, 0, width, height);
}

/** Why the webcam did not start or went away, in words that say what to do. */
export function reason(error) {
  const known = {
    Insecure: "This browser gives the webcam only to pages of this computer (http://127.0.0.1 or http://localhost) or over https. Open the page there.",
    NotAllowedError: "The browser did not allow the webcam. Allow it for this page (in the address bar or the browser's settings) and switch it on again.",
    NotFoundError: "No webcam was found. Plug one in and switch it on again.",
    NotReadableError: "The webcam did not start. Another program may be using it.",
  };
  return known[error.name] ?? (error instanceof Trouble ? error.message : `The webcam stopped: ${error.message || error.name}`);
}
