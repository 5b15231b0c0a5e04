// Short messages at the foot of the page. What went wrong is said here, where the person looks, and not in the console only.
import { byId, element } from './dom.js';

/** Long enough to read a sentence and to reach the button. */
const INFO_MS = 6_000;
/** An error is read twice. */
const ERROR_MS = 15_000;
/** More than these hide the list; the oldest goes. */
const TOASTS_MAX = 3;

interface Action {
  label: string;
  run(): void;
}

export function showInfo(message: string, action?: Action): void {
  show(message, 'status', INFO_MS, action);
}

/** Shows what failed and why, in the error's own words: they name the remedy. */
export function showError(what: string, error: unknown): void {
  const why = error instanceof Error ? error.message : String(error);
  show(`${what}: ${why}`, 'alert', ERROR_MS);
}

function show(message: string, role: 'status' | 'alert', ms: number, action?: Action): void {
  const container = byId('toasts', HTMLElement);
  const close = element('button', { type: 'button', class: 'toast-close', 'aria-label': 'Dismiss' }, '×');
  const toast = element('div', { class: `toast toast-${role}`, role }, element('span', {}, message));
  if (action !== undefined) {
    const button = element('button', { type: 'button', class: 'toast-action' }, action.label);
    button.addEventListener('click', () => {
      toast.remove();
      action.run();
    });
    toast.append(button);
  }
  toast.append(close);
  close.addEventListener('click', () => toast.remove());
  container.append(toast);
  while (container.childElementCount > TOASTS_MAX) container.firstElementChild?.remove();
  expire(toast, ms);
}

/** Removes a toast after its time, but not under the pointer or the focus of a person. */
function expire(toast: HTMLElement, ms: number): void {
  setTimeout(() => {
    if (toast.matches(':hover, :focus-within')) expire(toast, ms);
    else toast.remove();
  }, ms);
}
