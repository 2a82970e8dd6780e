// Blocks that are tables or lists: facts, table, bars, note.

function factsBlock(block) {
  const list = element('dl', {class: 'facts'});
  for (const fact of block.facts) {
    list.append(element('div', {}, element('dt', {}, fact.name),
                        element('dd', {}, written(fact.value, fact.kind))));
  }
  return list;
}

// A table of the block's columns in a place of its own that scrolls.
function tableOf(block, className, cells) {
  const head = element('tr');
  for (const column of block.columns) {
    head.append(element('th', {scope: 'col', class: isNumber(column.kind) ? 'number' : ''},
                        column.name));
  }
  if (className === 'bars') head.append(element('td'));
  const body = element('tbody');
  for (const row of block.rows) body.append(element('tr', {}, ...cells(row)));
  const table = element('table', {class: className}, element('thead', {}, head), body);
  table.setAttribute('aria-label', block.title);
  const place = element('div', {class: 'scroll', tabindex: '0', role: 'region'}, table);
  place.setAttribute('aria-label', block.title);
  const parts = [place];
  if (block.more) parts.push(element('p', {class: 'more'}, block.more));
  return parts;
}

function plainCells(block) {
  const named = block.columns.findIndex((column) => column.name === 'path');
  return (row) => row.map((value, i) => {
    const {kind, name} = block.columns[i];
    const text = named >= 0 ? `${name} of ${row[named]}` : name;
    return element('td', {class: isNumber(kind) ? 'number' : kind === 'text' ? 'long' : ''},
                   written(value, kind, text));
  });
}

function tableBlock(block) {
  return element('div', {}, element('h3', {}, block.title), ...tableOf(block, '', plainCells(block)));
}

function barsBlock(block) {
  const most = Math.max(...block.rows.map((row) => row[1]), 0);
  const cells = ([name, value]) => {
    const bar = element('div', {class: 'bar'});
    bar.style.width = most > 0 ? 100 * value / most + '%' : '0';
    return [element('th', {scope: 'row'}, written(name, block.columns[0].kind)),
            element('td', {class: 'number'}, written(value, block.columns[1].kind)),
            element('td', {}, bar)];
  };
  return element('div', {}, element('h3', {}, block.title), ...tableOf(block, 'bars', cells));
}

function noteBlock(block) {
  return element('p', {class: 'note'}, block.text);
}
