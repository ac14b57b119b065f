// An image as it is stored. The models do not turn a frame by its EXIF tag and their boxes are in stored
// pixels, while a browser turns what it shows and, told not to, still swaps width and height. So the tag goes
// from the copy that is shown; what is sent stays as it is. JPEG only, as that is where cameras write the tag.

const START = 0xffd8;
const APP1 = 0xffe1;
const START_OF_SCAN = 0xffda;
const EXIF = "Exif\0\0";

// `file` without its EXIF segments when it is a JPEG, else `file` itself.
export async function asStored(file) {
  const bytes = new DataView(await file.arrayBuffer());
  if (bytes.byteLength < 4 || bytes.getUint16(0) !== START) return file;
  const kept = [];
  let from = 0;
  for (let at = 2; at + 4 <= bytes.byteLength;) {
    const marker = bytes.getUint16(at);
    if (marker === START_OF_SCAN || marker < 0xff00) break;
    const end = at + 2 + bytes.getUint16(at + 2);
    if (marker === APP1 && textAt(bytes, at + 4, EXIF.length) === EXIF) {
      kept.push(file.slice(from, at));
      from = end;
    }
    at = end;
  }
  return new Blob([...kept, file.slice(from)], { type: file.type });
}

function textAt(bytes, from, length) {
  const codes = [];
  for (let at = from; at < Math.min(from + length, bytes.byteLength); at += 1) codes.push(bytes.getUint8(at));
  return String.fromCharCode(...codes);
}
