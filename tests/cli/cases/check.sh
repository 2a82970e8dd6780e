# Verdicts for people and for programs.
pomona sample tree --images 12 > /dev/null
cd tree/Training
head -c 1000 Lemon/0_100.jpg > Lemon/cut.jpg
echo "a note" > Lemon/notes.txt
pomona check .
echo "exit $?"
pomona check . --json | grep -v '"ok"'
pomona check . --json 2>&1 | grep -c rgb224_sha256
# For scripts: only what is wrong, and an exit code that says whether it is too much.
pomona check . --bad
pomona check . --bad --json
pomona check . --bad --max-rejects 0
echo "exit $?"
pomona check . --bad --max-rejects 0 --exclude '*cut*'
echo "exit $?"
# For CI: a test case for each label, and the counts by reason.
pomona check . --bad --max-rejects 0 --junit ../../junit.xml --limit 9
echo "exit $?"
cat ../../junit.xml
pomona check . --bad --junit ../../junit.xml | tail -n 1
grep -c '<skipped' ../../junit.xml
pomona check . --junit nowhere/junit.xml > /dev/null
echo "exit $?"
pomona check . --json --log-format json 2>&1 > /dev/null | sed 's/^{"time":"[^"]*"/{"time":"T"/'
pomona check . --log-format xml
echo "exit $?"
mkdir ../Test ../.git
pomona check .. --mode apples --include '*Golden*'
pomona check nowhere
echo "exit $?"
# A glob that matches nothing is named, also beside one that does, unless nobody looked at all files.
pomona check . --bad --max-rejects 0 --include Kiwi
echo "exit $?"
pomona check . --bad --include 'Kiwi/*' --include 'kiwi/*' --exclude '*.gif' --json
pomona check . --bad --exclude '*.gif' --limit 3
mkdir ../../empty
pomona check ../../empty --include 'Kiwi/*'
