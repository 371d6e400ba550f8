/* What each library is asked, in its own words: one way in for all. A `canvas` shows a picture, the answers are FER2013's
   numbers, -1 where no face was found. Leaves out: what is measured (measuring.js). */

const LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
const CONTENT = { disgusted: "disgust", fearful: "fear", surprised: "surprise" };
const number = (label) => LABELS.indexOf(CONTENT[label] ?? label);
const WASM = new URL("/rivals/@tensorflow/tfjs-backend-wasm/dist/", location.href).href;
const largest = (list, area) => list.reduce((best, one) => (!best || area(one) > area(best) ? one : best), null);

/** Load a script that leaves its library in a global. */
function script(src) {
  return new Promise((resolve, reject) => document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject })));
}

async function mien(model, { size = null, look, labels } = {}) {
  const { Predictor } = await import("/mien/mien.js");
  const predictor = await Predictor.create({ model, size, labels, wasm: new URL("/mien/", location.href).href, threads: 1 });
  const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  const answer = ({ faces }) => (faces.length ? number(largest(faces, area).label) : -1);
  const pixels = (canvas) => canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
  let crops, stream;
  return {
    backend: "onnxruntime-web, wasm",
    whole: async (canvas) => answer(await predictor.predict(canvas)),
    detect: async (canvas) => (await predictor.detector.detect(pixels(canvas))).length,
    network: async (canvas) => {
      crops ??= await Predictor.create({ model, labels, detector: "none", wasm: new URL("/mien/", location.href).href, threads: 1 });
      return answer(await crops.predict(canvas));
    },
    frame: async (canvas, seconds) => answer((await (stream ??= predictor.follow({ look })).push(canvas, seconds)).photo),
  };
}

async function human(mesh, backend) {
  await script("/rivals/@vladmandic/human/dist/human.js");
  const off = { enabled: false };
  const face = { enabled: true, mesh: { enabled: mesh }, emotion: { enabled: true }, iris: off, description: off, antispoof: off, liveness: off, attention: off };
  const base = { backend, wasmPath: WASM, modelBasePath: "/rivals/@vladmandic/human/models/", debug: false, warmup: "none", face, body: off, hand: off, object: off, gesture: off, segmentation: off };
  const found = new Human.Human(base);
  await found.load();
  const area = ({ box: [, , width, height] }) => width * height;
  const answer = ({ face: faces }) => {
    const best = largest(faces, area);
    return best ? number(best.emotion?.[0]?.emotion) : -1;
  };
  const { tf } = found;
  const every = { ...base, cacheSensitivity: 0 }; // each picture by itself: nothing of the last one is used again
  const alone = { ...every, face: { ...face, emotion: off, mesh: off } };
  const grey = tf.tensor1d([0.2989, 0.587, 0.114]);
  return {
    backend: `tfjs ${tf.getBackend()}`,
    whole: async (canvas) => answer(await found.detect(canvas, every)),
    detect: async (canvas) => (await found.detect(canvas, alone)).face.length,
    network: async (canvas) => {
      const net = found.models.models.emotion; // as src/gear/emotion.ts prepares its input
      const scores = tf.tidy(() => {
        const colours = tf.expandDims(tf.div(tf.cast(tf.browser.fromPixels(canvas), "float32"), 255), 0);
        const input = tf.image.resizeBilinear(colours, net.inputs[0].shape.slice(1, 3));
        return net.execute(tf.mul(tf.sub(tf.sum(tf.mul(input, grey), 3, true), 0.5), 2));
      });
      const values = await scores.data();
      scores.dispose();
      return values.indexOf(Math.max(...values));
    },
    frame: async (canvas) => answer(await found.detect(canvas, base)),
  };
}

async function faceApi(detector, backend) {
  await script("/rivals/@vladmandic/face-api/dist/face-api.js");
  const { nets, tf } = faceapi;
  if (backend === "wasm") tf.setWasmPaths(WASM);
  await tf.setBackend(backend);
  await tf.ready();
  const folder = "/rivals/@vladmandic/face-api/model/";
  const tiny = detector === "tiny";
  await Promise.all([(tiny ? nets.tinyFaceDetector : nets.ssdMobilenetv1).loadFromUri(folder), nets.faceExpressionNet.loadFromUri(folder)]);
  const options = tiny ? new faceapi.TinyFaceDetectorOptions() : new faceapi.SsdMobilenetv1Options();
  const area = ({ detection: { box } }) => box.width * box.height;
  const first = (expressions) => number(expressions.asSortedArray()[0].expression);
  const answer = (faces) => (faces.length ? first(largest(faces, area).expressions) : -1);
  const whole = async (canvas) => answer(await faceapi.detectAllFaces(canvas, options).withFaceExpressions());
  return {
    backend: `tfjs ${tf.getBackend()}`,
    whole,
    detect: async (canvas) => (await faceapi.detectAllFaces(canvas, options)).length,
    network: async (canvas) => first(await nets.faceExpressionNet.predictExpressions(canvas)),
    frame: whole, // it has no way of its own for videos
  };
}

/** What can be measured, by name; `backend` for those that have several. */
export const LIBRARIES = {
  "mien-nano": () => mien("mien-nano"),
  "mien-small": () => mien("mien-small"),
  "mien-nano, fer2013": () => mien("mien-nano", { labels: "fer2013" }), // the head that learnt the labels it is judged by
  "mien-small, fer2013": () => mien("mien-small", { labels: "fer2013" }),
  "mien-nano, near": () => mien("mien-nano", { size: 320, look: 0.5 }), // as the ready-made page looks at a webcam
  "human": (backend) => human(true, backend),
  "human, no mesh": (backend) => human(false, backend),
  "face-api, SSD": (backend) => faceApi("ssd", backend),
  "face-api, tiny": (backend) => faceApi("tiny", backend),
};
