#!/usr/bin/awk -f
# Reads what gcov -n says of each file; prints the part of src/aws that was run, and
# the file with the least of it.
/^File/ { wanted = /src\/aws\/[a-z0-9]+\.c'/; file = $2 }
/^Lines executed/ && wanted {
	split($0, part, /[:%]| of /)
	n = $NF
	run += part[2] * n / 100
	all += n
	if (least == "" || part[2] < least) { least = part[2]; worst = file }
	wanted = 0
}
END {
	if (!all) exit 1
	sub(/.*\//, "", worst); sub(/'/, "", worst)
	printf "%.1f %% of %d lines; the least of %s: %.1f %%\n", 100 * run / all, all, worst, least
	exit run / all < 0.9
}
