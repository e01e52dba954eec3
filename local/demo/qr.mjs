// The QR code as clients get it, a PNG in a data: URL: what it says, and its modules for drawing.
import jsqr from "jsqr";
import { PNG } from "pngjs";

const QUIET_ZONE = 2; // modules around the drawing: fewer than the standard's four, enough on a screen
const FINDER_MODULES = 7;

/** What a phone's camera reads from the picture. */
export function scan(dataUrl) {
  const { data, width, height } = decode(dataUrl);
  const code = jsqr.default
    ? jsqr.default(new Uint8ClampedArray(data), width, height)
    : jsqr(new Uint8ClampedArray(data), width, height);
  if (code === null) throw new Error("the picture holds no QR code that can be read");
  return code.data;
}

/** The code's modules, row by row, true for dark, with a quiet zone around them. */
export function modulesOf(dataUrl) {
  const { data, width, height } = decode(dataUrl);
  const isDark = (x, y) => data[(y * width + x) * 4] < 128;
  const corner = findCorner(isDark, width, height);
  let run = 0;
  while (isDark(corner + run, corner)) run += 1;
  const size = run / FINDER_MODULES; // the first row begins with a finder pattern's edge
  const count = Math.round((width - 2 * corner) / size);
  const rows = [];
  for (let row = -QUIET_ZONE; row < count + QUIET_ZONE; row += 1) {
    const line = [];
    for (let column = -QUIET_ZONE; column < count + QUIET_ZONE; column += 1) {
      const inside = row >= 0 && column >= 0 && row < count && column < count;
      const middle = (index) => Math.floor(corner + (index + 0.5) * size);
      line.push(inside && isDark(middle(column), middle(row)));
    }
    rows.push(line);
  }
  return rows;
}

function findCorner(isDark, width, height) {
  for (let at = 0; at < Math.min(width, height); at += 1) if (isDark(at, at)) return at;
  throw new Error("the picture is empty");
}

function decode(dataUrl) {
  return PNG.sync.read(Buffer.from(dataUrl.split(",")[1], "base64"));
}
