# The official image of PostgreSQL with the extension built for it.
#
#   docker build --build-arg MAJOR=17 -t postgres-sagemaker_rt .

ARG MAJOR=17

FROM postgres:${MAJOR}-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
	gcc make libc6-dev libcurl4-openssl-dev libssl-dev "postgresql-server-dev-$PG_MAJOR"
COPY . /source
RUN make -C /source install DESTDIR=/built with_llvm=no \
	PG_CONFIG="/usr/lib/postgresql/$PG_MAJOR/bin/pg_config"

FROM postgres:${MAJOR}-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libcurl4 \
	&& rm -rf /var/lib/apt/lists/*
COPY --from=build /built /
