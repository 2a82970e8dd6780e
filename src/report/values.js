// How values are written.

const whole = new Intl.NumberFormat('en-US', {maximumFractionDigits: 0});

function writtenSeconds(seconds) {
  if (seconds === 0) return '0 s';
  if (seconds < 0.001) return (seconds * 1e6).toPrecision(3) + ' µs';
  if (seconds < 1) return (seconds * 1000).toPrecision(3) + ' ms';
  return seconds < 100 ? seconds.toPrecision(3) + ' s' : whole.format(seconds) + ' s';
}

function writtenBytes(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; ++unit) bytes /= 1024;
  return (unit === 0 ? whole.format(bytes) : bytes.toPrecision(3)) + ' ' + units[unit];
}

const writers = {
  text: (value) => String(value),
  count: (value) => whole.format(value),
  share: (value) => (100 * value).toFixed(value < 0.0995 ? 2 : 1) + ' %',
  seconds: writtenSeconds,
  bytes: writtenBytes,
};

// A text or a picture; what is not known is a dash.
function written(value, kind, name = '') {
  if (kind === 'picture') {
    return value === null ? element('span', {class: 'empty'}, 'none') : picture(value, name);
  }
  if (value === null || value === undefined || value === '') {
    return element('span', {class: 'empty'}, '–');
  }
  return typeof value === 'string' ? value : (writers[kind] || writers.text)(value);
}

const isNumber = (kind) => kind !== 'text' && kind !== 'picture';
