# Lattice for production: Node and the source, no build step, no embedded Postgres. It needs DATABASE_URL (docs/configuration.md).

FROM node:24-bookworm-slim AS dependencies
WORKDIR /lattice
COPY package.json package-lock.json ./
# Without optional dependencies there is no embedded Postgres; without install scripts nothing runs that is not ours.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8420
WORKDIR /lattice
COPY --from=dependencies /lattice/node_modules ./node_modules
COPY package.json LICENSE ./
COPY openapi ./openapi
COPY sql ./sql
COPY src ./src
USER node
EXPOSE 8420
# Ready, not merely alive: the database answers and the schema is current.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1 and handles SIGTERM: no shell and no npm in between.
ENTRYPOINT ["node", "--use-largepages=silent", "--max-semi-space-size=32", "--initial-old-space-size=64", "--heap-growing-percent=100", "--no-allocation-site-pretenuring", "src/main.ts"]
CMD ["start"]
