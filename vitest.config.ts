import { defineConfig, type ViteUserConfig } from 'vitest/config';

/**
 * Two suites. `unit` needs Node and npm only. `system` needs root and Debian's servers; its global
 * set-up names what is missing and fails, so nothing is skipped in silence.
 */
const config: ViteUserConfig = defineConfig({
  test: {
    // `.ci/run` counts from the JSON report of the very command that README gives.
    reporters:
      process.env['VITEST_REPORT'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: process.env['VITEST_REPORT'] }]],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'test/scenarios/**/*.test.ts',
            'test/corefiles/**/*.test.ts',
            'test/tidy/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/{protocol,netns,faults,parity,image,deploy}/**/*.test.ts'],
          globalSetup: ['test/system-requirements.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});

export default config;
