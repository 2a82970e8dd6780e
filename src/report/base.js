'use strict';
// What the page's scripts share. Whatever text comes from outside becomes a text node, never markup.

// element('td', {class: 'number'}, 'text', anotherElement)
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The colours of the system, but for what is printed.
const darkSystem = matchMedia('(prefers-color-scheme: dark)'), root = document.documentElement;

function isDark() { return darkSystem.matches && !root.classList.contains('printed'); }

function whenColoursChange(act) {
  darkSystem.addEventListener('change', act);
  for (const name of ['beforeprint', 'afterprint']) {
    addEventListener(name, () => {
      root.classList.toggle('printed', name === 'beforeprint');
      act();
    });
  }
}

function picture(base64, text) {
  const image = element('img', {class: 'thumb', alt: text});
  image.src = 'data:image/jpeg;base64,' + base64;
  return image;
}

function bytesOf(id) {
  const text = document.getElementById(id).textContent;
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The array that a block names, of `count` elements; see packed.h.
async function unpacked(how, count) {
  const bytes = bytesOf(how.array);
  if (how.type === 'float32') return new Float32Array(bytes.buffer, bytes.byteOffset, count);
  if (how.type === 'uint16') return new Uint16Array((await inflated(bytes)).buffer, 0, count);
  if (how.type === 'texts') return new TextDecoder().decode(await inflated(bytes)).split('\0');
  const upper = await inflated(bytes.subarray(0, how.deflated));
  const lower = bytes.subarray(how.deflated);
  const values = new Float32Array(count);
  for (let i = 0; i < count; ++i) {
    const step = upper[i] << 2 | lower[i >> 2] >> 2 * (i & 3) & 3;
    values[i] = how.low + step * how.step;
  }
  return values;
}
