// Reads a QR code as a phone's camera would: a PNG data URL on standard input, the code's text on standard output.
const jsQR = require('jsqr');
const { PNG } = require('pngjs');

const url = require('node:fs').readFileSync(0, 'utf8');
const png = PNG.sync.read(Buffer.from(url.replace(/^data:image\/png;base64,/, ''), 'base64'));
const code = jsQR(new Uint8ClampedArray(png.data), png.width, png.height);
if (!code) throw new Error('no QR code in the picture');
process.stdout.write(code.data);
