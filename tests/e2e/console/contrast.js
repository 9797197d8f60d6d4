// The lowest contrast of any text to what is painted behind it, by the relative luminance of WCAG 2.
() => {
  const parts = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (el) => {
    for (; el; el = el.parentElement) {
      const colour = getComputedStyle(el).backgroundColor;
      const p = parts(colour);
      if (p.length === 3 || p[3] === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  let lowest = [99, ''];
  for (const el of document.querySelectorAll('body *')) {
    const hasText = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!hasText || el.closest('svg') || el.tagName === 'OPTION' || !el.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(el).color), light(behind(el))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, el.outerHTML.slice(0, 160)];
  }
  return lowest;
}
