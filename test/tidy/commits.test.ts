/**
 * Subjects and bodies of commits, from FIRST on: the commits before it are history, and stay.
 *
 * In a checkout without history (`git archive`, a shallow clone without FIRST) there is nothing to
 * look at; the gate runs where the history is.
 */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** The commit after which the rules hold. */
const FIRST = 'c09cfe722348142a789d075609d8796036fe29fa';
const SUBJECT_MAX = 72;
/** Lines added and removed; a smaller change may explain itself. */
const CHANGED_LINES_MAX = 20;

interface Commit {
  readonly hash: string;
  readonly subject: string;
  readonly body: string;
  readonly changedLines: number;
}

const COMMITS = commits();

test(`a commit's subject has at most ${SUBJECT_MAX} characters`, () => {
  const faults = COMMITS.filter(({ subject }) => subject.length > SUBJECT_MAX);
  const cure = 'name the folder and what changes, and say the rest in the body (git rebase -i)';
  expect(faults.map((commit) => `${placeOf(commit)}: its subject is too long: ${cure}`)).toEqual(
    [],
  );
});

test(`a commit that changes more than ${CHANGED_LINES_MAX} lines has a body`, () => {
  const faults = COMMITS.filter(
    ({ body, changedLines }) => changedLines > CHANGED_LINES_MAX && body === '',
  );
  const cure = 'say why, what was measured, and what pins it (git rebase -i)';
  expect(faults.map((commit) => `${placeOf(commit)}: it has no body: ${cure}`)).toEqual([]);
});

function placeOf({ hash, subject }: Commit): string {
  return `commit ${hash.slice(0, 7)} "${subject}"`;
}

/** The commits after FIRST, without merges and commits that will be squashed into another. */
function commits(): Commit[] {
  // Fields end with NUL, and so does each message: --numstat follows it.
  const range = [`${FIRST}..HEAD`, '--no-merges'];
  const log = git('log', '--format=%x01%H%x00%s%x00%b%x00', '--numstat', ...range);
  return log
    .split('\u0001')
    .slice(1)
    .map((record) => {
      const [hash, subject, body, numstat] = record.split('\0');
      const numbers = numstat!.match(/^\d+\t\d+(?=\t)/gm) ?? [];
      const changedLines = numbers
        .flatMap((pair) => pair.split('\t'))
        .reduce((sum, count) => sum + Number(count), 0);
      return { hash: hash!, subject: subject!, body: body!.trim(), changedLines };
    })
    .filter(({ subject }) => !/^(?:fixup|squash|amend)! /.test(subject));
}

/** The output of git, or '' where there is no git, no history, or no FIRST in it. */
function git(...args: readonly string[]): string {
  const cwd = import.meta.dirname;
  const { status, stdout } = spawnSync('git', ['-c', 'safe.directory=*', ...args], {
    cwd,
    encoding: 'utf8',
  });
  return status === 0 ? stdout : '';
}
