/* Who answers: the mien server that sent this page, the networks in the page itself, or the page with the server's help for
   what a browser cannot do. `data-engine` of <html> says which: "server", "browser" or "both".
   An engine has `model` (what runs: name, labels, colours, limits ...), `promise` (where pictures go, in words),
   `photo(file, options)` and `follower()`. Leaves out: what is done with the answers (photos.js, webcam.js). */

import { askModel, predict, Trouble } from "./api.js";
import { jpeg } from "./camera.js";
import { Tracks } from "./tracks.js";

export async function openEngine() {
  const kind = document.documentElement.dataset.engine ?? "server";
  if (kind === "server") return openServer();
  const { openLocal } = await import("./local.js");
  const local = await openLocal(new URLSearchParams(location.search).get("model"));
  return kind === "both" ? withServer(local) : local;
}

/** The server answers everything. */
async function openServer() {
  const model = await askModel();
  const here = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
  const promise = here ? "Pictures stay on this computer; nothing is kept." : `Pictures go only to ${location.hostname}, where mien runs; nothing is kept.`;
  const idle = "The webcam is off. Its frames go to mien one at a time and are forgotten at once.";
  return { model, promise, idle, photo: serverPhoto, follower: () => serverFollower(model) };
}

/** One photo's answer. `pictures`: false, true or "all"; `onWait(seconds)` hears that the server is busy. */
async function serverPhoto({ name, blob }, options) {
  const answer = await predict([{ name, blob }], options);
  return { ...answer.photos[0], photo: name };
}

/** Frames one after the other, with the faces followed and smoothed here. */
function serverFollower(model) {
  const tracks = new Tracks(model.labels, model.following);
  return {
    alive: (number) => tracks.alive(number),
    async push(still, time, options) {
      const blob = await jpeg(still);
      const { photos: [photo] } = await predict([{ name: "frame.jpg", blob }], options);
      if (photo.error) throw new Trouble(`The frame could not be read: ${photo.error}`);
      return { width: photo.width, height: photo.height, faces: tracks.follow(photo.faces, time) };
    },
  };
}

/** The page answers; a picture that this browser cannot read goes to the server. */
function withServer(local) {
  return {
    ...local,
    promise: "Pictures stay in this page. Only files that your browser cannot read go to the mien server that sent it; nothing is kept.",
    async photo(file, options) {
      const answer = await local.photo(file, options);
      return answer.error ? serverPhoto(file, options).catch(() => answer) : answer;
    },
  };
}
