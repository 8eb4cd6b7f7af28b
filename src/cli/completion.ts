/**
 * Scripts that complete `nodelocald` in a shell.
 *
 * Owns:    one script for each shell, with all words written into it: pressing the key starts no process.
 */
import { FLAGS, FlagError } from './flags.ts';

export const SHELLS: readonly string[] = ['bash', 'zsh', 'fish'];

/** What the scripts know of each command. */
interface Completed {
  readonly summary: string;
  readonly switches: Readonly<Record<string, string>>;
}

type Commands = Readonly<Record<string, Completed>>;

/** The words that a flag takes, by its name, where they are few. */
const WORDS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(FLAGS).flatMap(([name, { words }]) =>
    words === undefined ? [] : [[name, words]],
  ),
);

/** The script for that shell. Throws FlagError if it is none of SHELLS. */
export function completionScript(shell: string, commands: Commands): string {
  switch (shell) {
    case 'bash':
      return bash(commands);
    case 'zsh':
      return zsh(commands);
    case 'fish':
      return fish(commands);
    default:
      throw new FlagError(`${JSON.stringify(shell)} is none of ${SHELLS.join(', ')}`);
  }
}

const FLAG_WORDS: readonly string[] = Object.keys(FLAGS).map((name) => `-${name}`);

/** What may follow a command, besides names of files. */
function wordsAfter(name: string, commands: Commands): string[] {
  if (name === 'completion') return [...SHELLS];
  if (name === 'help') return Object.keys(commands);
  return [...Object.keys(commands[name]!.switches).map((key) => `-${key}`), ...FLAG_WORDS];
}

function bash(commands: Commands): string {
  const flagCases = Object.entries(WORDS).map(
    ([name, words]) => `    -${name} | --${name}) words='${words.join(' ')}' ;;`,
  );
  const commandCases = Object.keys(commands).map(
    (name) => `        ${name}) words='${wordsAfter(name, commands).join(' ')}' ;;`,
  );
  return `# bash completion of nodelocald: source <(nodelocald completion bash)
_nodelocald() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  case \${COMP_WORDS[COMP_CWORD - 1]} in
${flagCases.join('\n')}
    *)
      case \${COMP_WORDS[1]} in
${commandCases.join('\n')}
        *) words='${FLAG_WORDS.join(' ')}' ;;
      esac
      if ((COMP_CWORD == 1)); then words='${[...Object.keys(commands), ...FLAG_WORDS].join(' ')}'; fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _nodelocald nodelocald
`;
}

function zsh(commands: Commands): string {
  const described = Object.entries(commands).map(
    ([name, { summary }]) => `    ${quoted(`${name}:${summary}`)}`,
  );
  const flags = Object.entries(FLAGS).map(([name, { kind, help }]) => {
    const words = WORDS[name] === undefined ? '_files' : `(${WORDS[name].join(' ')})`;
    const text = help.replaceAll(/[[\]:]/g, '\\$&');
    return `    ${quoted(`-${name}[${text}]${kind === 'text' ? `:value:${words}` : ''}`)}`;
  });
  const cases = Object.keys(commands).map((name) => {
    const words = wordsAfter(name, commands).join(' ');
    return `    ${name}) compadd -- ${words}; _files ;;`;
  });
  return `#compdef nodelocald
# zsh completion of nodelocald: source <(nodelocald completion zsh), after compinit
_nodelocald() {
  local -a commands=(
${described.join('\n')}
  )
  local -a flags=(
${flags.join('\n')}
  )
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  case $words[2] in
${cases.join('\n')}
    *) _arguments $flags ;;
  esac
}
compdef _nodelocald nodelocald
`;
}

function fish(commands: Commands): string {
  const lines = Object.entries(commands).flatMap(([name, { summary, switches }]) => [
    `complete -c nodelocald -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    ...Object.entries(switches).map(
      ([key, help]) =>
        `complete -c nodelocald -n '__fish_seen_subcommand_from ${name}' -o ${key} -d ${quoted(help)}`,
    ),
  ]);
  const flags = Object.entries(FLAGS).map(([name, { kind, help }]) => {
    const words = WORDS[name] === undefined ? '' : ` -x -a ${quoted(WORDS[name].join(' '))}`;
    const value = kind === 'text' && words === '' ? ' -r' : words;
    return `complete -c nodelocald -o ${name}${value} -d ${quoted(help)}`;
  });
  const shells = `complete -c nodelocald -n '__fish_seen_subcommand_from completion' -x -a '${SHELLS.join(' ')}'`;
  const names = `complete -c nodelocald -n '__fish_seen_subcommand_from help' -x -a '${Object.keys(commands).join(' ')}'`;
  return `# fish completion of nodelocald: nodelocald completion fish | source
${[...lines, shells, names, ...flags].join('\n')}
`;
}

/** In single quotes, as all three shells take them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
