# cachex: build with PGXS; "make help" lists the targets.

PG_CONFIG ?= pg_config

MODULE_big = cachex
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
PG_CPPFLAGS = -I$(srcdir)/src
# see src/cx_bug.h
ifdef CX_BUG
PG_CPPFLAGS += -DCX_BUG=$(CX_BUG)
endif
# see test/fail/fail.h
ifdef CX_FAIL
PG_CPPFLAGS += -include test/fail/fail.h
OBJS += test/fail/fail.o
src/cx_shmem.o: override CPPFLAGS += -DCX_FAIL_OWN_PLAN
endif

EXTENSION = cachex
DATA = $(sort $(wildcard sql/*--*.sql))

# "setup" first if there is one; the order of the others is the alphabet's.
tests := $(sort $(notdir $(basename $(wildcard test/sql/*.sql))))
REGRESS := $(strip $(filter setup,$(tests)) $(filter-out setup,$(tests)))
ISOLATION := $(sort $(notdir $(basename $(wildcard test/specs/*.spec))))
TAP_TESTS := $(if $(wildcard test/t/*.pl),1)
PROVE_TESTS ?= test/t/*.pl

# The drivers start their own server; they look for expected/ in the output
# directory first, so both keep the default one.
driver_opts = --inputdir=test --temp-instance=tmp_check \
	--temp-config=test/cachex.conf --encoding=UTF8 --no-locale
REGRESS_OPTS = $(driver_opts)
ISOLATION_OPTS = $(driver_opts) --outputdir=.
REGRESS_PREP = unprivileged

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
headers := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)

.DEFAULT_GOAL := all

# libpq-dev has a pg_config that names a PGXS which is not there, and a server
# comes with a PGXS but without the headers.
ifneq ($(and $(wildcard $(PGXS)),$(wildcard $(headers)/postgres.h)),)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h)

# A TAP node takes its settings from here, as the other drivers do.
installcheck: export TEMP_CONFIG := $(CURDIR)/test/cachex.conf
installcheck: export LC_ALL := C
installcheck: export LANG := C

indent:
	@bash test/format.sh

check-format:
	@bash test/format.sh --check || test $$? -eq 77
else
all .DEFAULT:
	@echo 'cachex is built with the headers and makefiles of a PostgreSQL server,' >&2
	@echo 'which "$(PG_CONFIG)" does not lead to. Debian 12:' >&2
	@echo '    apt-get install gcc make postgresql-15 postgresql-server-dev-15' >&2
	@echo 'Elsewhere: the -devel or -server-dev package of PostgreSQL 15 or later,' >&2
	@echo 'then make PG_CONFIG=/path/to/its/pg_config' >&2
	@false

# Names of files and directories are no targets of .DEFAULT: list them.
.PHONY: all install uninstall installcheck check clean distclean indent \
	check-format
install uninstall installcheck check clean distclean indent check-format: all
endif

.PHONY: help demo civicq cinegraph postcache test bench bench-traces model indent check-format \
	unprivileged

unprivileged:
	@test "$$(id -u)" -ne 0 || { \
		echo 'A PostgreSQL server does not run as root: use "make test",' >&2; \
		echo 'or "make installcheck" as another user.' >&2; exit 1; }

help:
	@echo 'make                            build'
	@echo 'make install                    install into the PostgreSQL that pg_config names'
	@echo 'make installcheck               test what is installed, in a server of its own'
	@echo 'make demo                       show what it does, in a private server'
	@echo 'make civicq                     a larger application, under load'
	@echo 'make cinegraph                  pages that take seconds to compute, over restarts'
	@echo 'make postcache                  users behind one role, each with a share of his own'
	@echo 'make test                       all tests, in private servers'
	@echo 'make bench                      the benchmark'
	@echo 'make bench-traces TRACE=file    the benchmark over a recorded trace'
	@echo 'make model                      check the models of the protocol; MODE=full: larger ones'
	@echo 'make indent, make check-format  format the C code, or see if it is'
	@echo 'PG_CONFIG=path                  the PostgreSQL to build for'
	@echo 'demo, civicq, cinegraph, postcache, test, bench and model install the packages that are missing.'

# "make bench-traces file" means TRACE=file.
ifeq ($(firstword $(MAKECMDGOALS)),bench-traces)
trace_goals := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
ifneq ($(trace_goals),)
TRACE ?= $(trace_goals)
.PHONY: $(trace_goals)
$(trace_goals): ; @:
endif
endif

# Through the environment, so that blanks and quotes survive.
demo civicq cinegraph postcache test bench bench-traces: export PG_CONFIG := $(PG_CONFIG)
bench-traces: export TRACE := $(TRACE)

demo:
	@bash test/demo/run.sh

civicq:
	@bash test/civicq/run.sh

cinegraph:
	@bash test/cinegraph/run.sh

postcache:
	@bash test/postcache/run.sh

test:
	@bash test/run.sh

bench:
	@bash test/bench/run.sh

model:
	@bash test/setup.sh server spin
	@bash test/model/run.sh $(MODE)

bench-traces:
	@test -n "$$TRACE" || { echo 'usage: make bench-traces TRACE=file' >&2; exit 2; }
	@bash test/bench/traces.sh "$$TRACE"
