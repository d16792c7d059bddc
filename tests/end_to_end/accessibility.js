// What a person who sees little, hears only or has no mouse needs of a page, as functions that list its faults.
// Limits are those of the Web Content Accessibility Guidelines 2.1, level AA.
globalThis.accessibility = (() => {
  const SEEN = { checkOpacity: true, checkVisibilityCSS: true, contentVisibilityAuto: true };
  const MARKS = "svg :is(.line, .dot, .bar, .plus, .minus, .axis, circle, rect), td.weight span";
  const FOCUSABLE = "a[href], button, input, select, textarea, summary, audio[controls], video[controls], [tabindex]";

  const say = (element) => {
    const text = (element.getAttribute("aria-label") || element.textContent || "").trim().slice(0, 40);
    return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") || ""}"> ${text}`;
  };

  const parsed = (text) => {
    if (text === "none" || text === "transparent") return [0, 0, 0, 0];
    const numbers = (text.match(/-?[\d.]+(e-?\d+)?/g) || []).map(Number);
    if (text.startsWith("rgb")) return [...numbers.slice(0, 3).map((n) => n / 255), numbers[3] ?? 1];
    if (text.startsWith("color(srgb")) return [...numbers.slice(0, 3), numbers[3] ?? 1];
    throw new Error(`a colour that this test cannot read: ${text}`);
  };
  const over = (top, below) => [
    ...[0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])),
    1,
  ];
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };

  const faded = (colour, ...shares) => [...colour.slice(0, 3), shares.reduce((a, b) => a * b, colour[3])];
  const opacity = (element) => {
    let share = 1;
    for (let at = element; at; at = at.parentElement) share *= Number(getComputedStyle(at).opacity);
    return share;
  };
  const fill = (style) => faded(parsed(style.fill), Number(style.fillOpacity), Number(style.opacity));
  const stroke = (style) => faded(parsed(style.stroke), Number(style.strokeOpacity), Number(style.opacity));
  const holds = (outer, x, y) => outer.left <= x && x <= outer.right && outer.top <= y && y <= outer.bottom;

  // The colour behind an element: of the elements around it, and of the shapes of a drawing that lie under its middle.
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      if (!(at instanceof SVGElement)) layers.push(faded(parsed(getComputedStyle(at).backgroundColor), opacity(at)));
    }
    let colour = layers.reverse().reduce((below, top) => over(top, below), [1, 1, 1, 1]);
    const drawing = element.closest("svg");
    if (drawing && drawing !== element) {
      const box = element.getBoundingClientRect();
      const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
      for (const shape of drawing.querySelectorAll("rect, circle")) {
        if (shape === element) break;
        const follows = shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING;
        if (follows && holds(shape.getBoundingClientRect(), x, y)) colour = over(fill(getComputedStyle(shape)), colour);
      }
    }
    return colour;
  };

  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    return element.checkVisibility(SEEN) && box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0;
  };

  const texts = () => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (node.textContent.trim() && !element.closest("script, style, svg title") && isSeen(element)) found.push(node);
    }
    return found;
  };

  const textContrast = () => {
    const wrong = [];
    for (const node of texts()) {
      const element = node.parentElement;
      const style = getComputedStyle(element);
      const isDrawn = element instanceof SVGElement;
      const scale = isDrawn ? element.getScreenCTM().a : 1;
      const size = parseFloat(style.fontSize) * scale;
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const below = behind(element);
      const ink = isDrawn ? fill(style) : faded(parsed(style.color), opacity(element));
      const ratio = contrast(over(ink, below), below);
      if (ratio < (isLarge ? 3 : 4.5)) wrong.push(`${ratio.toFixed(2)}: ${say(element)}`);
    }
    return wrong;
  };

  // The darkness of a matrix's cells and of a sequence's bands is the number itself, which stands in a table as well.
  const markContrast = () => {
    const wrong = [];
    for (const mark of document.querySelectorAll(MARKS)) {
      if (!isSeen(mark) && !["line", "polyline", "path"].includes(mark.tagName)) continue;
      if (!mark.checkVisibility(SEEN) || mark.matches(".cell, .band")) continue;
      const style = getComputedStyle(mark);
      const below = behind(mark.parentElement instanceof SVGElement ? mark.closest("svg") : mark.parentElement);
      const colours = mark instanceof SVGElement ? [fill(style), stroke(style)] : [parsed(style.backgroundColor)];
      if (!(mark instanceof SVGElement)) colours.push(parsed(style.outlineColor));
      const ratio = Math.max(...colours.map((colour) => contrast(over(colour, below), below)));
      if (ratio < 3) wrong.push(`${ratio.toFixed(2)}: ${say(mark)}`);
    }
    return [...new Set(wrong)];
  };

  const structure = (language) => {
    const wrong = [];
    const fault = (what, element) => wrong.push(`${what}: ${say(element)}`);
    const named = (element) => {
      const ids = (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
      const said = ids.map((id) => document.getElementById(id)?.textContent || "").join(" ");
      return (element.getAttribute("aria-label") || said || element.getAttribute("alt") || "").trim();
    };
    if (document.documentElement.lang !== language) fault("language", document.documentElement);
    if (!document.title.trim()) fault("no title", document.documentElement);
    if (document.querySelectorAll("main").length !== 1) fault("not one main part", document.body);
    if (document.querySelectorAll("h1").length !== 1) fault("not one first heading", document.body);
    let level = 0;
    for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
      const own = Number(heading.tagName[1]);
      if (own > level + 1) fault(`heading after level ${level}`, heading);
      if (!heading.textContent.trim()) fault("empty heading", heading);
      level = own;
    }
    for (const picture of document.querySelectorAll("img, svg")) {
      if (picture.closest("[aria-hidden=true]")) continue;
      const isDecoration = picture.tagName === "IMG" && picture.getAttribute("alt") === "";
      const isPicture = picture.tagName === "IMG" || picture.getAttribute("role") === "img";
      if (!isDecoration && !(isPicture && named(picture))) fault("no alternative text", picture);
    }
    // A hint shows under a mouse alone: what it says has to stand on the page as well.
    for (const drawing of document.querySelectorAll("svg[role=img]:has(circle > title, rect > title)")) {
      if (!drawing.closest("figure")?.querySelector("table")) fault("values for the mouse alone", drawing);
    }
    for (const hint of document.querySelectorAll("[title]")) {
      const around = hint.closest("article, figure, section")?.textContent || "";
      if (!around.includes(hint.title)) fault("a hint for the mouse alone", hint);
    }
    for (const table of document.querySelectorAll("table")) {
      const heads = [...table.querySelectorAll("th")];
      for (const head of heads) if (!["row", "col"].includes(head.scope)) fault("a head without scope", head);
      const widths = [...table.rows].map((row) => row.querySelectorAll("th, td:not([aria-hidden=true])").length);
      const hasColumns = heads.some((head) => head.scope === "col");
      if (!heads.length || (Math.max(...widths) > 2 && !hasColumns)) fault("no heads of columns", table);
      for (const row of table.rows) if (!row.cells.length) fault("an empty row", table);
    }
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`two of one id: ${id}`);
    for (const element of document.querySelectorAll("[aria-labelledby], section, nav, [role=region], [role=group]")) {
      if (!named(element)) fault("no name", element);
    }
    for (const link of document.querySelectorAll("a[href^='#']")) {
      if (!document.getElementById(link.hash.slice(1))) fault("a link to nowhere", link);
    }
    for (const element of document.querySelectorAll(FOCUSABLE)) {
      const isRead = ["A", "SUMMARY", "BUTTON"].includes(element.tagName) && element.textContent.trim();
      if (!named(element) && !isRead) fault("focus on no name", element);
      if (element.tabIndex > 0) fault("an order of its own", element);
    }
    for (const box of document.querySelectorAll("body *")) {
      const style = getComputedStyle(box);
      const scrolls = /auto|scroll/.test(style.overflowX) && box.scrollWidth > box.clientWidth + 1;
      if (scrolls && box.tabIndex !== 0) fault("scrolls for the mouse alone", box);
    }
    return wrong;
  };

  // Elements that the Tab key has to reach, numbered in the order of the page.
  const stops = () => {
    const found = [...document.querySelectorAll(FOCUSABLE)];
    const kept = found.filter((element) => element.tabIndex === 0 && element.checkVisibility(SEEN));
    kept.forEach((element, index) => (element.dataset.stop = index));
    return kept.map(say);
  };

  // The stop that has the focus, and how far its mark stands out from what is around it; null where the page has none.
  const focused = () => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const style = getComputedStyle(element);
    const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    const below = behind(element.parentElement);
    const ratio = isMarked ? contrast(over(parsed(style.outlineColor), below), below) : 0;
    const box = element.getBoundingClientRect();
    const isInView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return { stop: Number(element.dataset.stop ?? -1), says: say(element), ratio, isInView };
  };

  const overflow = () => document.scrollingElement.scrollWidth - document.documentElement.clientWidth;

  return { textContrast, markContrast, structure, stops, focused, overflow, texts: () => texts().length };
})();
