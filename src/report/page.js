// Makes the page: each section of the data in its order, by its blocks.

const blocks = {
  facts: factsBlock,
  table: tableBlock,
  bars: barsBlock,
  note: noteBlock,
  variance: varianceBlock,
  scatter: scatterBlock,
};

function makePage() {
  const main = document.getElementById('main');
  for (const script of document.querySelectorAll('script.section')) {
    const data = JSON.parse(script.textContent);
    const heading = element('h2', {id: data.id + '-title'}, data.title);
    const section = element('section', {id: data.id, 'aria-labelledby': heading.id}, heading);
    if (data.intro) section.append(element('p', {class: 'intro'}, data.intro));
    main.append(section);
    for (const block of data.blocks) section.append(blocks[block.block](block));
    for (const line of data.headlines) {
      if (line.value === null) continue;
      document.getElementById('headlines').append(element('li', {},
        element('strong', {}, written(line.value, line.kind)), ' ', element('span', {}, line.name)));
    }
    document.getElementById('contents').append(element('a', {href: '#' + data.id}, data.title));
  }
}

makePage();
