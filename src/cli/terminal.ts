/** Where commands read and write, and what their exit codes mean. */
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { type Source, machineSource } from '../corefile/source.ts';

/** Where a command reads and writes. */
export interface Terminal {
  readonly source: Source;
  /** Standard input, to its end. */
  readStandardInput(): string;
  /** Replaces the file. Throws if it cannot be written. */
  writeFile(path: string, text: string): void;
  out(text: string): void;
  err(text: string): void;
  /** Whether errors are shown with their line of the file, for a person. */
  readonly isPerson: boolean;
}

export const EXIT_FINE = 0;
export const EXIT_FAULTS = 1;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** The machine's files, and this process's own streams. */
export const processTerminal: Terminal = {
  source: machineSource,
  readStandardInput: () => readFileSync(STDIN, 'utf8'),
  writeFile: (path, text) => writeFileSync(path, text),
  // Whole before the process ends, also into a pipe.
  out: (text) => writeWhole(STDOUT, text),
  err: (text) => writeWhole(STDERR, text),
  isPerson: process.stderr.isTTY,
};

function writeWhole(fd: number, text: string): void {
  const octets = Buffer.from(text);
  let at = 0;
  while (at < octets.length) {
    try {
      at += writeSync(fd, octets, at);
    } catch (error) {
      // A pipe that is full for the moment; one whose reader has gone wants no more.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return;
    }
  }
}
