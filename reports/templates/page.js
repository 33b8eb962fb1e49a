"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const form = document.getElementById("filters");
  const facts = all("details.fact");
  const search = document.getElementById("filter-text");
  const area = document.getElementById("filter-area");
  const notes = document.getElementById("filter-notes");
  const texts = new Map();

  const holds = (fact, words) => {
    // Read once and only when asked for: a page holds megabytes of evidence.
    if (!texts.has(fact)) texts.set(fact, fact.textContent.toLowerCase());
    return words.every((word) => texts.get(fact).includes(word));
  };

  const filter = () => {
    const verdicts = new Set(all("input[name=verdict]:checked").map((box) => box.value));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const fact of facts) {
      const { verdict, area: own, accuracy } = fact.dataset;
      const show =
        verdicts.has(verdict) &&
        (!area.value || area.value === own) &&
        (!notes.checked || accuracy !== "true") &&
        holds(fact, words);
      fact.hidden = !show;
      shown += show ? 1 : 0;
    }
    for (const section of all("section.area")) section.hidden = !section.querySelector("details.fact:not([hidden])");
    document.getElementById("nothing").hidden = shown > 0;
    document.getElementById("filter-count").value = `${shown} of ${facts.length} shown`;
  };

  const reset = () => {
    form.reset();
    filter();
  };

  // A link to a fact opens it, even where a filter hides it just now.
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) reset();
    const folded = target.closest("details");
    if (folded) folded.open = true;
    target.scrollIntoView();
  };

  const setOpen = (open) => facts.filter((fact) => !fact.hidden).forEach((fact) => { fact.open = open; });

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("open-all").addEventListener("click", () => setOpen(true));
  document.getElementById("close-all").addEventListener("click", () => setOpen(false));
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    // A second click on the same link changes no hash, and should still lead there.
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) follow();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });

  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = all("details:not([open])").filter((one) => !one.closest("details.fact.not_exercised, details.state"));
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
