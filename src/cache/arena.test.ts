import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena, type Slot } from './arena.ts';

test('slots in use never overlap, in whatever order slots are allocated and released', () => {
  const step = fc.record({ octets: fc.integer({ min: 1, max: 5000 }), release: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const arena = new Arena();
      const used: { slot: Slot; mark: number }[] = [];
      steps.forEach(({ octets, release }, i) => {
        if (release % 3 === 0 && used.length > 0) {
          const [gone] = used.splice(release % used.length, 1);
          arena.release(gone!.slot.octets, gone!.slot.slab);
        }
        const slot = arena.allocate(octets);
        expect(slot.octets).toHaveLength(octets);
        slot.octets.fill(i % 251);
        used.push({ slot, mark: i % 251 });
      });
      for (const { slot, mark } of used) {
        expect(slot.octets.every((octet) => octet === mark)).toBe(true);
      }
    }),
  );
});

test('memory that was released is used again', () => {
  const arena = new Arena();
  const slots = Array.from({ length: 10_000 }, () => arena.allocate(100));
  const before = new Set(slots.map(({ slab }) => slab));
  const kept = slots.filter((_, i) => i % 10 === 0);
  for (const slot of slots) if (!kept.includes(slot)) arena.release(slot.octets, slot.slab);
  for (let i = 0; i < 9000; i++) expect(before.has(arena.allocate(100).slab)).toBe(true);
});

test('octets that no slot is large enough for have memory of their own', () => {
  const { octets, slab } = new Arena().allocate(65_535);
  expect(octets).toHaveLength(65_535);
  expect(slab).toBeUndefined();
});
