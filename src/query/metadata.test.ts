import { describe, expect, test } from 'vitest';
import { Metadata, isMetadataLabel } from './metadata.ts';

describe('the metadata of a query', () => {
  test('a label has the value that was set last, and other labels have none', () => {
    const metadata = new Metadata();
    expect(metadata.get('forward/upstream')).toBeUndefined();
    metadata.set('forward/upstream', '192.0.2.1:53');
    metadata.set('forward/upstream', '192.0.2.2:53');
    expect(metadata.get('forward/upstream')).toBe('192.0.2.2:53');
    expect(metadata.get('forward/other')).toBeUndefined();
    expect(metadata.get('constructor')).toBeUndefined();
  });

  test('a value may be made only when it is read', () => {
    const metadata = new Metadata();
    let made = 0;
    metadata.set('trace/traceid', () => `made ${++made}`);
    expect(made).toBe(0);
    expect(metadata.get('trace/traceid')).toBe('made 1');
  });

  test.each([
    { text: 'forward/upstream', is: true },
    { text: 'a/b/c', is: true },
    { text: '/upstream', is: false },
    { text: 'forward/', is: false },
    { text: 'forward', is: false },
    { text: '', is: false },
  ])('"$text" has the form of a label: $is', ({ text, is }) => {
    expect(isMetadataLabel(text)).toBe(is);
  });
});
