/* The participant's camera, and what to tell where there is none. Leaves out: what is done with its frames. */

import { MienError } from "mien";

const REMEDIES: Record<string, string> = {
  NotAllowedError: "it was refused: allow the camera for this page beside the browser's address, then reload",
  NotFoundError: "there is none: connect one, then reload",
  NotReadableError: "another program has it: close that one, then reload",
};

/** A video, not part of the page, that plays the camera; MienError says what to do where it cannot be had. */
export async function openCamera(wanted: MediaTrackConstraints | true): Promise<HTMLVideoElement> {
  if (!navigator.mediaDevices?.getUserMedia) throw new MienError("camera: pages get it over https only, or from an address of this machine");
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    await video.play();
  } catch (error) {
    closeCamera(video);
    const { name, message } = error as Error;
    throw new MienError(`camera: ${REMEDIES[name] ?? message} (${name})`, { cause: error });
  }
  return video;
}

export function closeCamera(video: HTMLVideoElement): void {
  (video.srcObject as MediaStream | null)?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}

/** What keeps a camera from showing anything now: unplugged, or switched off by its key; null where nothing does. */
export function troubleWith(video: HTMLVideoElement): string | null {
  const tracks = (video.srcObject as MediaStream).getVideoTracks();
  if (tracks.every((track) => track.readyState === "ended")) return "the camera was unplugged or taken away";
  return tracks.every((track) => track.muted) ? "the camera is switched off" : null;
}
