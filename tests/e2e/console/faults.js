// What a page must have, asked of the browser itself: names for controls, captions for tables, one heading, room.
() => {
  const faults = [];
  const named = (el) => (el.getAttribute('aria-label') || el.textContent || el.title || '').trim();
  for (const el of document.querySelectorAll('a, button')) if (!named(el)) faults.push('no name: ' + el.outerHTML);
  for (const el of document.querySelectorAll('input:not([type=hidden]), select'))
    if (!el.labels.length && !el.getAttribute('aria-label')) faults.push('no label: ' + el.outerHTML);
  for (const el of document.querySelectorAll('table')) {
    if (!el.caption) faults.push('a table without a caption');
    for (const th of el.querySelectorAll('th')) if (!th.scope) faults.push('a heading without scope: ' + th.outerHTML);
  }
  for (const el of document.querySelectorAll('main svg'))
    if (!el.getAttribute('aria-label')) faults.push('a plot without words');
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  if (!document.documentElement.lang) faults.push('no language');
  const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
  if (new Set(ids).size !== ids.length) faults.push('an id stands twice');
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) faults.push('wider than the window: ' + width);
  return faults;
}
