# What cannot work says why, on one line, and publishes nothing.
try() {
  pomona run "$@"
  echo "exit $?"
}
pomona sample tree --images 12
mkdir empty
try nowhere out
try tree/Training/Lemon/0_100.jpg out
try empty out
try tree out --include 'no such*'
try tree out --pca-components 50
try tree tree/Training/Lemon/0_100.jpg/out
echo "not weights" > bad.safetensors
try tree out --weights bad.safetensors
try tree out --weights none.safetensors
try tree out --pca-components 3 --run-id r --quiet
try tree out --pca-components 3 --run-id r
mkdir -p busy/_pomona
flock busy/_pomona/lock pomona run tree busy --pca-components 3
echo "exit $?"
