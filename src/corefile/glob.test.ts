import { describe, expect, test } from 'vitest';
import { glob } from './glob.ts';
import type { Source } from './source.ts';

const FILES = [
  '/c/a.server',
  '/c/b.server',
  '/c/..data',
  '/c/x*y',
  '/c/(1).conf',
  '/d/b.server',
  '/d/é.server',
];

const source: Source = {
  readFile: () => '',
  list(directory) {
    if (directory === '/') return ['d', 'c'];
    if (directory !== '/c' && directory !== '/d') throw new Error('ENOTDIR');
    return FILES.filter((path) => path.startsWith(`${directory}/`))
      .map((path) => path.slice(3))
      .toReversed();
  },
  kindOf(path) {
    if (path === '/secret') throw new Error('EACCES');
    if (path === '/' || path === '/c' || path === '/d') return 'directory';
    return FILES.includes(path) ? 'file' : undefined;
  },
  env: () => undefined,
};

describe('a pattern names files as Go filepath.Glob does', () => {
  test.each([
    { pattern: '/c/a.server', paths: ['/c/a.server'], because: 'it is a plain name' },
    { pattern: '/c/none', paths: [], because: 'no file has the name' },
    { pattern: '/secret', paths: ['/secret'], because: 'reading it will give the reason' },
    { pattern: '/c/*.server', paths: ['/c/a.server', '/c/b.server'], because: 'names are sorted' },
    {
      pattern: '/c/?.server',
      paths: ['/c/a.server', '/c/b.server'],
      because: 'it is one character',
    },
    {
      pattern: '/d/?.server',
      paths: ['/d/b.server', '/d/é.server'],
      because: 'a character is not an octet',
    },
    {
      pattern: '/*/b.server',
      paths: ['/c/b.server', '/d/b.server'],
      because: 'directories match too',
    },
    { pattern: '/c/*data', paths: ['/c/..data'], because: 'a leading dot is not special' },
    { pattern: '/c/x\\*y', paths: ['/c/x*y'], because: 'the star is escaped' },
    { pattern: '/c/(?).conf', paths: ['/c/(1).conf'], because: 'parentheses are literal' },
    {
      pattern: '/c/*',
      paths: ['/c/(1).conf', '/c/..data', '/c/a.server', '/c/b.server', '/c/x*y'],
      because: 'names are sorted by octets',
    },
    { pattern: '/nowhere/*', paths: [], because: 'a directory that cannot be read is empty' },
  ])('the pattern $pattern finds $paths, since $because', ({ pattern, paths }) => {
    expect(glob(pattern, source)).toEqual(paths);
  });

  test.each(['/c/[a', '/c/a\\', '/[/x'])('the pattern %s is refused as malformed', (pattern) => {
    expect(glob(pattern, source)).toBeUndefined();
  });
});
