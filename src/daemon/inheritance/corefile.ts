/**
 * The Corefile that served last, with all that it imports, for a worker that comes after a crash and
 * finds the file broken meanwhile.
 *
 * Owns:    that what is loaded then is what served: files, directories and environment variables are
 *          answered as they were.
 */
import { type Source, machineSource } from '../../corefile/source.ts';
import type { CorefileText } from '../serving/generation.ts';

/** What one question to a source gave; null for nothing. */
type Known = string | readonly string[] | null;

/** A source that remembers what it was asked, and what it said; failures are not remembered. */
class Recorder implements Source {
  readonly known: Record<string, Known> = {};

  readFile(path: string): string {
    return this.#note(`file ${path}`, machineSource.readFile(path));
  }

  list(directory: string): readonly string[] {
    return this.#note(`list ${directory}`, machineSource.list(directory));
  }

  kindOf(path: string): 'file' | 'directory' | undefined {
    const kind = machineSource.kindOf(path);
    this.#note(`kind ${path}`, kind ?? null);
    return kind;
  }

  env(name: string): string | undefined {
    const value = machineSource.env(name);
    this.#note(`env ${name}`, value ?? null);
    return value;
  }

  #note<T extends Known>(question: string, answer: T): T {
    this.known[question] = answer;
    return answer;
  }
}

/** A Corefile as it stands, that can be written down once it was loaded. */
export interface RecordedCorefile extends CorefileText {
  /** As `recalled` takes it. */
  written(): string;
}

export function recorded(text: string, file: string): RecordedCorefile {
  const source = new Recorder();
  return { text, file, source, written: () => JSON.stringify({ text, known: source.known }) };
}

/** What was written down; undefined if it is nothing of ours. */
export function recalled(written: string, file: string): CorefileText | undefined {
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('text' in value && 'known' in value)) {
    return undefined;
  }
  const { text, known } = value;
  if (typeof text !== 'string' || typeof known !== 'object' || known === null) return undefined;
  const answers = new Map<string, unknown>(Object.entries(known));
  return { text, file, source: new Recall(answers) };
}

class Recall implements Source {
  readonly #answers: ReadonlyMap<string, unknown>;

  constructor(answers: ReadonlyMap<string, unknown>) {
    this.#answers = answers;
  }

  readFile(path: string): string {
    const text = this.#answers.get(`file ${path}`);
    if (typeof text !== 'string') throw new Error(`${path} was not read when this Corefile served`);
    return text;
  }

  list(directory: string): readonly string[] {
    const names = this.#answers.get(`list ${directory}`);
    if (!Array.isArray(names)) throw new Error(`${directory} was not read when this served`);
    return names.filter((name) => typeof name === 'string');
  }

  kindOf(path: string): 'file' | 'directory' | undefined {
    const kind = this.#answers.get(`kind ${path}`);
    return kind === 'file' || kind === 'directory' ? kind : undefined;
  }

  env(name: string): string | undefined {
    const value = this.#answers.get(`env ${name}`);
    return typeof value === 'string' ? value : undefined;
  }
}
