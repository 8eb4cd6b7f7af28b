/** CPU time and memory of a server, all its processes and threads, from /proc (proc(5)). */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

export interface CpuTime {
  readonly userSec: number;
  readonly systemSec: number;
}

/** Memory in MB of 10^6 octets. */
export interface Memory {
  readonly rssMb: number;
  /** Pages shared by several processes count once. */
  readonly pssMb: number;
  readonly anonymousMb: number;
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of all threads, and of children that ended and were waited for. */
  readonly userTicks: number;
  readonly systemTicks: number;
}

const TICKS_PER_SEC = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
/** More processes than any server here has; beyond it the tree is not what we think it is. */
const PROCESSES_MAX = 1000;

/**
 * CPU time used so far by `pid` and all below it. It never falls while each process waits for its
 * children, since what they used passes to the one that waited.
 */
export function cpuTime(pid: number): CpuTime {
  let userTicks = 0;
  let systemTicks = 0;
  for (const stat of processTree(pid)) {
    userTicks += stat.userTicks;
    systemTicks += stat.systemTicks;
  }
  return { userSec: userTicks / TICKS_PER_SEC, systemSec: systemTicks / TICKS_PER_SEC };
}

export function cpuBetween(before: CpuTime, after: CpuTime): CpuTime {
  return {
    userSec: after.userSec - before.userSec,
    systemSec: after.systemSec - before.systemSec,
  };
}

/** Memory of `pid` and all below it, from smaps_rollup. */
export function memory(pid: number): Memory {
  let rss = 0;
  let pss = 0;
  let anonymous = 0;
  for (const { pid: one } of processTree(pid)) {
    const rollup = readOrEmpty(`/proc/${one}/smaps_rollup`);
    const octets = (name: string): number =>
      Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0) * 1024;
    rss += octets('Rss');
    pss += octets('Pss');
    anonymous += octets('Anonymous');
  }
  return { rssMb: rss / 1e6, pssMb: pss / 1e6, anonymousMb: anonymous / 1e6 };
}

/** Process ids directly below `pid`. */
export function childrenOf(pid: number): number[] {
  return processTree(pid)
    .filter((stat) => stat.parent === pid)
    .map((stat) => stat.pid);
}

function processTree(root: number): Stat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== undefined);
  const tree = all.filter((stat) => stat.pid === root);
  for (let i = 0; i < tree.length && tree.length < PROCESSES_MAX; i++) {
    const parent = tree[i]!.pid;
    tree.push(...all.filter((stat) => stat.parent === parent));
  }
  return tree;
}

/** Undefined if the process has ended. */
function readStat(pid: number): Stat | undefined {
  const text = readOrEmpty(`/proc/${pid}/stat`);
  // The name, field 2, stands in parentheses and may hold anything; field 3 follows the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (text === '') return undefined;
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid,
    parent: field(4),
    userTicks: field(14) + field(16),
    systemTicks: field(15) + field(17),
  };
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it ended between readdir and read
  }
}
