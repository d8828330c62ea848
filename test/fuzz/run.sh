#!/bin/sh
# run.sh RUNS TARGET...: so many more runs of each fuzzer.
#
# They go in batches, each with another seed, and what is interesting stays in
# build/TARGET.  The total in build/TARGET.runs counts finished batches, so an
# interrupted run loses at most one.
set -u
batch=200000
more=$1
shift

for target in "$@"
do
	kept=build/$target
	mkdir -p "$kept"
	total=$(cat "$kept.runs" 2>/dev/null || echo 0)
	left=$more
	while [ "$left" -gt 0 ]
	do
		n=$((left < batch ? left : batch))
		if ! "build/fuzz_$target" -runs="$n" -seed=$((total + 1)) -max_len=4096 \
			-artifact_prefix="$kept-" "$kept" "corpus/$target" >"$kept.log" 2>&1
		then
			tail -40 "$kept.log"
			echo "$target: a finding after $total runs"
			exit 1
		fi
		total=$((total + n))
		left=$((left - n))
		echo "$total" >"$kept.runs"
	done
	echo "$target: $total runs in all, no finding"
done
