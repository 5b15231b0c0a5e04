import { expect, test } from 'vitest';
import { called, cleanName, hueOf, NAME_CHARS_MAX, parsePerson, whoEdits } from './person.js';

test('whatever somebody says of themselves is a person', () => {
  expect(parsePerson({ name: ' Ada \n L. ', editing: 'item/1', admin: true })).toEqual({
    name: 'Ada L.',
    editing: 'item/1',
  });
  for (const value of [undefined, null, 1, 'Ada', [], {}, { name: 1, editing: 2 }, new Map([['name', 'Ada']])]) {
    expect(parsePerson(value)).toEqual({ name: '' });
  }
  expect(parsePerson({ name: 'x'.repeat(9_999) }).name).toHaveLength(NAME_CHARS_MAX);
  expect(cleanName(' \t')).toBe('');
});

test('people are named, or not', () => {
  const [ada, ben, nobody] = [{ name: 'Ada' }, { name: 'Ben' }, { name: '' }];
  expect([ada, nobody].map(called)).toEqual(['Ada', 'Somebody']);
  expect(whoEdits([ada])).toBe('Ada is editing');
  expect(whoEdits([ada, nobody, ben])).toBe('Ada, Somebody and Ben are editing');
});

test('a tab has a hue', () => {
  expect(hueOf('00000000000000ff')).toBe(255);
  expect(hueOf('000000000000ffff')).toBeLessThan(360);
});
