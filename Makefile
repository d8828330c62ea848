# sagemaker_rt: SageMaker models inside SQL
#
#   make            build            make demo    a real model scores a real table
#   make install    install          make test    everything that is tested
#   make bench      against floor and peers, as ratios
#   make test-majors    on PostgreSQL 13 to 18
#   make test-assert-server    on one with assertions
#   make test-deep      under valgrind, then under sanitizers
#   make test-faults    each allocation, system call and network fault
#   make test-deb       a Debian package, built and tried
#   make dist           the source in an archive, as PGXN takes it
#
# PG_CONFIG chooses the server to build for.

EXTENSION = sagemaker_rt sagemaker_rt_aurora
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" sagemaker_rt.control)

DISTVERSION = $(shell sed -n 's/^   "version": "\(.*\)",/\1/p' META.json)

MODULE_big = sagemaker_rt
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c)))
DATA = $(wildcard sql/*--*.sql)
PGFILEDESC = "sagemaker_rt - SageMaker models inside SQL"

REGRESS = $(patsubst sql/%.sql,%,$(filter-out $(DATA),$(sort $(wildcard sql/*.sql))))

CURL_CONFIG ?= curl-config
PG_CPPFLAGS = -Isrc -DSMRT_VERSION='"$(EXTVERSION)"' $(shell $(CURL_CONFIG) --cflags)
PG_CFLAGS = -std=gnu11
SHLIB_LINK = $(shell $(CURL_CONFIG) --libs) -lcrypto -lm

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)
else ifneq ($(filter-out demo test bench test-majors test-assert-server test-deep test-faults test-deb dist,$(or $(MAKECMDGOALS),all)),)
$(error no $(PG_CONFIG): install postgresql-server-dev, or say PG_CONFIG=/path/to/pg_config)
endif

# Headers are few and objects build in seconds: any change rebuilds all.
$(OBJS): $(wildcard src/*.h src/*/*.h src/*/*/*.h) sagemaker_rt.control

.PHONY: demo test bench test-majors test-assert-server test-deep test-faults test-deb dist
demo test:
	@PG_CONFIG='$(PG_CONFIG)' test/$@

test-majors test-assert-server test-deb:
	@PG_CONFIG='$(PG_CONFIG)' test/$(@:test-%=%)

test-deep:
	@PG_CONFIG='$(PG_CONFIG)' test/deep
	@PG_CONFIG='$(PG_CONFIG)' test/sanitized

test-faults:
	@$(MAKE) -s -C test/fuzz exhaust
	@PG_CONFIG='$(PG_CONFIG)' test/injected

# What is committed, and nothing else.
dist:
	git archive --prefix=sagemaker_rt-$(DISTVERSION)/ -o sagemaker_rt-$(DISTVERSION).zip HEAD
	git archive --prefix=sagemaker_rt-$(DISTVERSION)/ -o sagemaker_rt-$(DISTVERSION).tar.gz HEAD

# Of each timed run; BENCH_SECONDS=0.5 BENCH_ROUNDS=1 is a quick look.
BENCH_SECONDS ?= 5
BENCH_ROUNDS ?= 3
bench: all
	@PG_CONFIG='$(PG_CONFIG)' bench/all --install --seconds $(BENCH_SECONDS) --rounds $(BENCH_ROUNDS)

# What this is held to, a figure for each line.
.PHONY: score
score:
	@PG_CONFIG='$(PG_CONFIG)' test/score
