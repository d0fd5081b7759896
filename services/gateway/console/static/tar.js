// A tar of files as a Blob, without reading them: the browser reads each file when it is sent.

const BLOCK = 512;
const encoder = new TextEncoder();

// `entries` are [path, File]; paths of any length and alphabet.
export function tarOf(entries) {
  const parts = [];
  for (const [path, file] of entries) {
    const name = encoder.encode(path);
    if (name.length > 100 || name.length !== path.length) {
      const record = paxRecord("path", path);
      parts.push(header("pax", record.length, "x"), record, padding(record.length));
    }
    parts.push(header(name.length <= 100 ? path : "long", file.size, "0"), file, padding(file.size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: "application/x-tar" });
}

function header(path, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (offset, text) => block.set(encoder.encode(text), offset);
  block.set(encoder.encode(path).subarray(0, 100), 0);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, type);
  put(257, "ustar\0");
  put(263, "00");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

// "<length> path=<value>\n", where the length includes itself.
function paxRecord(key, value) {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return encoder.encode(`${length} ${key}=${value}\n`);
}
