# The runs of an output, what is in one of them, and one removed: its files, and no others.
pomona sample tree --images 24 >/dev/null
cp tree/Training/Kiwi/0_100.jpg kiwi.jpg
mkdir tree/Training/$'red\e[31m\nrun x'
mv kiwi.jpg tree/Training/$'red\e[31m\nrun x'
echo text >tree/Training/Kiwi/bad.jpg
pomona run tree out --run-id first --pca-components 3 --formats parquet --quiet
pomona run tree out --run-id second --mode apples --pca-components 2 --fresh --quiet
try() {
  pomona "$@" </dev/null
  echo "exit $?"
}
try show out
try show out --run-id first
try show out --run-id none
try show out --run-id ../first
try show tree
try show none
echo
try delete out
try delete out --run-id first
try delete out --run-id none --yes
touch out/errors/errors_first/notes.txt
try delete out --run-id first --yes
mv out/errors/errors_first/notes.txt .
try delete out --run-id first --yes
try delete out --run-id first --yes
find out -name '*_first' -o -name _pomona
try verify out
echo
echo '{"counts": {}}' >out/run_info/run_info_second/part-00000.json
try show out
try show out --run-id second
