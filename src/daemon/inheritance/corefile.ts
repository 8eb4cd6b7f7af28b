/**
 * The Corefile that served last, with everything that it imports. The next worker inherits it, in case
 * the file has been broken meanwhile.
 *
 * Owns:    that the inherited Corefile means what it meant when it served: files, directories and
 *          environment variables are reported as they were then.
 */
import { type Source, machineSource } from '../../corefile/source.ts';
import type { CorefileInput } from '../serving/generation.ts';

/** The answer of a source to one question; null for nothing. */
type Known = string | readonly string[] | null;

/** A source that records each question and its answer; failures are not recorded. */
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

/** The Corefile as it is now, which can be written down once it is loaded. */
export interface RecordedCorefile extends CorefileInput {
  /** In the form that `recalled` reads. */
  written(): string;
}

export function recorded(text: string, file: string): RecordedCorefile {
  const source = new Recorder();
  return { text, file, source, written: () => JSON.stringify({ text, known: source.known }) };
}

/** The Corefile that was written down; undefined if this is not the output of `written`. */
export function recalled(written: string, file: string): CorefileInput | undefined {
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
