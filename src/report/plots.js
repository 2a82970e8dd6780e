// The block "variance": bars and their sum, and the table that they are drawn from.

function varianceBlock(block) {
  const width = 960, height = 320, left = 44, right = 12, top = 24, bottom = 34;
  const inner = {width: width - left - right, height: height - top - bottom};
  const count = block.rows.length;
  const x = (i) => left + inner.width * (i + 0.5) / count;
  const y = (share) => top + inner.height * (1 - share);
  const plot = drawn('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img'});
  const reached = block.marks.map((mark) => [mark, block.rows.findIndex((row) => row[2] >= mark)]);
  plot.setAttribute('aria-label', 'Share of the variance of each of ' + count +
    ' components and its sum. ' + reached.map(([mark, i]) => i < 0
      ? `${writers.share(mark)} is not reached.`
      : `${writers.share(mark)} is reached by component ${i + 1}.`).join(' '));

  for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    plot.append(drawn('line', {class: 'axis', x1: left, x2: width - right, y1: y(share), y2: y(share)}),
                drawn('text', {x: left - 8, y: y(share) + 4, 'text-anchor': 'end'},
                      Math.round(100 * share) + ' %'));
  }
  const bar = Math.max(1, inner.width / count * 0.72);
  block.rows.forEach(([component, share], i) => {
    plot.append(drawn('rect', {class: 'bars-of', x: x(i) - bar / 2, y: y(share), width: bar,
                               height: inner.height * share}));
    const every = count > 25 ? 5 : 1;
    if (i === 0 || (i + 1) % every === 0) {
      plot.append(drawn('text', {x: x(i), y: height - bottom + 18, 'text-anchor': 'middle'},
                        String(component)));
    }
  });
  plot.append(drawn('polyline', {class: 'sum',
    points: block.rows.map((row, i) => `${x(i)},${y(row[2])}`).join(' ')}));
  reached.forEach(([mark, i]) => {
    if (i < 0) return;
    const atEnd = i > count * 0.7;
    plot.append(
      drawn('line', {class: 'mark', x1: x(i), x2: x(i), y1: y(block.rows[i][2]), y2: y(0)}),
      drawn('circle', {class: 'dot', cx: x(i), cy: y(block.rows[i][2]), r: 4}),
      // Where the line is not, which rises: below it on the right, or above it on the left.
      drawn('text', {x: x(i) + (atEnd ? -8 : 8), y: y(block.rows[i][2]) + (atEnd ? -8 : 18),
                     'text-anchor': atEnd ? 'end' : 'start'},
            `${Math.round(100 * mark)} % with ${i + 1}`));
  });
  return element('div', {}, plot, element('details', {},
    element('summary', {}, 'The numbers'), ...tableOf(block, '', plainCells(block))));
}
