// What is typed and not added yet survives a reload of its tab, whoever asked for it.

/** @param of whose text it is: another list in the same tab has another, also one of the same name */
export function keepDraft(of: string, input: HTMLInputElement): void {
  const name = `gossipstore-demo draft ${of}`;
  let storage: Storage;
  try {
    storage = sessionStorage;
  } catch {
    // A browser that keeps nothing for this page refuses even to be asked.
    return;
  }
  // Unless something was typed already.
  if (input.value === '') input.value = storage.getItem(name) ?? '';
  window.addEventListener('pagehide', () => {
    if (input.value === '') storage.removeItem(name);
    else storage.setItem(name, input.value);
  });
}
