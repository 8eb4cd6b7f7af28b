/** The version, as package.json has it: inlined when dist/ is bundled. */
import manifest from '../../../package.json' with { type: 'json' };

export const VERSION: string = manifest.version;
