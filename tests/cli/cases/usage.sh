# Wrong usage: exit code 2 and a line that says what is wrong.
try() {
  pomona "$@"
  echo "exit $?"
}
try
try fly
try run
try run in
try run in out --mode tiny
try run in out --threads many
try run in out --threads -1
try run in out --formats xml
try run in out --vectors dense
try run in out --pca-components 0
try run in out --limit 0
try run in out --max-rejects 1.5
try run in out --include '[abc'
try run in out --exclude 'Kiwi/*' --exclude '[z-a]'
try run in out --run-id a/b
try run in out --progress loud
try weights
try sample
try sample dir --images 0
try run in out --engine tensorflow
try run in out --cpu mmx
