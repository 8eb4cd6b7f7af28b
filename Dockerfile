# The image of nodelocald: the pod's args are the daemon's flags, as in k8s-dns-node-cache.
#
#   docker build -t nodelocald .
#
# Both base images can be replaced (BUILD_IMAGE: Debian with node and npm; RUNTIME_IMAGE: Debian with
# node), and an npm cache can be given, to build without a registry:
#
#   docker build --build-context npm-cache=DIR --build-arg NPM_FLAGS=--offline ...
ARG BUILD_IMAGE=node:26-bookworm-slim
ARG RUNTIME_IMAGE=node:26-bookworm-slim

# Empty unless --build-context names another.
FROM scratch AS npm-cache

FROM ${BUILD_IMAGE} AS build
ARG NPM_FLAGS=
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script: koffi's native part comes ready-made.
RUN --mount=type=bind,from=npm-cache,target=/npm-cache,rw \
    npm ci --ignore-scripts --no-audit --no-fund --cache /npm-cache ${NPM_FLAGS}
COPY tsconfig.json ./
COPY src src
COPY deploy/pack-pages.sh deploy/
# The pages that errors name: docs/directives/NAME.md.
RUN sh deploy/pack-pages.sh docs/directives
RUN npm run build && npm prune --omit=dev --ignore-scripts --offline

FROM ${RUNTIME_IMAGE} AS root
RUN if ! { command -v ip && command -v nft && command -v iptables; } >/dev/null; then \
      apt-get update && apt-get install -y --no-install-recommends iproute2 nftables iptables; \
    fi
# The back end of `iptables`; both are in the image. legacy needs NET_RAW: deploy/components/legacy-iptables.
ARG IPTABLES=nft
RUN for family in iptables ip6tables; do \
      update-alternatives --set $family /usr/sbin/$family-${IPTABLES}; \
    done
COPY deploy/image/assemble-root.sh /tmp/
RUN sh /tmp/assemble-root.sh /rootfs

FROM scratch
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="nodelocald" \
      org.opencontainers.image.description="Node-local caching DNS forwarder: a drop-in for Kubernetes NodeLocal DNSCache" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=root /rootfs/ /
COPY LICENSE package.json /app/
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
COPY --from=build /app/docs /app/docs
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_ENV=production
# Kubernetes gives added capabilities to root only, so the interface and the rules need root, as with
# node-cache. Without them (-setupinterface=false -setupiptables=false) 65532 is enough.
ARG RUN_AS=0:0
USER ${RUN_AS}
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=1", "--heap-growing-percent=60", "/app/dist/main.js"]
