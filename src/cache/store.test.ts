import { describe, expect, test } from 'vitest';
import { response } from '../dns/testing.ts';
import { CacheEntry, POSITIVE } from './entry.ts';
import { Store } from './store.ts';

const entry = (): CacheEntry =>
  new CacheEntry(response(), {
    kind: POSITIVE,
    qtype: 1,
    dnssecOk: false,
    checkingDisabled: false,
    storedDs: 0,
    lifetimeSec: 30,
  });

describe('a store', () => {
  test('a store holds as many entries as its capacity, and drops the one not used for longest', () => {
    const store = new Store(3);
    const first = entry();
    store.set(1, first);
    store.set(2, entry());
    store.set(3, entry());
    expect(store.get(1)).toBe(first);
    store.set(4, entry());
    expect([1, 2, 3, 4].map((key) => store.get(key) !== undefined)).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect(store).toMatchObject({ size: 3, evictions: 1 });
  });

  test('a store counts as evicted neither a replaced entry nor a deleted one', () => {
    const store = new Store(1);
    store.set(1, entry());
    store.set(1, entry());
    store.delete(1);
    store.delete(1);
    store.set(2, entry());
    expect(store).toMatchObject({ size: 1, evictions: 0 });
  });

  test.each([0, -1])('a store of capacity %i holds 1024, as in CoreDNS', (capacity) => {
    const store = new Store(capacity);
    for (let key = 0; key < 1100; key++) store.set(key, entry());
    expect(store).toMatchObject({ size: 1024, evictions: 76 });
  });
});
