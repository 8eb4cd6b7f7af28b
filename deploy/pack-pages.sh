#!/bin/sh
# Gathers the manual pages of the directives for a package or an image, as DIR/NAME.md: errors in a
# Corefile name docs/directives/NAME.md. In the tree each page is in the folder of its directive.
#
#   pack-pages.sh DIR
set -eu
mkdir -p "$1"
for page in "$(dirname "$0")"/../src/directives/*/README.md; do
  name=$(basename "$(dirname "$page")")
  sed 's|](\.\./\([a-z0-9_]*\)/README\.md|](\1.md|g' "$page" >"$1/$name.md"
done
