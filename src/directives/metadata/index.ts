/**
 * `metadata [ZONES...]`: lets directives tell each other of a query, and `log` show what they tell.
 *
 * Is not:  the labels (query/metadata.ts), which each directive sets for itself.
 */
import { zonesFromArguments } from '../../corefile/keys.ts';
import { noBlock, readUse } from '../../corefile/options.ts';
import { isInZones } from '../../dns/in-zone.ts';
import { Metadata } from '../../query/metadata.ts';
import type { Query } from '../../query/query.ts';
import { PASS } from '../../query/verdict.ts';
import type { Directive, Handler } from '../directive.ts';

export interface MetadataConfig {
  /** Normalized. */
  readonly zones: readonly string[];
}

export const metadata: Directive<MetadataConfig> = {
  name: 'metadata',
  repeat: 'refuse',
  parse: (use, context) =>
    readUse(use, () => {
      noBlock(use);
      return { zones: zonesFromArguments(use.args, context.zones) };
    }),
  build: ([config], context) => new MetadataHandler(config!, context.zones),
};

class MetadataHandler implements Handler {
  readonly name = 'metadata';
  /** A handler that reads metadata of hits must see hits itself, and so brings them here. */
  readonly seesHits = false;
  readonly #zones: readonly string[];
  readonly #coversBlock: boolean;

  constructor({ zones }: MetadataConfig, blockZones: readonly string[]) {
    this.#zones = zones;
    this.#coversBlock = blockZones.every((zone) => isInZones(zone, zones));
  }

  onQuery(query: Query): typeof PASS {
    if (this.#coversBlock || isInZones(query.name, this.#zones)) query.metadata = new Metadata();
    return PASS;
  }
}
