// A third of the node binary is ICU's data, and most of that is other languages: names of currencies, places and time
// zones. RBDSR speaks English and formats by itself. Overwritten with zeros, those tables compress to nothing, and ICU
// treats them as absent: it falls back to the root locale, as in a node that was built with `--with-intl=small-icu`.

/**
 * Blanks, in place, the tables of every language but English in the node binary `image`; the number of bytes blanked.
 */
export function blankLocales(image) {
  const items = readIcuItems(image);
  let blanked = 0;
  for (const { start, end } of items.filter((item) => isForeign(item.name))) {
    image.fill(0, start, end);
    blanked += end - start;
  }
  if (blanked < LEAST_EXPECTED)
    throw new Error(`only ${blanked} bytes of ICU locale data were found in the node binary`);
  return blanked;
}

/** Less would mean that the data is laid out in another way than this file thinks. Bytes. */
const LEAST_EXPECTED = 16 * 2 ** 20;

/** `icudt78l/curr/de_AT.res`, and the dictionaries for finding words in Thai, Chinese ... */
function isForeign(path) {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name.endsWith('.dict')) return true;
  return /^[a-z]{2,3}(_\w+)?\.res$/.test(name) && !/^en(_US|_US_POSIX|_001)?\.res$/.test(name);
}

/**
 * ICU's common data (icu4c, common/ucmndata.h and unicode/udata.h): a header of `headerSize` bytes (u16) with the magic
 * bytes da 27 and, at 12, the format "CmnD"; then a table of contents: a count, then for each item the offsets of its
 * name and its data from the table's start (u32).
 */
function readIcuItems(image) {
  const start = findHeader(image);
  const table = start + image.readUInt16LE(start);
  const count = image.readUInt32LE(table);
  const names = Array.from({ length: count }, (_, index) => table + image.readUInt32LE(table + 4 + 8 * index));
  const starts = names.map((_, index) => table + image.readUInt32LE(table + 8 + 8 * index));
  // The items lie in the table's order. The last one ends where nothing tells: it stays as it is.
  return names.map((name, index) => ({
    name: image.toString('latin1', name, image.indexOf(0, name)),
    start: starts[index],
    end: starts[index + 1] ?? starts[index],
  }));
}

function findHeader(image) {
  const found = [];
  for (let at = image.indexOf('CmnD'); at !== -1; at = image.indexOf('CmnD', at + 1)) {
    if (at >= 12 && image[at - 10] === 0xda && image[at - 9] === 0x27) found.push(at - 12);
  }
  if (found.length !== 1) throw new Error(`the node binary has ${found.length} sets of ICU data instead of one`);
  return found[0];
}
