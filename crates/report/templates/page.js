'use strict';
(() => {
  const by = (id) => document.getElementById(id);
  const inputs = { q: by('q'), verdict: by('verdict'), kernel: by('kernel') };
  const rows = [...document.querySelectorAll('#matrix tbody tr')];
  const filter = () => {
    const words = inputs.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { verdict, kernel } = { verdict: inputs.verdict.value, kernel: inputs.kernel.value };
    for (const column of document.querySelectorAll('#matrix [data-kernel]')) {
      column.hidden = kernel !== '' && column.dataset.kernel !== kernel;
    }
    let shown = 0;
    for (const row of rows) {
      const name = row.dataset.name.toLowerCase();
      const fits = words.every((word) => name.includes(word));
      const links = row.querySelectorAll('td:not([hidden]) a' + (verdict && '.' + verdict));
      row.hidden = !fits || (verdict !== '' && links.length === 0);
      shown += row.hidden ? 0 : 1;
    }
    by('shown').value = shown + ' of ' + rows.length + ' rows';
  };
  const remember = () => {
    const query = new URLSearchParams();
    for (const [name, input] of Object.entries(inputs)) if (input.value) query.set(name, input.value);
    const text = query.toString();
    // A browser may forbid it for files; then the address only lacks the filter.
    try { history.replaceState(null, '', (text ? '?' + text : location.pathname) + location.hash); } catch { }
  };
  const asked = new URLSearchParams(location.search);
  for (const [name, input] of Object.entries(inputs)) {
    input.value = asked.get(name) ?? '';
    if (input.value === '' && input.options) input.selectedIndex = 0;
    input.addEventListener('input', () => { filter(); remember(); });
  }
  by('filter').addEventListener('submit', (event) => event.preventDefault());
  addEventListener('keydown', (event) => { if (event.key === 'Escape') location.hash = ''; });
  by('filter').hidden = false;
  filter();
})();
