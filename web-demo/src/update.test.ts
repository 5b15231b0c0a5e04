// Each step is something that happens to the page; a reload may only follow a person's word, and loses nothing.
import { expect, test } from 'vitest';
import { Update } from './update.js';

function pageWithUpdate() {
  const seen = { offers: 0, reloads: 0, takeOvers: 0 };
  const page = {
    saving: false,
    offer: () => void seen.offers++,
    isSaving: () => page.saving,
    reload: () => void seen.reloads++,
  };
  return { update: new Update(page), page, seen, takeOver: () => void seen.takeOvers++ };
}

test('a new version that waits is offered, and taken when a person says so', () => {
  const { update, seen, takeOver } = pageWithUpdate();
  update.waits(takeOver);
  update.saved();
  expect(seen).toEqual({ offers: 1, reloads: 0, takeOvers: 0 });
  update.accept();
  expect(seen).toEqual({ offers: 1, reloads: 0, takeOvers: 1 });
  update.tookOver();
  expect(seen.reloads).toBe(1);
});

test('what another tab accepted is offered here, and no more', () => {
  const { update, seen, takeOver } = pageWithUpdate();
  update.waits(takeOver);
  update.tookOver();
  update.saved();
  expect(seen.reloads).toBe(0);
  update.accept();
  expect(seen).toMatchObject({ reloads: 1, takeOvers: 0 });
});

test('a reload waits for what is being saved', () => {
  const { update, page, seen, takeOver } = pageWithUpdate();
  update.waits(takeOver);
  page.saving = true;
  update.accept();
  update.tookOver();
  update.saved();
  expect(seen.reloads).toBe(0);
  page.saving = false;
  update.saved();
  update.saved();
  expect(seen.reloads).toBe(1);
});

test('what is saved between a word and its effect does not bring the old version again', () => {
  const { update, seen, takeOver } = pageWithUpdate();
  update.waits(takeOver);
  update.accept();
  update.saved();
  expect(seen.reloads).toBe(0);
});

test('who stayed when asked is not reloaded later', () => {
  const { update, seen, takeOver } = pageWithUpdate();
  update.waits(takeOver);
  update.accept();
  update.tookOver();
  update.saved();
  update.tookOver();
  expect(seen.reloads).toBe(1);
});
