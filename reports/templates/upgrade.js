"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const form = document.getElementById("filters");
  const rows = all("tr.fact-row");
  const search = document.getElementById("filter-text");
  const area = document.getElementById("filter-area");

  const filter = () => {
    const kinds = new Set(all("input[name=kind]:checked").map((box) => box.value));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    // A fact that was looked at on the way back alone is counted under no kind, and goes with the unchanged ones.
    const known = new Set(all("input[name=kind]").map((box) => box.value));
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const show =
        (kinds.has(row.dataset.kind) || !known.has(row.dataset.kind)) &&
        (!area.value || area.value === row.parentElement.dataset.area) &&
        words.every((word) => text.includes(word));
      row.hidden = !show;
      shown += show ? 1 : 0;
    }
    for (const body of all("table.all tbody")) body.hidden = !body.querySelector("tr.fact-row:not([hidden])");
    document.getElementById("nothing").hidden = shown > 0;
    document.getElementById("filter-count").value = `${shown} of ${rows.length} shown`;
  };

  // A link to a fact shows it, even where a filter hides it just now.
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) {
      form.reset();
      filter();
    }
    target.scrollIntoView();
  };

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });

  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = all("details:not([open])");
    unfolded.forEach((one) => { one.open = true; });
  });
  window.addEventListener("afterprint", () => {
    unfolded.forEach((one) => { one.open = false; });
    unfolded = [];
  });

  form.hidden = false;
  filter();
  if (location.hash) follow();
})();
