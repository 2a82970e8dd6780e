# Mistakes of beginners: each message says what to do instead.
pomona sample fruits --images 24 > /dev/null
mkdir empty && echo "a note" > empty/notes.txt
try() {
  pomona "$@" > /dev/null
  echo "exit $?"
}
try runz fruits out
try verfy out
try fruits out
try --verson
try run fruits out --pcacomponents 10
try run fruits out --components=10
try run fruits --threds 2 out
try run --progess bar
try run fruits out --weights my file.safetensors
try run fruits out --weights
try run fruits out --pca-components ten
try run fruits out --threads 2.5
try run fruits out --mode Apples
try run fruits/*/*
try run fruitz out
try run fruits/Training/Kiwi/0_100.jpg out
try run fruits out
try run empty out2
try check fruits --hashes
try check
try weights show none.safetensors
try sample
try verify fruits
for command in show verify report audit 'neighbours --image x'; do try $command outt; done
try delete outt --run-id kiwis
# What they might try is there.
pomona help check | head -2
pomona run --include 'Kiwi*' fruits out --pca-components 2 --run-id kiwis --quiet
echo "exit $?"
pomona --version
