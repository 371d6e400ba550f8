/* Keeps the page: after the first visit it works without a network. A new version comes whole or not at all, and serves when
   the last window of the old one is closed, so that no window has files of two versions. */

const version = "VERSION";
const home = new URL("./", location.href).href;
const files = ["FILES"];
const whole = new URL(location.href).searchParams.has("threads") ? ["WHOLE"] : []; // for a page that is cross-origin isolated

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answer(event));
});

/** All of the first load, and what was asked for besides under an older version, as far as it is still there. */
async function install() {
  const cache = await caches.open(version);
  const fresh = (name) => new Request(name, { cache: "no-cache" }); // never what the browser kept of an older version
  await cache.addAll([...files, ...whole].map(fresh));
  const asked = (await older()).map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url));
  const missing = async (url) => !(await cache.match(url)) && cache.add(fresh(url));
  await Promise.allSettled((await Promise.all(asked)).flat().filter(later).map(missing));
}

const older = async () => (await caches.keys()).filter((name) => name.startsWith("mien-") && name !== version);

async function activate() {
  for (const name of await older()) await caches.delete(name);
  await self.clients.claim();
}

/** Whether it is kept when it is asked for: a network, or all of WebAssembly. */
const later = (url) => /\/models\/|\.wasm$/.test(new URL(url).pathname);

/** What is kept, else from the network. Where nothing can be kept, the page works all the same. */
async function answer(event) {
  const { request } = event;
  const cache = await caches.open(version).catch(() => null);
  const page = [home, `${home}index.html`].includes(request.url.replace(/[?#].*/, ""));
  const kept = await cache?.match(page ? home : request, { ignoreSearch: true, ignoreVary: true }).catch(() => null);
  if (kept) return kept;
  const response = await fetch(request);
  if (cache && response.status === 200 && later(request.url)) {
    const copy = response.clone();
    event.waitUntil(cache.put(request, copy).catch(() => {})); // the browser may have no room
  }
  return response;
}
