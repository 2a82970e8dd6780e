# Verdicts for people and for programs.
pomona sample tree --images 12 > /dev/null
cd tree/Training
head -c 1000 Lemon/0_100.jpg > Lemon/cut.jpg
echo "a note" > Lemon/notes.txt
pomona check .
echo "exit $?"
pomona check . --json | grep -v '"ok"'
pomona check . --json 2>&1 | grep -c rgb224_sha256
pomona check nowhere
echo "exit $?"
