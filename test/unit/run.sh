#!/bin/sh
# Runs the programs in TESTS, shows what they print, and ends in one count.
# The arguments are the folders with signing cases.
set -u
log=build/log

run()
{
	echo "# $*"
	"$@" >build/output 2>&1
	status=$?
	cat build/output
	# A crash must count too, although it prints no result.
	if [ $status -ne 0 ] && ! grep -q '^not ok' build/output
	then
		echo "not ok - $1 ended with status $status" | tee -a build/output
	fi
	cat build/output >>"$log"
}

: >"$log"
for program in $TESTS
do
	case $program in
		*/test_cases) run "$program" "$@" ;;
		*) run "$program" ;;
	esac
done
if "$PYTHON" -c 'import botocore' 2>/dev/null
then
	run "$PYTHON" agree_with_botocore.py
else
	echo "ok 1 - agreement with botocore # SKIP $PYTHON cannot import it" |
		tee -a "$log"
fi

failed=$(grep -c '^not ok' "$log")
skipped=$(grep -c '^ok .*# SKIP' "$log")
passed=$(($(grep -c '^ok' "$log") - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
